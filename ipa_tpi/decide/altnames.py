"""The names that a certificate request asks for beside its subject's: the subjectAltName in its attributes.

Each is of a kind, and in a form, that has one reading; what nobody checks is `Unknown`, and refused later.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide import der
from ipa_tpi.decide.armour import CsrError
from ipa_tpi.decide.der import DerError, Element

MAX_NAMES: Final = 200
_PARTS: Final = 3
_EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
_MICROSOFT_EXTENSION_REQUEST: Final = "1.3.6.1.4.1.311.2.1.14"
_SUBJECT_ALT_NAME: Final = "2.5.29.17"
_KRB5_PRINCIPAL_NAME: Final = "1.3.6.1.5.2.2"
_UPN: Final = "1.3.6.1.4.1.311.20.2.3"

_OTHER_NAME: Final = 0xA0
_RFC822: Final = 0x81
_DNS: Final = 0x82
_IP: Final = 0x87
_KINDS: Final = {
    0xA3: "X400Address",
    0xA4: "DirectoryName",
    0xA5: "EDIPartyName",
    0x86: "UniformResourceIdentifier",
    0x88: "RegisteredID",
}
_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DNS_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMERIC: Final = re.compile(r"[0-9.]+|0[xX][0-9A-Fa-f]*")
_MAIL: Final = re.compile(rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class Dns:
    """A dNSName."""

    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """An rfc822Name."""

    address: str


@dataclass(frozen=True, slots=True)
class Ip:
    """An iPAddress."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Named:
    """A principal, as KRB5PrincipalName or UPN.

    Attributes:
        principal: As text, with its realm where it has one.
    """

    principal: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name of a kind that nobody checks.

    Attributes:
        kind: What it is called in messages.
    """

    kind: str


AltName = Dns | Mail | Ip | Named | Unknown


def alt_names(attributes: Element) -> tuple[AltName, ...]:
    """Read the names of the subjectAltName that is requested.

    Args:
        attributes: The attributes of the request (RFC 2986 section 4.1).

    Returns:
        The names, in order; none where none are requested.

    Raises:
        CsrError: They are not requested in the one way that everybody knows, or one is not in its one form.
        DerError: They are not of the form of the standards.
    """
    requested = _attributes(attributes).get(_EXTENSION_REQUEST)
    if requested is None:
        return ()
    wanted = _extensions(requested.only(der.SEQUENCE)).get(_SUBJECT_ALT_NAME)
    if wanted is None:
        return ()
    names = der.read(wanted).expect(der.SEQUENCE).children
    if not 1 <= len(names) <= MAX_NAMES:
        raise CsrError(
            f"its subjectAltName has no names, or more than {MAX_NAMES}; ask for fewer", "too-many-names"
        )
    return tuple(_alt_name(name) for name in names)


def pair(element: Element) -> tuple[Element, Element]:
    """Give the two elements of a SEQUENCE of a type and a value.

    Args:
        element: The SEQUENCE.

    Raises:
        DerError: It is something else.
    """
    element.expect(der.SEQUENCE)
    if len(element.children) != 2:  # noqa: PLR2004 (a type and a value)
        raise DerError("expected a type and a value")
    return element.children[0], element.children[1]


def _attributes(attributes: Element) -> dict[str, Element]:
    seen: dict[str, Element] = {}
    for attribute in attributes.children:
        kind, values = pair(attribute)
        name = der.oid(kind)
        if name == _MICROSOFT_EXTENSION_REQUEST:
            raise CsrError("it requests extensions in Microsoft's way; use extensionRequest", "two-requests")
        if name in seen:
            raise CsrError("an attribute comes twice in it; leave one out", "two-requests")
        seen[name] = values.expect(der.SET)
    return seen


def _extensions(requested: Element) -> dict[str, bytes]:
    extensions: dict[str, bytes] = {}
    for extension in requested.children:
        extension.expect(der.SEQUENCE)
        if len(extension.children) not in {2, _PARTS}:
            raise DerError("an extension has too many parts, or too few")
        name = der.oid(extension.children[0])
        if name in extensions:
            raise CsrError("an extension comes twice in it; leave one out", "two-extensions")
        if len(extension.children) == _PARTS and extension.children[1].expect(der.BOOLEAN).content != b"\xff":
            raise DerError("a default is written out")
        extensions[name] = extension.children[-1].expect(der.OCTET_STRING).content
    return extensions


def _alt_name(name: Element) -> AltName:
    if name.tag == _OTHER_NAME:
        return _other_name(name)
    if name.tag in _KINDS:
        return Unknown(_KINDS[name.tag])
    try:
        said = name.content.decode("ascii")
    except UnicodeDecodeError:
        said = ""
    if name.tag == _DNS:
        return _dns(said)
    if name.tag == _RFC822 and _MAIL.fullmatch(said):
        return Mail(said)
    if name.tag == _IP and len(name.content) in {4, 16}:
        return Ip(ipaddress.ip_address(name.content))
    raise CsrError("a name in its subjectAltName is not in the one form of its kind; correct it", "name-form")


def _dns(name: str) -> Dns:
    if "*" in name:
        raise CsrError("a wildcard stands in its subjectAltName; name each host", "wildcard")
    if _DNS_NAME.fullmatch(name) is None or _NUMERIC.fullmatch(name.rpartition(".")[2]):
        raise CsrError("a name in its subjectAltName is no name of a host; correct it", "name-form")
    return Dns(name)


def _other_name(name: Element) -> AltName:
    kind, wrapped = name.children if len(name.children) == 2 else (name, name)  # noqa: PLR2004 (a type and a value)
    which, value = der.oid(kind), wrapped.expect(0xA0)
    if which == _UPN:
        return Named(_plain(der.text(value.only(der.UTF8_STRING))))
    if which == _KRB5_PRINCIPAL_NAME:
        return _krb5_name(value.only(der.SEQUENCE))
    return Unknown("OtherName")


def _krb5_name(name: Element) -> Named:
    """Read RFC 4556 section 3.2.2's KRB5PrincipalName."""
    if [child.tag for child in name.children] != [0xA0, 0xA1]:
        raise DerError("a principal has other parts")
    realm = _plain(der.text(name.children[0].only(der.GENERAL_STRING)))
    inner = name.children[1].only(der.SEQUENCE)
    if [child.tag for child in inner.children] != [0xA0, 0xA1]:
        raise DerError("a principal has other parts")
    inner.children[0].only(der.INTEGER)
    parts = [
        _plain(der.text(part.expect(der.GENERAL_STRING)))
        for part in inner.children[1].only(der.SEQUENCE).children
    ]
    if not parts or any(mark in part for part in (*parts, realm) for mark in "/@\\"):
        raise CsrError("a principal in its subjectAltName holds a separator; correct it", "name-form")
    return Named(f"{'/'.join(parts)}@{realm}")


def _plain(said: str) -> str:
    if not said.isascii() or not said or any(one <= " " or one == "\x7f" for one in said):
        raise CsrError("a principal in its subjectAltName is not plain ASCII; correct it", "name-form")
    return said
