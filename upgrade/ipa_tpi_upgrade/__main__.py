"""Starts `ipa_tpi_upgrade.command`."""

import sys

from ipa_tpi_upgrade.command import main

sys.exit(main())
