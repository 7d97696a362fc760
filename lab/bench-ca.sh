#!/usr/bin/env bash
# Runs a benchmark on the CA host of a pair of its own.  Usage: lab/bench-ca.sh [bench/enrolment.py]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${PAIR:-benchca}
export PYTHONPATH="$PWD:$PWD/acls:$PWD/upgrade:$PWD/validator" PYTHONDONTWRITEBYTECODE=1
trap '"$python" -m lab.ca down --name "$name" >&2' EXIT
"$python" -m lab.ca up --name "$name" --fresh >&2
if command -v cc >/dev/null; then
    round_trip=$(mktemp)
    cc -O2 -static -o "$round_trip" bench/round_trip.c
    "$python" -m lab.ca run --name "$name" -- \
        sh -c 'mkdir -p /var/cache/peers && cat >/var/cache/peers/round_trip && chmod 755 /var/cache/peers/round_trip' <"$round_trip"
    rm -f "$round_trip"
fi
"$python" -m lab.ca run --name "$name" -- env \
    PYTHONPATH=/src:/src/acls:/src/upgrade:/src/validator:/src/tests:/src/tests/ca PYTHONDONTWRITEBYTECODE=1 \
    /var/cache/ipa-tpi/venv/bin/python "/src/${1:-bench/enrolment.py}" "${@:2}"
