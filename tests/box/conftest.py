"""These tests run inside a box (`make box`)."""

from world import world

__all__ = ["world"]
