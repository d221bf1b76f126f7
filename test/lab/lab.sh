# What the lab's scripts share: its names and its state. Sourced.
#
# State lies in /run/argosy-lab, whose making is the lock that lets only one lab stand at a time: `made` names what up has
# made (down takes away these things and no others), `rates` the rate of every host.
lab_state=/run/argosy-lab
lab_disks=$lab_state/disks  # a tmpfs of its own
lab_bridge=argosy0
lab_net=10.77.0
lab_mark='# argosy lab'

lab_die() {
  echo "lab: $*" >&2
  exit 1
}

lab_hosts() { sed -n 's/^netns argosy-//p' "$lab_state/made" 2>/dev/null; }

# Runs sed on /etc/hosts, in place: it may be a mount point, which can be rewritten but not replaced.
lab_edit_etc_hosts() {
  local new
  new=$(mktemp) || return 1
  (
    flock 9
    sed "$@" /etc/hosts >"$new" && [[ -s $new || ! -s /etc/hosts ]] && cat "$new" >/etc/hosts
  ) 9>>"$lab_state/etc-hosts.lock"
  local code=$?
  rm -f "$new"
  return $code
}
