"""Validation programs that come with ipa-tpi (K05); each runs as ipatpi-validator and answers one question."""
