"""DER read strictly, and by nothing but itself (X.690 sections 8, 10 and 11).

Rules:

1. Lengths are definite and as short as they can be; nothing follows the one element.
2. A universal SEQUENCE or SET is constructed, every other universal type is primitive.
3. A BOOLEAN is 00 or FF, an INTEGER has no byte too many, the unused bits of a BIT STRING are zero, a
   NULL is empty, the parts of an OBJECT IDENTIFIER have no leading zero, a SET is in order.
4. Tag numbers are below 31, and the nesting ends soon.

A reader that takes more, or that repairs, cannot be led to another meaning by what passes here.
"""

from dataclasses import dataclass
from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
IA5_STRING: Final = 0x16
GENERAL_STRING: Final = 0x1B
SEQUENCE: Final = 0x30
SET: Final = 0x31

MAX_DEPTH: Final = 24
_CLASS: Final = 0xC0
_CONSTRUCTED: Final = 0x20
_NUMBER: Final = 0x1F
_LONG: Final = 0x80
_MOST_LENGTH_BYTES: Final = 4
_MOST_UNUSED_BITS: Final = 7
_SIGN: Final = 0x80


class DerError(ValueError):
    """It is not one element of strict DER; the message says why."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        tag: The identifier octet.
        content: Its content octets.
        children: The elements in it, where it is constructed.
    """

    tag: int
    content: bytes
    children: tuple["Element", ...]

    def only(self, tag: int) -> "Element":
        """Give the one child, which has this tag.

        Raises:
            DerError: It is not so.
        """
        if len(self.children) != 1 or self.children[0].tag != tag:
            raise DerError("expected exactly one element of another kind")
        return self.children[0]

    def expect(self, tag: int) -> "Element":
        """Give itself, which has this tag.

        Raises:
            DerError: It is not so.
        """
        if self.tag != tag:
            raise DerError(f"expected an element with tag {tag:02x}, found {self.tag:02x}")
        return self


def read(data: bytes) -> Element:
    """Read one element that is all of the data.

    Args:
        data: Untrusted bytes.

    Returns:
        The element, with everything constructed in it read as well.

    Raises:
        DerError: One of the rules above is broken.
    """
    found = _read_all(data, 0)
    if len(found) != 1:
        raise DerError("there is not exactly one element; bytes follow it")
    return found[0]


def oid(element: Element) -> str:
    """Give an OBJECT IDENTIFIER in dotted form.

    Args:
        element: Read before.

    Returns:
        Such as ``2.5.4.3``.

    Raises:
        DerError: It is another type.
    """
    element.expect(OBJECT_IDENTIFIER)
    arcs: list[int] = []
    value = 0
    for byte in element.content:
        value = value << 7 | byte & 0x7F
        if not byte & _LONG:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def text(element: Element) -> str:
    """Give the characters of a UTF8String, PrintableString, IA5String or GeneralString (ASCII).

    Args:
        element: Read before.

    Returns:
        The text.

    Raises:
        DerError: It is another type, or not that type's characters.
    """
    try:
        if element.tag == UTF8_STRING:
            return element.content.decode("utf-8")
        if element.tag in {PRINTABLE_STRING, IA5_STRING, GENERAL_STRING}:
            return element.content.decode("ascii")
    except UnicodeDecodeError as error:
        raise DerError("a string holds bytes that are none of its characters") from error
    raise DerError(f"a string has the type {element.tag:02x}; use UTF8String or PrintableString")


def _read_all(data: bytes, depth: int) -> tuple[Element, ...]:
    if depth > MAX_DEPTH:
        raise DerError("it is nested too deeply")
    found: list[Element] = []
    position = 0
    while position < len(data):
        tag, start, end = _header(data, position)
        content = data[start:end]
        children = _read_all(content, depth + 1) if tag & _CONSTRUCTED else ()
        _check(tag, content)
        if tag == SET:
            _check_order(content, children)
        found.append(Element(tag, content, children))
        position = end
    return tuple(found)


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    tag = data[position]
    if tag & _NUMBER == _NUMBER:
        raise DerError("a tag number is too high")
    if position + 2 > len(data):
        raise DerError("it ends early")
    length = data[position + 1]
    start = position + 2
    if length & _LONG:
        size = length & ~_LONG
        octets = data[start : start + size]
        if not 1 <= size <= _MOST_LENGTH_BYTES or len(octets) != size:
            raise DerError("a length is indefinite, too long or cut off")
        length = int.from_bytes(octets, "big")
        start += size
        if octets[0] == 0 or length < _LONG:
            raise DerError("a length is longer than it has to be")
    if start + length > len(data):
        raise DerError("it ends early")
    return tag, start, start + length


def _check(tag: int, content: bytes) -> None:
    if tag & _CLASS:
        return
    if (tag | _CONSTRUCTED in {SEQUENCE, SET}) != bool(tag & _CONSTRUCTED):
        raise DerError("a string is constructed, or a SEQUENCE or SET is not")
    if (
        (tag == BOOLEAN and content not in {b"\x00", b"\xff"})
        or (tag == INTEGER and not _is_minimal(content))
        or (tag == BIT_STRING and not _has_zero_padding(content))
        or (tag == NULL and content)
        or (tag == OBJECT_IDENTIFIER and not _is_identifier(content))
    ):
        raise DerError(f"a value of type {tag:02x} is not in its one form")


def _is_minimal(content: bytes) -> bool:
    if len(content) < 2:  # noqa: PLR2004 (one byte is never too many)
        return len(content) == 1
    return not (
        (content[0] == 0 and not content[1] & _SIGN) or (content[0] == 0xFF and content[1] & _SIGN)  # noqa: PLR2004 (X.690 8.3.2)
    )


def _has_zero_padding(content: bytes) -> bool:
    if not content or content[0] > _MOST_UNUSED_BITS or (len(content) == 1 and content[0]):
        return False
    return not content[-1] & ((1 << content[0]) - 1) if len(content) > 1 else True


def _is_identifier(content: bytes) -> bool:
    if not content or content[-1] & _LONG:
        return False
    starts = [0, *(at + 1 for at, byte in enumerate(content[:-1]) if not byte & _LONG)]
    return all(content[at] != _LONG for at in starts)


def _check_order(content: bytes, children: tuple[Element, ...]) -> None:
    encodings = []
    position = 0
    for _ in children:
        _, _, end = _header(content, position)
        encodings.append(content[position:end])
        position = end
    if encodings != sorted(encodings):
        raise DerError("a SET is not in order")
