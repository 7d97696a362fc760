"""server.xml: what each AJP connector of Dogtag's Tomcat must be like, so that Apache's word counts there and nobody else's (D05).

With `tomcatAuthentication="false"` whoever reaches the port is the person that he says. Only the secret, which
Apache alone has, keeps others out. So a connector without a good one is refused, not changed:

1. `secret`, or `requiredSecret` as older versions call it, is there, is not empty, and is no `${…}` of which nobody
   knows here what it becomes; both together are the same. It stays as it is.
2. `secretRequired="true"`, `tomcatAuthentication="false"`.
3. `allowedRequestAttributesPattern` lets in what Apache sends of a person, beside what it let in before.
4. `packetSize` is at least 65536: two hundred groups and roles fit (D20).

Connectors in comments are left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade import items
from ipa_tpi_upgrade.difference import redact_attributes
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.step import Change, Kind
from ipa_tpi_upgrade.tags import Tag, tags, with_attribute

STEP = "dogtag.ajp"
PACKET_BYTES = 65536
ATTRIBUTES = ("REMOTE_USER_GROUP_(?:N|[0-9]+)", "KRB5CCNAME")
_SECRETS = ("secret", "requiredSecret")
_PATTERN = "allowedRequestAttributesPattern"
_OURS = frozenset({*_SECRETS, _PATTERN, "secretRequired", "tomcatAuthentication", "packetSize"})
_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def ajp_step(
    path: Path = Path("/etc/pki/pki-tomcat/server.xml"), attributes: tuple[str, ...] = ATTRIBUTES
) -> FileStep:
    """Return the step.

    Args:
        path: server.xml of the instance in which CA and KRA run.
        attributes: Regular expressions of the request attributes that Apache sends, without capturing groups.
    """
    return FileStep(STEP, path, _Connectors(attributes))


@dataclass(frozen=True)
class _Connectors:
    """The editor. A place is the connector, named by address and port, and the attribute."""

    attributes: tuple[str, ...]

    def wanted(self, data: bytes) -> tuple[Change, ...]:
        """Compare; see `Editor.wanted`."""
        found = _found(data)
        if not found:
            raise ConfigError(
                "it has no AJP connector outside comments, so Apache cannot reach Dogtag. Enable it "
                "(pki_enable_proxy, or the connectors that stand in a comment), each with a secret."
            )
        for place, tag in found.items():
            _demand_plain_names(place, tag)
            _demand_secret(place, tag)  # R-D05
        return tuple(change for place, tag in found.items() for change in self._wanted(place, tag))

    def value(self, data: bytes, place: tuple[str, ...]) -> str | None:
        """Return an attribute."""
        tag = _found(data).get(place[0])
        return None if tag is None else tag.attributes.get(place[1])

    def put(self, data: bytes, place: tuple[str, ...], value: str | None) -> bytes:
        """Change an attribute."""
        tag = _found(data).get(place[0])
        return data if tag is None else with_attribute(data, tag, place[1], value)

    def redact(self, text: str) -> str:
        """Hide secrets and passwords."""
        return redact_attributes(text)

    def _wanted(self, place: str, tag: Tag) -> Iterator[Change]:
        # R-D05, R-D20
        for name, value in (
            ("secretRequired", "true"),
            ("tomcatAuthentication", "false"),
            ("packetSize", self._packet_size(place, tag)),
        ):
            there = tag.attributes.get(name)
            if there != value:
                yield Change((place, name), there, value)
        there = tag.attributes.get(_PATTERN)
        allowed = {_plain(item) for item in items.parts(there or "", Kind.ALTERNATIVES)}
        lacking = [item for item in self.attributes if _plain(item) not in allowed]
        if lacking:
            merged = items.with_items(there or "", lacking, Kind.ALTERNATIVES)
            yield Change((place, _PATTERN), there, merged, Kind.ALTERNATIVES)

    def _packet_size(self, place: str, tag: Tag) -> str:
        """Return the size that is there if it is enough, else ours."""
        there = tag.attributes.get("packetSize", "0")
        if not (there.isascii() and there.isdigit()):
            raise RefusedError(f"{place} has packetSize={there!r}, which is no number. Correct it first.")
        return there if int(there) >= PACKET_BYTES else str(PACKET_BYTES)


def _found(data: bytes) -> dict[str, Tag]:
    """Return the AJP connectors, each under a name that stays when other connectors come and go."""
    found: dict[str, Tag] = {}
    for tag in tags(data, "Connector"):
        protocol = tag.attributes.get("protocol", "")
        if "${" in protocol:
            raise RefusedError(
                f"a connector has protocol={protocol!r}, and may be one for AJP. Write out what it stands for."
            )
        if "ajp" not in protocol.lower():
            continue
        name = f"AJP connector {tag.attributes.get('address', '*')}:{tag.attributes.get('port', '')}"
        if name in found:
            raise RefusedError(
                f"there are two of {name}, and Tomcat can start one of them. Remove the other."
            )
        found[name] = tag
    return found


def _demand_plain_names(place: str, tag: Tag) -> None:
    """Refuse an attribute that is ours to Tomcat, which does not mind the case of the first letter, and not to XML."""
    for name in tag.attributes:
        if name not in _OURS and name[0].lower() + name[1:] in _OURS:
            raise RefusedError(
                f"{place} has an attribute {name}, which Tomcat takes for {name[0].lower()}{name[1:]}. Write it so."
            )


def _demand_secret(place: str, tag: Tag) -> None:
    """Refuse a connector that would let in whoever comes."""
    secrets = {tag.attributes[name] for name in _SECRETS if name in tag.attributes}
    if not secrets or not all(each.strip() for each in secrets):
        raise RefusedError(
            f"{place} has no secret, so anybody who reaches it could be anybody. Set one there and in Apache's "
            "ProxyPass, as ipa-server-upgrade does, and try again."
        )
    if any("${" in each for each in secrets):
        raise RefusedError(
            f"{place} takes its secret from a property that may not be set. Write the secret itself, and try again."
        )
    if len(secrets) > 1:
        raise RefusedError(f"{place} has two secrets, secret and requiredSecret, that differ. Leave one.")


def _plain(alternative: str) -> str:
    """Return a regular expression without the difference between groups that capture and groups that do not."""
    return _GROUP.sub("(?:", alternative)
