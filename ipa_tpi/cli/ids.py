"""From what a person types to the one request that is meant."""

import re
from collections.abc import Iterable
from typing import Final

from ipa_tpi.client import TpiClient
from ipa_tpi.errors import BadInputError, NotFoundError

MIN_PREFIX: Final = 8
_WHOLE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PART: Final = re.compile(r"[0-9a-f-]{8,35}")


def is_whole_id(text: str) -> bool:
    """Tell whether this is a request's whole id rather than its beginning."""
    return _WHOLE.fullmatch(text) is not None


def resolve(client: TpiClient, text: str) -> str:
    """Find the request that is meant; a whole id is taken as it is.

    Args:
        client: Asked for the list of requests where only a beginning is given.
        text: As typed, in any letter case.

    Returns:
        The whole id.

    Raises:
        BadInputError: It is not the form of an id, or the beginning of several.
        NotFoundError: No request that the caller may see begins so.
    """
    wanted = text.lower()
    if is_whole_id(wanted):
        return wanted
    if _PART.fullmatch(wanted) is None:
        raise BadInputError(
            f"{text!r} is no request's id. Give the id, or at least its first {MIN_PREFIX} characters; "
            "see 'ipa-tpi list'.",
            code="bad-id",
        )
    return match_prefix(wanted, (view.id for view in client.list(prefix=wanted)))


def match_prefix(prefix: str, ids: Iterable[str]) -> str:
    """Find the one id that begins so.

    Args:
        prefix: At least `MIN_PREFIX` characters, in lower case.
        ids: Those that exist, untrusted.

    Returns:
        The one.

    Raises:
        BadInputError: Several begin so.
        NotFoundError: None does.
    """
    found = sorted({whole for whole in ids if is_whole_id(whole) and whole.startswith(prefix)})
    if not found:
        raise NotFoundError(f"no request that you may see begins with {prefix}. See 'ipa-tpi list'.")
    if len(found) > 1:
        raise BadInputError(
            f"{len(found)} requests begin with {prefix}: {', '.join(found)}. Give more of the id."
        )
    return found[0]
