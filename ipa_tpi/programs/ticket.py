"""Does the ticket that the request names exist (K05)?

``ticket`` compares its number with a pattern; ``ticket-url`` also asks the ticket system, over TLS that is
verified.  A ticket system that does not answer refuses: nobody gets further by taking it off the network.
"""

import http.client
import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

import msgspec

from ipa_tpi.programs.answer import ACCESS, INVALID, SETTINGS, RefusalError, question, refuse
from ipa_tpi.programs.settings import read_settings

SETTINGS_FILE: Final = "/etc/ipa/tpi/ticket.toml"
_PLACE: Final = "{ticket}"
_MAX_BODY_BYTES: Final = 1024 * 1024


class TicketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``/etc/ipa/tpi/ticket.toml``.

    Attributes:
        version: 1.
        pattern: A regular expression that the whole number has to match.
        url: An https URL with ``{ticket}`` where the number belongs; it answers 200 for a ticket that is good.
        body_pattern: A regular expression that has to be found in the answer's body.
        ca_file: Who may have signed the server's certificate; those that the system trusts when left out.
        timeout_seconds: For each step of asking.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    pattern: Annotated[str, msgspec.Meta(min_length=1)]
    url: str = ""
    body_pattern: str = ""
    ca_file: str = ""
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=30)] = 5


def check_number(ticket: str, settings: TicketSettings) -> None:
    """Compare a ticket's number with the pattern.

    Args:
        ticket: The number, as the requester wrote it.
        settings: The site's.

    Raises:
        RefusalError: There is none, or it does not match.
    """
    if not ticket:
        raise RefusalError("this operation needs a ticket; ask again with --ticket", INVALID, name="ticket")
    if _compiled(settings.pattern).fullmatch(ticket) is None:
        raise RefusalError(
            f"the ticket {ticket!a} does not look like one of this site's", INVALID, name="ticket"
        )


def check_at_url(ticket: str, settings: TicketSettings) -> None:
    """Ask the ticket system for a ticket.

    Args:
        ticket: Its number.
        settings: The site's.

    Raises:
        RefusalError: The system does not know it, does not call it good, or does not answer.
    """
    url = urlsplit(settings.url)
    if (
        url.scheme != "https"
        or not url.hostname
        or _PLACE not in url.path + url.query
        or _PLACE in url.netloc
    ):
        raise RefusalError(
            f"url in {SETTINGS_FILE} is no https URL with {_PLACE} in its path or query", SETTINGS
        )
    place = (url.path + (f"?{url.query}" if url.query else "")).replace(_PLACE, quote(ticket, safe=""))
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        connection = http.client.HTTPSConnection(
            url.hostname, url.port, timeout=settings.timeout_seconds, context=context
        )
        connection.request("GET", place, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MAX_BODY_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RefusalError(f"the ticket system at {url.hostname} did not answer: {error}") from error
    # A redirection is not followed: it could lead to a server that says yes to everything.
    if answer.status != http.HTTPStatus.OK:
        raise RefusalError(
            f"the ticket system does not know the ticket {ticket} (status {answer.status})",
            ACCESS,
            ticket=ticket,
        )
    if _compiled(settings.body_pattern).search(body.decode("utf-8", "replace")) is None:
        raise RefusalError(f"the ticket system does not call the ticket {ticket} good", ACCESS, ticket=ticket)


def check(environment: Mapping[str, str], settings: TicketSettings, *, ask: bool) -> None:
    """Check the ticket of a question.

    Args:
        environment: The variables of the question.
        settings: The site's.
        ask: Whether to ask the ticket system too.

    Raises:
        RefusalError: It is not good.
    """
    ticket = environment["TPI_TICKET"]
    check_number(ticket, settings)
    if ask:
        check_at_url(ticket, settings)


def by_pattern() -> int:
    """Be the program ``ticket``."""
    return _answer(ask=False)


def by_url() -> int:
    """Be the program ``ticket-url``."""
    return _answer(ask=True)


def _answer(*, ask: bool) -> int:
    try:
        check(question(), read_settings(SETTINGS_FILE, TicketSettings), ask=ask)
    except RefusalError as error:
        return refuse(error)
    return 0


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise RefusalError(f"a pattern in {SETTINGS_FILE} is not one: {error}", SETTINGS) from error
