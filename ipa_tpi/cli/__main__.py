"""`python -m ipa_tpi.cli` is `ipa-tpi`."""

import sys

from ipa_tpi.cli.main import main

sys.exit(main())
