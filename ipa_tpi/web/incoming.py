"""What comes in beside the caller: where it comes from, its body and its query, taken strictly.

R-E22: a browser sends a person's Kerberos ticket to whatever page asks for it, so a request that another
origin caused is refused, by what browsers say of it and a page cannot invent: Origin, Sec-Fetch-Site, Referer.
A page can also not send ``application/json`` across origins unasked, and nobody here answers when asked.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from flask import Request

from ipa_tpi.decide.intake import check_identifier, check_text
from ipa_tpi.errors import BadInputError, RefusedError
from ipa_tpi.model import Outcome, Right, State
from ipa_tpi.wire import DEFAULT_LISTED, MAX_LISTED, decode

S = TypeVar("S")
Word = TypeVar("Word", State, Outcome, Right)

MAX_SEVERAL: Final = 8  # a query has to fit the 8 KiB that Apache takes
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_PREFIX: Final = re.compile(r"[0-9a-f-]{0,36}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_MAX_NAME_CHARACTERS: Final = 255
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
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
        raise BadInputError(
            "the body is not marked as JSON; send it as Content-Type: application/json", code="not-json"
        )
    return decode(request.get_data(cache=False), shape)


def check_query(request: Request, known: frozenset[str], several: frozenset[str] = frozenset()) -> None:
    """Refuse query parameters that are unknown or given twice.

    Args:
        request: Any.
        known: The names that are allowed here.
        several: Those of them that may be given several times, up to `MAX_SEVERAL`.

    Raises:
        BadInputError: Names the parameter.
    """
    for name, values in request.args.lists():
        if name not in known:
            raise BadInputError(f"there is no query parameter {name!a} here; leave it out")
        if len(values) > 1 and name not in several:
            raise BadInputError(f"the query parameter {name} is given {len(values)} times; give it once")
        if len(values) > MAX_SEVERAL:
            raise BadInputError(
                f"the query parameter {name} is given {len(values)} times; give it at most {MAX_SEVERAL} times"
            )


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


def _read_word(request: Request, name: str, words: type[Word]) -> Word | None:
    """Take a query parameter that is one of some words.

    Args:
        request: Checked by `check_query`.
        name: The parameter's.
        words: What it may be.

    Returns:
        It, or None when it is absent.

    Raises:
        BadInputError: There is no such word.
    """
    text = request.args.get(name)
    if text is None:
        return None
    try:
        return words(text)
    except ValueError as error:
        names = ", ".join(word.value for word in words)
        raise BadInputError(f"there is no {name} {text[:80]!a}; write one of: {names}") from error


def read_state(request: Request) -> State | None:
    """Take the query parameter ``state``; see `_read_word`."""
    return _read_word(request, "state", State)


def read_outcome(request: Request) -> Outcome | None:
    """Take the query parameter ``outcome``; see `_read_word`."""
    return _read_word(request, "outcome", Outcome)


def read_limit(request: Request) -> int:
    """Take the query parameter ``limit``.

    Args:
        request: Checked by `check_query`.

    Returns:
        How many requests to list at most.

    Raises:
        BadInputError: It is no number, or too large.
    """
    text = request.args.get("limit", str(DEFAULT_LISTED))
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_LISTED:
        raise BadInputError(
            f"the limit {text!a} is not to be had; write a whole number between 1 and {MAX_LISTED}"
        )
    return int(text)


def read_prefix(request: Request) -> str:
    """Take the query parameter ``prefix``.

    Args:
        request: Checked by `check_query`.

    Returns:
        The beginning of an id; empty when it is absent.

    Raises:
        BadInputError: Code ``bad-id``: no id begins so.
    """
    text = request.args.get("prefix", "")
    if _PREFIX.fullmatch(text) is None:
        raise BadInputError(
            f"no request's id begins with {text!a}; write its first characters", code="bad-id"
        )
    return text


def read_user(request: Request, name: str = "user") -> str:
    """Take a query parameter that names a person.

    Args:
        request: Checked by `check_query`.
        name: The parameter.

    Returns:
        The name, with or without its realm; empty when it is absent.

    Raises:
        BadInputError: It cannot be anybody's name.
    """
    text = request.args.get(name, "")
    if _is_no_name(request, name, text):
        raise BadInputError(f"{text[:80]!a} is no person's name; write NAME or NAME@REALM")
    return text


def read_name(request: Request, name: str) -> str:
    """Take a query parameter that names something.

    Args:
        request: Checked by `check_query`.
        name: The parameter.

    Returns:
        Its value; empty when it is absent.

    Raises:
        BadInputError: It cannot be anything's name.
    """
    text = request.args.get(name, "")
    if _is_no_name(request, name, text):
        raise BadInputError(f"the query parameter {name} is {text[:80]!a}, which names nothing; give a name")
    return text


def read_moment(request: Request, name: str) -> datetime | None:
    """Take a query parameter that is a time of RFC 3339 in UTC.

    Args:
        request: Checked by `check_query`.
        name: The parameter.

    Returns:
        The time, or None when it is absent.

    Raises:
        BadInputError: It is no such time.
    """
    text = request.args.get(name)
    if text is None:
        return None
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    raise BadInputError(f"the query parameter {name} is {text[:80]!a}; write a time as 2026-01-31T23:59:59Z")


def read_right(request: Request) -> Right | None:
    """Take the query parameter ``right``; see `_read_word`."""
    return _read_word(request, "right", Right)


def read_parameters(request: Request) -> dict[str, str]:
    """Take the query parameters ``parameter``, each ``NAME=VALUE``.

    Args:
        request: Checked by `check_query`.

    Returns:
        Values by name.

    Raises:
        BadInputError: One is not of that form, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in request.args.getlist("parameter"):
        name, equals, value = text.partition("=")
        if not name or not equals or name in found or len(text) > _MAX_NAME_CHARACTERS:
            raise BadInputError(
                f"the query parameter parameter is {text[:80]!a}; write NAME=VALUE, each name once"
            )
        found[name] = value
    return found


def read_groups(request: Request) -> tuple[str, ...]:
    """Take the query parameters ``member_of``.

    Args:
        request: Checked by `check_query`.

    Returns:
        Them, untrusted.
    """
    return tuple(request.args.getlist("member_of"))


def check_span(since: datetime | None, until: datetime | None) -> None:
    """Refuse a span of time that ends before it begins.

    Args:
        since: Its begin, or None.
        until: Its end, or None.

    Raises:
        BadInputError: It does.
    """
    if since is not None and until is not None and since > until:
        raise BadInputError(
            f"nothing lies between {since:%Y-%m-%dT%H:%M:%SZ} and {until:%Y-%m-%dT%H:%M:%SZ}; swap them"
        )


def _is_no_name(request: Request, name: str, text: str) -> bool:
    return (
        (name in request.args and not text)
        or len(text) > _MAX_NAME_CHARACTERS
        or check_text(text, "name") is not None
    )
