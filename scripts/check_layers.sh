#!/bin/bash
# check_layers.sh [ROOT]: a room of src/ includes only rooms below it, engine, file, http and mpi do not include each
# other, and <mpi.h> stays inside src/mpi.
set -uo pipefail
cd "${1:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..}/src" || exit 1
declare -A below=(
  [base]="base"
  [core]="core base"
  [engine]="engine core base" [file]="file core base" [http]="http core base" [mpi]="mpi core base"
  [command]="command engine file http mpi core base"
  [cli]="cli command engine file http mpi core base"
  [main.cpp]="cli command engine file http mpi core base"
)
bad=0
while IFS=: read -r source line text; do
  room=${source%%/*}
  name=$(sed -E 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]*)[>"].*/\1/' <<<"$text")
  if [[ $name == mpi.h && $room != mpi ]]; then
    echo "src/$source:$line: <mpi.h> belongs in src/mpi alone"
    bad=1
  elif [[ -z ${below[$room]:-} ]]; then
    echo "src/$source:$line: $room is no room of the layers (doc/architecture.md); add it to scripts/check_layers.sh"
    bad=1
  elif [[ $name == */* && -d ${name%%/*} && " ${below[$room]} " != *" ${name%%/*} "* ]]; then
    echo "src/$source:$line: $room must not include ${name%%/*} (${name})"
    bad=1
  elif [[ $text == *\"* && $name != */* ]] || [[ $name == ../* ]]; then
    echo "src/$source:$line: includes are rooted at src/: $name"
    bad=1
  fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.h' --include='*.cpp' . | sed 's|^\./||')
((bad)) || echo "layers: every include points downwards"
exit $bad
