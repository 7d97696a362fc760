"""Two-person integrity for FreeIPA-style domains."""

__version__ = "0.1.0"
