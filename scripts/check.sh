#!/bin/bash
# check.sh [PRESET...]: installs what is missing, builds, runs every test, from any folder. Without arguments:
#   release, mpich   everything: unit, multi-rank, end-to-end, fault injection, lab
#   asan             unit and multi-rank tests under AddressSanitizer and UBSan
#   tsan             unit tests under ThreadSanitizer
#   fuzz             libFuzzer harnesses (test/fuzz), a minute each; ARGOSY_FUZZ_SECONDS says how long
# Closes with "N passed, N failed" (", N skipped" behind it, if any) and ends with 1 when anything failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 1
source scripts/packages.sh
presets=("$@")
((${#presets[@]})) || presets=(release mpich asan tsan fuzz)
groups=(build mpich test)
[[ " ${presets[*]} " == *" fuzz "* ]] && groups+=(fuzz)
install_packages "${groups[@]}" || exit 1

jobs=${ARGOSY_JOBS:-$(nproc)}
passed=0 failed=0 skipped=0

# count FILE: adds what a JUnit file of ctest says to the sums, and names what failed or was skipped.
count() {
  local tests failures disabled skips
  read -r tests failures disabled skips < <(python3 - "$1" <<'PYTHON'
import sys, xml.etree.ElementTree as xml
try:
    cases = xml.parse(sys.argv[1]).getroot().findall("testcase")
except (OSError, xml.ParseError):
    print(1, 1, 0, 0)
    sys.exit()
def of(*status):
    return [case.get("name") for case in cases if case.get("status") in status]
bad, skips, disabled = of("fail"), of("notrun"), of("disabled")
# A test that could not even be started counts as failed, unless it said itself that it skips.
for case in cases:
    skip = case.find("skipped")
    if case.get("status") == "notrun" and skip is not None and not (skip.get("message") or "").startswith("SKIP"):
        skips.remove(case.get("name"))
        bad.append(case.get("name"))
for case in cases:
    output = case.findtext("system-out") or ""
    for line in output.splitlines():
        if line.startswith("SKIPPED "):
            print(f"{case.get('name')}: {line}", file=sys.stderr)
for name in bad:
    print("failed:", name, file=sys.stderr)
for name in skips:
    print("SKIPPED:", name, file=sys.stderr)
print(len(cases), len(bad), len(disabled), len(skips))
PYTHON
  )
  passed=$((passed + tests - failures - disabled - skips))
  failed=$((failed + failures))
  skipped=$((skipped + disabled + skips))
}

# run PRESET [CTEST-OPTIONS...]
run() {
  local preset=$1 junit
  shift
  junit=$PWD/build/$preset/junit.xml
  echo "=== $preset: build"
  if ! { cmake --preset "$preset" >"build/$preset.configure.log" 2>&1 || { cat "build/$preset.configure.log"; false; }; } ||
    ! cmake --build --preset "$preset" -j "$jobs"; then
    echo "failed: the build of $preset"
    failed=$((failed + 1))
    return
  fi
  echo "=== $preset: test"
  rm -f "$junit"
  ctest --preset "$preset" -j "$jobs" --output-junit "$junit" "$@" </dev/null
  count "$junit"
}

mkdir -p build
for preset in "${presets[@]}"; do
  case $preset in
  asan) run asan -L 'unit|mpi' ;;
  tsan) run tsan -L unit ;;
  *) run "$preset" ;;
  esac
done

if ((skipped)); then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
((failed == 0 && passed > 0))
