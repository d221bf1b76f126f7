#!/bin/bash
# check_format.sh [--fix]: every C++ file is as .clang-format has it.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 1
mode=(--dry-run -Werror)
[[ ${1:-} == --fix ]] && mode=(-i)
find src test bench \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 -r -n 16 clang-format --style=file "${mode[@]}" || {
  echo "format: run scripts/check_format.sh --fix"
  exit 1
}
echo "format: as .clang-format has it"
