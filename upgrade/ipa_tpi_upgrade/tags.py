"""Start tags of an XML file with the places of their attributes, so that one can be changed and no other byte.

A real parser (expat) says which elements there are: comments, processing instructions and CDATA sections hold none.
It also makes sure that the file is well-formed, which is what the search for an attribute's place relies on.
Document types are refused: an entity could hold a connector that is not seen here, or grow without end.
"""

import re
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from ipa_tpi.errors import ConfigError

_ATTRIBUTE = re.compile(rb"""(\s+)([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')""")
# Those in which every byte below 128 is the ASCII character, so that offsets of markup are what they seem.
_ENCODINGS = frozenset({"utf-8", "us-ascii", "iso-8859-1"})


@dataclass(frozen=True)
class Span:
    """Where an attribute's value stands, between its quotes; the blanks before its name; the end behind its quote."""

    start: int
    end: int
    blanks: bytes
    behind: int


@dataclass(frozen=True)
class Tag:
    """A start tag.

    Args:
        path: Names of the elements from the root down to this one.
        start: Offset of its `<`.
        attributes: Values as the parser reads them, in the order of the file.
        spans: Where they stand.
    """

    path: tuple[str, ...]
    start: int
    attributes: dict[str, str]
    spans: dict[str, Span]


def tags(data: bytes, name: str) -> tuple[Tag, ...]:
    """Return every start tag of one name.

    Raises:
        ConfigError: the file is not well-formed, has a document type, or an encoding that is not like ASCII.
    """
    reader = _Reader(data, name)
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.XmlDeclHandler = reader.declared
    parser.StartDoctypeDeclHandler = reader.document_type
    parser.StartElementHandler = lambda element, attributes: reader.begins(
        element, attributes, parser.CurrentByteIndex
    )
    parser.EndElementHandler = reader.ends
    if b"\x00" in data:
        raise ConfigError("it is in an encoding that is not like ASCII (UTF-16?). Write it in UTF-8.")
    try:
        parser.Parse(data, True)  # noqa: FBT003 (expat takes no keyword)
    except expat.ExpatError as error:
        raise ConfigError(f"it is not well-formed XML ({error}). Correct it first.") from error
    return tuple(reader.found)


def with_attribute(data: bytes, tag: Tag, name: str, value: str | None) -> bytes:
    """Change, add (behind the last one, with the same blanks), or with None remove one attribute of a tag."""
    span = tag.spans.get(name)
    if span is None:
        return data if value is None else _added(data, tag, name, value)
    if value is None:
        start = data.rindex(name.encode(), tag.start, span.start) - len(span.blanks)
        return data[:start] + data[span.behind :]
    quote = data[span.end : span.end + 1]
    return data[: span.start] + _quoted(value, quote)[1:-1] + data[span.end :]


def _added(data: bytes, tag: Tag, name: str, value: str) -> bytes:
    """Insert an attribute behind the last one."""
    last = max(tag.spans.values(), key=lambda span: span.behind)
    quote = data[last.end : last.end + 1]
    text = last.blanks + name.encode() + b"=" + _quoted(value, quote)
    return data[: last.behind] + text + data[last.behind :]


def _quoted(value: str, quote: bytes) -> bytes:
    """Write a value in the given quotes; what the encoding might not have as a character reference."""
    sign = quote.decode()
    reference = {"'": "&apos;", '"': "&quot;"}
    return quote + escape(value, {sign: reference[sign]}).encode("ascii", "xmlcharrefreplace") + quote


class _Reader:
    """What the parser calls."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._path: list[str] = []
        self.found: list[Tag] = []

    def declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise ConfigError(
                f"its encoding is {encoding}, which this program does not edit. Write it in UTF-8."
            )

    def document_type(self, *_: object) -> None:
        raise ConfigError(
            "it has a document type, whose entities could hide a connector. Write it without one."
        )

    def begins(self, element: str, attributes: list[str], offset: int) -> None:
        self._path.append(element)
        if element == self._name:
            values = dict(zip(attributes[::2], attributes[1::2], strict=True))
            spans = self._spans(offset + 1 + len(element.encode()), tuple(values))
            self.found.append(Tag(tuple(self._path), offset, values, spans))

    def ends(self, _element: str) -> None:
        self._path.pop()

    def _spans(self, position: int, names: tuple[str, ...]) -> dict[str, Span]:
        """Find the attributes of a tag whose name ends at a position."""
        spans: dict[str, Span] = {}
        while match := _ATTRIBUTE.match(self._data, position):
            spans[match[2].decode("utf-8", "replace")] = Span(
                match.start(3) + 1, match.end(3) - 1, match[1], match.end()
            )
            position = match.end()
        if tuple(spans) != names:
            raise ConfigError(
                f"its {self._name} element has attributes that this program cannot find again. Write them plainly."
            )
        return spans
