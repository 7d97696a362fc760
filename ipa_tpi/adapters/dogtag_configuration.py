"""The configuration of a Dogtag CA over its REST interface: profiles and sub-CAs (D12, D16).

What is sent as a profile's configuration is a text that is written here, from pairs that nobody can read otherwise
(`ipa_tpi.decide.profile_text`).  Dogtag 10.10's answers, as tests/ca saw them: a refusal is JSON with ``Code`` and
``Message``; 400 what it does not take, 403 no right, 404 no such thing, 409 not in this state; 500 is what broke in it,
and in a page of HTML, what nobody had thought of.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from ipa_tpi.adapters.dogtag_line import SUCCESS
from ipa_tpi.decide.profile_text import Configuration
from ipa_tpi.errors import ActionFailedError, AuthorityUnavailableError, OutcomeUnknownError, RefusedError
from ipa_tpi.ports import DogtagTransport, IssuingAuthority

_MOST_LISTED: Final = 10_000
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_BROKEN: Final = 500
_NO_RIGHT: Final = frozenset({401, 403})
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class DogtagProfiles:
    """The CA's profiles; see `ipa_tpi.ports.Profiles`.

    Args:
        transport: How calls reach it.
    """

    def __init__(self, transport: DogtagTransport) -> None:
        self._transport = transport

    def names(self) -> Collection[str]:
        """List the names of all profiles."""
        found = _read(self._transport, f"/profiles?size={_MOST_LISTED}")
        told = found if isinstance(found, dict) else {}
        entries = told.get("entries")
        listed = entries if isinstance(entries, list) else []
        names = [each["profileId"] for each in listed if isinstance(each, dict) and _is_named(each)]
        if not names or len(names) != told.get("total"):
            raise AuthorityUnavailableError("the CA did not list its profiles as expected; see its debug log")
        return names

    def read(self, name: str) -> str:
        """Read a profile's configuration and state."""
        missing = RefusedError(
            f"the CA shows no profile {name!a}; list them: ipa certprofile-find", code="bad-parameters"
        )
        found = _read(self._transport, f"/profiles/{quote(name, safe='')}/raw", missing)
        if not isinstance(found, str):
            raise AuthorityUnavailableError(
                f"the CA did not show the profile {name} as expected; see its debug log"
            )
        return found

    def create(self, pairs: Mapping[str, str]) -> None:
        """Make a profile."""
        _done(self._transport, "POST", "/profiles/raw", Configuration(pairs).text, "profile")

    def replace(self, name: str, pairs: Mapping[str, str]) -> None:
        """Replace a profile's configuration."""
        path = f"/profiles/{quote(name, safe='')}/raw"
        _done(self._transport, "PUT", path, Configuration(pairs).text, "profile")

    def enable(self, name: str) -> None:
        """Enable a profile."""
        _done(self._transport, "POST", f"/profiles/{quote(name, safe='')}?action=enable", None, "profile")

    def disable(self, name: str) -> None:
        """Disable a profile."""
        _done(self._transport, "POST", f"/profiles/{quote(name, safe='')}?action=disable", None, "profile")


class DogtagAuthorities:
    """The CA and its sub-CAs; see `ipa_tpi.ports.Authorities`.

    Args:
        transport: How calls reach it.
    """

    def __init__(self, transport: DogtagTransport) -> None:
        self._transport = transport

    def known(self) -> Sequence[IssuingAuthority]:
        """List the CA and its sub-CAs."""
        found = _read(self._transport, "/authorities")
        told = [_authority(each) for each in found] if isinstance(found, list) else []
        known = [each for each in told if each is not None]
        if not known or len(known) != len(told):
            raise AuthorityUnavailableError("the CA did not list its sub-CAs as expected; see its debug log")
        return known

    def create(self, parent: str, subject: str, description: str) -> IssuingAuthority:
        """Make a sub-CA."""
        body = {"parentID": parent, "dn": subject, "description": description}
        made = _authority(_done(self._transport, "POST", "/authorities", body, "sub-CA"))
        if made is None:
            raise OutcomeUnknownError("the CA did not tell what it made; look at the sub-CAs: ipa ca-find")
        return made

    def enable(self, authority_id: str) -> None:
        """Enable a sub-CA."""
        _done(self._transport, "POST", f"/authorities/{quote(authority_id, safe='')}/enable", None, "sub-CA")

    def disable(self, authority_id: str) -> None:
        """Disable a sub-CA."""
        _done(self._transport, "POST", f"/authorities/{quote(authority_id, safe='')}/disable", None, "sub-CA")


def _read(transport: DogtagTransport, path: str, missing: RefusedError | None = None) -> Any:  # noqa: ANN401 (JSON)
    try:
        status, found = transport.call("GET", path)
    except OutcomeUnknownError as error:  # reading changes nothing
        raise AuthorityUnavailableError(error.message) from error
    if status == _NOT_FOUND and missing is not None:
        raise missing
    if status in _NO_RIGHT:
        raise _refused(found)
    if status not in SUCCESS:
        raise AuthorityUnavailableError(f"the CA answered {status}: {_told(found)}; see its debug log")
    return found


def _done(transport: DogtagTransport, method: str, path: str, body: object, what: str) -> Any:  # noqa: ANN401 (JSON)
    status, found = transport.call(method, path, body)
    if status in SUCCESS:
        return found
    if status in _NO_RIGHT:
        raise _refused(found)
    if status >= _BROKEN:  # nobody knows what it did before
        raise OutcomeUnknownError(f"the CA answered {status}: {_told(found)}; look at the {what}")
    remedy = {
        _NOT_FOUND: "it is gone, so make a new request",
        _CONFLICT: f"the {what} is in another state, so look at it and make a new request",
    }.get(status, "correct what it names, and make a new request")
    raise ActionFailedError(f"the CA did not do it ({status}): {_told(found)}; {remedy}")


def _refused(found: object) -> ActionFailedError:
    return ActionFailedError(
        f"the CA refused it for the requester: {_told(found)}; ask an administrator for the permission"
    )


def _authority(found: object) -> IssuingAuthority | None:
    """Read what the CA tells of one; None where it is not of the known form."""
    if not isinstance(found, dict):
        return None
    names = {"id": str, "dn": str, "issuerDN": str, "serial": int, "enabled": bool, "ready": bool}
    if any(type(found.get(name)) is not kind for name, kind in names.items()):
        return None
    parent, description = found.get("parentID") or "", found.get("description") or ""
    ids = [found["id"], *([parent] if parent else [])]
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids) or not isinstance(
        description, str
    ):
        return None
    return IssuingAuthority(
        id=found["id"],
        subject=found["dn"],
        issuer=found["issuerDN"],
        parent=parent,
        serial=hex(found["serial"]),
        enabled=found["enabled"],
        ready=found["ready"],
        description=description,
    )


def _is_named(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("profileId"), str)


def _told(found: object) -> str:
    """Give the CA's own words, on one line, whatever is in them."""
    words = found.get("Message", "") if isinstance(found, dict) else ""
    return f"{str(words)[:200]!a}" if words else "without a word"
