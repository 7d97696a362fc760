"""Adapters: one file per outside system; each turns foreign exceptions into ours."""
