#!/bin/bash
# demo.sh [FILE] [DIR]: on a bare Debian 12 machine, installs what is missing, builds argosy, and sends FILE into DIR with
# it. Without FILE a real one is made (a tar archive of /usr/share/doc and /usr/include); without DIR the file goes to
# build/demo/out. Works as root and as a user with sudo, from any folder.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(dirname "$here")
source "$here/packages.sh"
install_packages build

cd "$root"
mkdir -p build/demo
echo "== building (Open MPI, optimised); what the compiler says is in build/demo/build.log" >&2
{ cmake --preset release && cmake --build --preset release --target argosy -j "$(nproc)"; } >build/demo/build.log 2>&1 || {
  tail -n 40 build/demo/build.log >&2
  exit 1
}
cd "$OLDPWD"

file=${1:-} dir=${2:-$root/build/demo/out}
if [[ -z $file ]]; then
  file=$root/build/demo/archive.tar
  [[ -s $file ]] || tar -cf "$file" -C / usr/share/doc usr/include
  echo "== no file given: $file, an archive of this machine's documentation and headers" >&2
fi

echo "== argosy send $file $dir" >&2
"$root/build/release/argosy" send -- "$file" "$dir"
ls -l -- "$dir/$(basename -- "$file")"
cmp -- "$file" "$dir/$(basename -- "$file")"
echo "== cmp: not a byte differs" >&2
