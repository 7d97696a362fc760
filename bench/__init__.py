"""Benchmarks: each prints ours beside its peers, from one run."""
