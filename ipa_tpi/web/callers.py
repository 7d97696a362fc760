"""Who is calling, and with which ticket: only what Apache put into the WSGI environment (K01, A07).

Names that begin with ``HTTP_`` come from the client and are never looked at here.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ipa_tpi.errors import NoTicketError, RefusedError

_FILE: Final = "FILE:"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes:
        principal: As the Kerberos ticket names it; not yet looked up.
        ccache: The credential cache with the proxy ticket, ``FILE:`` and a path.
    """

    principal: str
    ccache: str


def read_caller(environ: Mapping[str, Any]) -> Caller:
    """Take the caller from the WSGI environment.

    Args:
        environ: As mod_wsgi made it.

    Returns:
        The caller; that the ticket is really his is for `adapters.gss.caller_credentials` to find.

    Raises:
        RefusedError: Code ``unauthenticated``: Apache authenticated nobody, or by something else
            than Kerberos; ``caller-mismatch``: it names two different people.
        NoTicketError: No ticket came along that we could act with.
    """
    user, name = _text(environ, "REMOTE_USER"), _text(environ, "GSS_NAME")
    if not user or not name or _text(environ, "AUTH_TYPE").lower() != "negotiate":
        raise RefusedError("this service needs a Kerberos ticket; run kinit", code="unauthenticated")
    if user != name:  # R-A07
        raise RefusedError(
            "the web server names two different callers, so nothing was done; ask an administrator",
            code="caller-mismatch",
        )
    return Caller(name, _ccache(_text(environ, "KRB5CCNAME")))


def _ccache(text: str) -> str:
    # With a cache that is missing gssproxy would hand out the service's own credentials (facts/realm.md 3).
    path = Path(text.removeprefix(_FILE))
    if not text.startswith(_FILE) or not path.is_absolute() or ".." in path.parts or not _is_file(path):
        raise NoTicketError(
            "no ticket came with the request that the service could act with in your name; "
            "get a forwardable one: kinit -f",
        )
    return text


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _text(environ: Mapping[str, Any], name: str) -> str:
    value = environ.get(name, "")
    return value if isinstance(value, str) else ""
