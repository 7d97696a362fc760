#!/usr/bin/env bash
# Mutates ipa_tpi/decide and counts what the unit tests notice, with a venv of its own from requirements/mutation.lock.
# Usage: lab/mutation.sh CACHE-FOLDER [MODULE,MODULE…] [resume]
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$1
venv=$cache/mutation-venv
want=$(sha256sum requirements/mutation.lock | cut -d' ' -f1)
if [ "$(cat "$venv/.ipa-tpi-lock" 2>/dev/null || true)" != "$want" ]; then
    printf 'mutation: making the venv %s from requirements/mutation.lock (once)\n' "$venv"
    mkdir -p "$cache"
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --require-hashes -r requirements/mutation.lock
    printf '%s\n' "$want" >"$venv/.ipa-tpi-lock"
fi
# The copy that is mutated must be found, not the original; and what was compiled once is not compiled again.
unset PYTHONPATH
unset PYTHONDONTWRITEBYTECODE
exec nice -n 10 "$venv/bin/python" -B -m lab.mutation "$cache/mutation" "${2:-}" "${3:-}"
