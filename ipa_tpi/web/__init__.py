"""The web service: JSON over HTTP behind Apache, which authenticates; it acts as the caller or not at all."""
