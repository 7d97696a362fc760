#!/usr/bin/env bash
# Runs every test that needs a box, in two boxes side by side; prints each one's output when it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
BOX=test-a lab/test-box.sh tests/conformance tests/attacks "$@" >"$out/a" 2>&1 &
first=$!
sleep 8 # the golden tree is made once
BOX=test-b lab/test-box.sh tests/box "$@" >"$out/b" 2>&1 &
second=$!
status=0
wait "$first" || status=$?
cat "$out/a"
wait "$second" || status=$?
cat "$out/b"
exit "$status"
