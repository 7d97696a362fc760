#!/usr/bin/env bash
# Kills executor, web service and directory at every point, in a box of its own, and prints one table.
# Usage: lab/kill-matrix.sh [ROUNDS] [PART-OF-A-CELL'S-NAME…]   (such as executor/7/)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${BOX:-kill-matrix}
export PYTHONPATH="$PWD:$PWD/acls:$PWD/upgrade:$PWD/validator" PYTHONDONTWRITEBYTECODE=1
trap '"$python" -m lab.box down --name "$name" >&2' EXIT
"$python" -m lab.box up --name "$name" --fresh >&2
"$python" -m lab.box run --name "$name" -- env PYTHONPATH=/src:/src/acls:/src/upgrade:/src/validator:/src/tests:/src/tests/box PYTHONDONTWRITEBYTECODE=1 \
    /var/cache/ipa-tpi/venv/bin/python /src/tests/box/kill_matrix.py "${@:-20}"
