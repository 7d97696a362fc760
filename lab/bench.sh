#!/usr/bin/env bash
# Runs a benchmark in a box of its own.  Usage: lab/bench.sh [bench/first_path.py|bench/load.py [SECONDS]]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
name=${BOX:-bench}
export PYTHONPATH="$PWD:$PWD/acls:$PWD/upgrade:$PWD/validator" PYTHONDONTWRITEBYTECODE=1
# sudo, one of the peers, is put into this one box and nowhere else; without it that row is missing.
peers=${CACHE:-/var/cache/ipa-tpi}/peers
mkdir -p "$peers"
compgen -G "$peers/sudo_*.deb" >/dev/null || (cd "$peers" && apt-get -q download sudo >&2) || echo "no sudo to be had" >&2
trap '"$python" -m lab.box down --name "$name" >&2' EXIT
"$python" -m lab.box up --name "$name" --fresh >&2
for package in "$peers"/sudo_*.deb; do
    [ -e "$package" ] && "$python" -m lab.box run --name "$name" -- \
        sh -c 'mkdir -p /var/cache/peers && cat >/var/cache/peers/sudo.deb' <"$package"
done
if command -v cc >/dev/null; then
    round_trip=$(mktemp)
    cc -O2 -static -o "$round_trip" bench/round_trip.c
    "$python" -m lab.box run --name "$name" -- \
        sh -c 'mkdir -p /var/cache/peers && cat >/var/cache/peers/round_trip && chmod 755 /var/cache/peers/round_trip' <"$round_trip"
    rm -f "$round_trip"
fi
"$python" -m lab.box run --name "$name" -- env PYTHONPATH=/src:/src/acls:/src/upgrade:/src/validator:/src/tests PYTHONDONTWRITEBYTECODE=1 \
    /var/cache/ipa-tpi/venv/bin/python "/src/${1:-bench/first_path.py}" "${@:2}"
if [ $# -eq 0 ]; then "$python" -m bench.decision; fi
