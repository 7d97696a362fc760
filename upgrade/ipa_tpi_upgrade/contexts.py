"""ca.xml and kra.xml: the valve by which Tomcat hands Dogtag the caller whom Apache names (D05).

Without it a subsystem knows whoever comes by the AJP connector as nobody of its own, and answers 403. Dogtag 10.4 and later have it
for the CA; for the KRA, 10.10 does not.

1. The valve is there, before the one that asks for certificates and passwords: nothing to do.
2. It is there behind that one, where it is asked too late: refused.
3. It is not there: it goes before the first valve. A context without any valve is none that we know: refused.
4. Tomcat loads a context anew as soon as its file changes: nothing is changed until it is stopped.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade.difference import redact_attributes
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.step import Change
from ipa_tpi_upgrade.tags import Tag, tags

VALVE = "com.netscape.cms.tomcat.ExternalAuthenticationValve"
_PLACE = ("Context", VALVE)
_TEXT = f'<Valve className="{VALVE}"/>'.encode()
# Ours as it was written, or with what somebody added to it.
_ELEMENT = re.compile(rb"<Valve\s(?:[^>\"']|\"[^\"]*\"|'[^']*')*/>")
_GAP = re.compile(rb"(?:\r?\n)?[ \t]*")


def context_step(subsystem: str, *, is_stopped: Callable[[], bool], path: Path | None = None) -> FileStep:
    """Return the step for one subsystem.

    Args:
        subsystem: `ca` or `kra`.
        is_stopped: Tells whether Tomcat is certainly not running.
        path: The context's file; that of FreeIPA's instance when left out.
    """

    def ready() -> None:
        if not is_stopped():
            raise RefusedError(
                f"Tomcat is running, and would load the {subsystem.upper()} anew while people use it. Stop it "
                "(systemctl stop pki-tomcatd@pki-tomcat), and try again."
            )

    where = path or Path("/etc/pki/pki-tomcat/Catalina/localhost") / f"{subsystem}.xml"
    return FileStep(f"dogtag.{subsystem}.valve", where, _Context(), ready)


class _Context:
    """The editor. There is one place, and its value is empty."""

    def wanted(self, data: bytes) -> tuple[Change, ...]:
        """Compare; see `Editor.wanted`."""
        valves = _valves(data)
        if not valves:
            raise ConfigError(
                "it has no valve directly in its Context, so it is no context of a Dogtag that we know. Check the path."
            )
        classes = [tag.attributes.get("className", "") for tag in valves]
        if VALVE not in classes:  # R-D05
            return (Change(_PLACE, None, ""),)
        earlier = [name for name in classes[: classes.index(VALVE)] if "Authenticator" in name]
        if earlier:
            raise RefusedError(
                f"{VALVE} stands behind {earlier[0]}, which asks for a certificate or a password first. Move it before "
                "that one."
            )
        return ()

    def value(self, data: bytes, place: tuple[str, ...]) -> str | None:
        """Return `""` if the valve is there."""
        return "" if place == _PLACE and _ours(data) else None

    def put(self, data: bytes, place: tuple[str, ...], value: str | None) -> bytes:
        """Add the valve before the first one, or take it out."""
        found = _ours(data)
        if place != _PLACE or (found is None) == (value is None):
            return data
        if found is not None:
            return _without(data, found)
        first = _valves(data)[0].start
        lead = data[:first].rpartition(b"\n")[2]
        eol = b"\r\n" if data[:first].removesuffix(lead).endswith(b"\r\n") else b"\n"
        gap = b"" if lead.strip() else eol + lead
        return data[:first] + _TEXT + gap + data[first:]

    def redact(self, text: str) -> str:
        """Hide secrets and passwords."""
        return redact_attributes(text)


def _valves(data: bytes) -> tuple[Tag, ...]:
    return tuple(tag for tag in tags(data, "Valve") if tag.path == ("Context", "Valve"))


def _ours(data: bytes) -> Tag | None:
    found = [tag for tag in _valves(data) if tag.attributes.get("className") == VALVE]
    return found[0] if found else None


def _without(data: bytes, tag: Tag) -> bytes:
    """Take out the valve, and the line end and blanks behind it that `put` made."""
    element = _ELEMENT.match(data, tag.start)
    if element is None:
        raise RefusedError(f"{VALVE} has content, which is not ours. Take it out by hand.")
    gap = _GAP.match(data, element.end())
    return data[: tag.start] + data[gap.end() if gap else element.end() :]
