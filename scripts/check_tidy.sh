#!/bin/bash
# check_tidy.sh [FILE...]: the short list of .clang-tidy, as errors, over every .cpp of src/ (or the files named), two at a
# time, against the compile commands of the preset mpich. A file is looked at again only when it, a header of ours or
# .clang-tidy changed since it was last found clean (stamps in build/tidy).
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 1
database=build/mpich
[[ -f $database/compile_commands.json ]] || cmake --preset mpich >/dev/null || exit 1
files=("$@")
((${#files[@]})) || mapfile -t files < <(find src -name '*.cpp' | sort)
stamps=build/tidy
mkdir -p "$stamps"

tidy_one() {
  local file=$1 stamp output
  stamp=$stamps/$({ cat .clang-tidy "$file"; find src -name '*.h' | sort | xargs cat; } | sha256sum | cut -c1-32)
  [[ -e $stamp ]] && return 0
  if output=$(timeout -k 5 150 clang-tidy --quiet -p "$database" --extra-arg=-Wno-unknown-warning-option "$file" 2>&1); then
    : >"$stamp"
  else
    printf '%s\n' "$output" | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' >&2
    return 1
  fi
}
export -f tidy_one
export stamps database
printf '%s\0' "${files[@]}" | xargs -0 -P "${ARGOSY_JOBS:-2}" -I{} bash -c 'tidy_one "$1"' _ {} || {
  echo "tidy: see above"
  exit 1
}
echo "tidy: ${#files[@]} files clean"
