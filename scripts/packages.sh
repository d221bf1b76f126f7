# The Debian packages that argosy needs, in one place, and how to get them. Sourced by check.sh, demo.sh and .ci/run:
#   install_packages build|mpich|test|fuzz|lint|bench ...     installs what is missing of these groups, and only that.
# Works as root and as a user with sudo; runs apt-get only when something is missing.

declare -A argosy_packages=(
  [build]="g++ cmake ninja-build pkg-config libopenmpi-dev openmpi-bin openssh-client libcli11-dev libfmt-dev
           libspdlog-dev libisal-dev nlohmann-json3-dev libxxhash-dev libcurl4-openssl-dev libssl-dev libpugixml-dev libgtest-dev
           libbenchmark-dev"
  [mpich]="libmpich-dev mpich"
  # ccache: what is compiled alike for both MPIs is compiled once.
  [test]="ccache python3 python3-pytest python3-pytest-xdist python3-httpbin nginx-light openssl iproute2 util-linux"
  [fuzz]="clang libclang-rt-14-dev"
  [lint]="clang-format clang-tidy"
  [bench]="aria2 curl rsync iperf3 python3-mpi4py python3-matplotlib"
)

install_packages() {
  local group package wanted=() missing=() as_root=()
  for group in "$@"; do
    # shellcheck disable=SC2206  # a list of words is meant
    wanted+=(${argosy_packages[$group]})
  done
  if ! command -v dpkg-query >/dev/null; then
    echo "argosy: this is no Debian system; install by hand what stands for: ${wanted[*]}" >&2
    return 0
  fi
  for package in "${wanted[@]}"; do
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "argosy: installing ${missing[*]}" >&2
  if ((EUID)); then
    if ! command -v sudo >/dev/null; then
      echo "argosy: as root, please: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  # Straight from the lists at hand; where they are missing or old, once more after an update.
  "${as_root[@]}" install --no-install-recommends "${missing[@]}" >&2 2>/dev/null && return 0
  "${as_root[@]}" update >&2 && "${as_root[@]}" install --no-install-recommends "${missing[@]}" >&2
}
