#!/usr/bin/env bash
# Plays the story in a box and leaves the box up.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/var/cache/ipa-tpi/venv/bin/python}
"$python" -m lab.box up --name demo --fresh
"$python" -m lab.box run --name demo -- env PYTHONPATH=/src:/src/acls:/src/upgrade:/src/validator "$python" /src/lab/story.py
cat <<TEXT

The laboratory is still up. Enter it as alice (or bob, carol, dave, adam; passwords are NAME-Secret.1):
    PYTHONPATH=.:acls $python -m lab.box enter --name demo --user alice
End it with: make down
TEXT
