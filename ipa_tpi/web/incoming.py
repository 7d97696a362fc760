"""What comes in beside the caller: where it comes from, its body and its query, taken strictly.

R-E22: a browser sends a person's Kerberos ticket to whatever page asks for it, so a request that another
origin caused is refused, by what browsers say of it and a page cannot invent: Origin, Sec-Fetch-Site, Referer.
A page can also not send ``application/json`` across origins unasked, and nobody here answers when asked.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from flask import Request

from ipa_tpi.decide.intake import check_identifier
from ipa_tpi.errors import BadInputError, RefusedError
from ipa_tpi.model import State
from ipa_tpi.wire import decode

S = TypeVar("S")

_OWN_SITE: Final = frozenset({"same-origin", "none"})
_TRUTH: Final[Mapping[str, bool]] = {"true": True, "false": False}


def check_origin(request: Request, origin: str) -> None:
    """Refuse what another origin's page caused.

    Args:
        request: Any.
        origin: The one origin that may.

    Raises:
        RefusedError: Code ``cross-origin``.
    """
    given = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    referer = request.headers.get("Referer")
    foreign = referer is not None and referer != origin and not referer.startswith(origin + "/")
    if (given is not None and given != origin) or (site is not None and site not in _OWN_SITE) or foreign:
        raise RefusedError(f"another site's page may not use this service; use {origin}", code="cross-origin")


def check_id(text: str) -> None:
    """Refuse a path whose id is none.

    Args:
        text: From the path.

    Raises:
        BadInputError: Code ``bad-id``.
    """
    refusal = check_identifier(text)
    if refusal is not None:
        raise BadInputError(refusal.message, code=refusal.code)


def read_body(request: Request, shape: type[S]) -> S:
    """Take the body as exactly one shape.

    Args:
        request: With a body of any length and content.
        shape: What is expected.

    Returns:
        The value.

    Raises:
        BadInputError: Code ``not-json``, ``too-large`` or ``bad-json``.
    """
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding"):
        raise BadInputError("send the body as Content-Type: application/json", code="not-json")
    return decode(request.get_data(cache=False), shape)


def check_query(request: Request, known: frozenset[str]) -> None:
    """Refuse query parameters that are unknown or given twice.

    Args:
        request: Any.
        known: The names that are allowed here.

    Raises:
        BadInputError: Names the parameter.
    """
    for name, values in request.args.lists():
        if name not in known:
            raise BadInputError(f"there is no query parameter {name!a} here; leave it out")
        if len(values) != 1:
            raise BadInputError(f"the query parameter {name} is given {len(values)} times; give it once")


def read_flag(request: Request, name: str) -> bool:
    """Take a query parameter that is true or false; absent is false.

    Args:
        request: Checked by `check_query`.
        name: The parameter.

    Returns:
        Its value.

    Raises:
        BadInputError: It is something else.
    """
    text = request.args.get(name, "false")
    if text not in _TRUTH:
        raise BadInputError(f"the query parameter {name} is {text!a}; write true or false")
    return _TRUTH[text]


def read_state(request: Request) -> State | None:
    """Take the query parameter ``state``.

    Args:
        request: Checked by `check_query`.

    Returns:
        The state, or None when it is absent.

    Raises:
        BadInputError: There is no such state.
    """
    text = request.args.get("state")
    if text is None:
        return None
    try:
        return State(text)
    except ValueError as error:
        names = ", ".join(state.value for state in State)
        raise BadInputError(f"the state {text!a} is none of: {names}") from error
