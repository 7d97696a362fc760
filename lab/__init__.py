"""The laboratory: a realm of real daemons, on loopback or in a container."""

import sys
from pathlib import Path

# The laboratory runs from the repository, where some packages have folders of their own; nothing of it is installed.
for _folder in ("acls", "validator"):
    _path = str(Path(__file__).resolve().parent.parent / _folder)
    if _path not in sys.path:
        sys.path.insert(1, _path)
