#!/usr/bin/env bash
# Writes requirements/*.lock from pyproject.toml, with the hash of every file that may be installed.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv
group() {
    /usr/bin/python3 - "$1" >"$work/$1.in" <<'PY'
import sys
import tomllib
with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file)["dependency-groups"][sys.argv[1]]))
PY
}
group dev
group mutation
lock() { "$work/venv/bin/uv" pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 "$@"; }
lock pyproject.toml -o requirements/runtime.lock
lock pyproject.toml "$work/dev.in" -c requirements/runtime.lock -o requirements/dev.lock
lock pyproject.toml "$work/mutation.in" -c requirements/dev.lock -o requirements/mutation.lock
sed -i "s|$work/||" requirements/*.lock
