"""These tests run inside a box (`make box`)."""

import sys
from pathlib import Path

from world import world

__all__ = ["world"]

sys.path.append(str(Path(__file__).parents[1] / "box"))  # `terminal` lies there
sys.path.append(str(Path(__file__).parents[1] / "attacks"))  # `realm_directory` lies there
