#!/usr/bin/env bash
# Runs tests inside a box of their own.  Usage: lab/test-box.sh [NAME=box name] PYTEST-ARGUMENTS…
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${BOX:-test}
"$python" -m lab.box up --name "$name" --fresh
status=0
"$python" -m lab.box test --name "$name" -- -q "$@" || status=$?
if [ "$status" -eq 0 ] || [ -z "${KEEP:-}" ]; then
    "$python" -m lab.box down --name "$name"
else
    echo "the box is left up: $python -m lab.box enter --name $name" >&2
fi
exit "$status"
