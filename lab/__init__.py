"""The laboratory: a realm of real daemons, on loopback or in a container."""

import sys
from pathlib import Path

# The laboratory runs from the repository, where ipa_tpi_acls has a folder of its own; nothing of it is installed.
_ACLS = str(Path(__file__).resolve().parent.parent / "acls")
if _ACLS not in sys.path:
    sys.path.insert(1, _ACLS)
