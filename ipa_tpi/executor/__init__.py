"""The executor of one host: authorises and dispatches; unprivileged, without a network listener.

* `daemon`: start, threads, stop.
* `watch`: what wakes it: persistent search, poll, deadlines.
* `socket`: the local socket.
* `dispatch`: the ten steps.
* `claims`: the journal that makes every request run at most once.
* `operations`: the closed table of what it can do.
* `polkit`: the rule that gives it exactly that.
"""

import importlib
import sys
from types import ModuleType
from typing import Final, Never

_OPENER: Final = "urllib.request"


def _refuse(*_: object) -> Never:
    raise OSError("the executor opens no URL")


def _import_ldap_alone() -> None:
    """Import python-ldap without what it would open URLs of schemas with.

    That is an HTTP client with TLS, a mail parser and three megabytes, and nothing here has a use for it.
    """
    if "ldap" in sys.modules or _OPENER in sys.modules:
        return
    stand_in = ModuleType(_OPENER)
    stand_in.urlopen = _refuse  # type: ignore[attr-defined]
    sys.modules[_OPENER] = stand_in
    try:
        importlib.import_module("ldap")
    finally:
        del sys.modules[_OPENER]


_import_ldap_alone()
