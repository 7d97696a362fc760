"""The laboratory: a realm of real daemons, on loopback or in a container."""

import sys
from pathlib import Path

# The laboratory runs from the repository, where these packages have folders of their own; nothing of it is installed.
_HERE = Path(__file__).resolve().parent.parent
for _folder in (str(_HERE / "acls"), str(_HERE / "upgrade"), str(_HERE / "validator")):
    if _folder not in sys.path:
        sys.path.insert(1, _folder)
