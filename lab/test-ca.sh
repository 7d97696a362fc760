#!/usr/bin/env bash
# Runs tests on the CA host of a pair of their own.  Usage: lab/test-ca.sh [PAIR=name] PYTEST-ARGUMENTS…
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${PAIR:-testca}
"$python" -m lab.ca up --name "$name" --fresh
status=0
"$python" -m lab.ca test --name "$name" -- -q "$@" || status=$?
if [ "$status" -eq 0 ] || [ -z "${KEEP:-}" ]; then
    "$python" -m lab.ca down --name "$name"
else
    echo "the pair is left up: $python -m lab.ca enter --name $name" >&2
fi
exit "$status"
