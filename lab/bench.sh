#!/usr/bin/env bash
# Measures the first path in a box of its own and prints one table.  Usage: lab/bench.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${BOX:-bench}
export PYTHONPATH="$PWD:$PWD/acls" PYTHONDONTWRITEBYTECODE=1
trap '"$python" -m lab.box down --name "$name" >&2' EXIT
"$python" -m lab.box up --name "$name" --fresh >&2
"$python" -m lab.box run --name "$name" -- env PYTHONPATH=/src:/src/acls:/src/tests PYTHONDONTWRITEBYTECODE=1 \
    /var/cache/ipa-tpi/venv/bin/python /src/bench/first_path.py
"$python" -m bench.decision
