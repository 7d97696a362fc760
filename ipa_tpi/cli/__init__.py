"""The command line ``ipa-tpi``."""
