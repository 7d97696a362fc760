"""What a digest is over (DESIGN section 6; K10), and the vectors of tests/vectors."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from decide_builders import DEFINITION, REQUEST_ID, definition, refused_with, request
from hypothesis import given, settings
from hypothesis import strategies as st

from ipa_tpi.decide import digest
from ipa_tpi.decide.digest import (
    approval_digest,
    canonical,
    mic_text,
    operation_digest,
    parse_canonical,
    preview_body,
    request_digest,
    sha256,
)
from ipa_tpi.model import Json, Purpose, Refuse

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
WHO = "alice@TPI.TEST"


def vector(name: str) -> Any:
    """Read one vector."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def test_the_request_vector() -> None:
    found = vector("request")
    given_ = found["input"]
    asked = replace(
        request(),
        id=given_["id"],
        operation=given_["operation"],
        operation_digest=bytes.fromhex(given_["operation_digest"]),
        target=given_["target"],
        parameters=given_["parameters"],
        reason=given_["reason"],
        ticket=given_["ticket"],
        interface=given_["interface"],
    )
    assert given_["v"] == digest.VERSION
    assert request_digest(asked, given_["requester"]).hex() == found["sha256"]


def test_the_operation_vector() -> None:
    found = vector("operation")
    attributes = {name: [value.encode() for value in values] for name, values in found["input"].items()}
    assert operation_digest(attributes).hex() == found["sha256"]


def test_the_preview_vector() -> None:
    found = vector("preview")
    body = preview_body(found["input"]["shown"], found["input"]["precondition"])
    assert body.decode() == found["canonical"]
    assert sha256(body).hex() == found["sha256"]


def test_the_approval_vector() -> None:
    found = vector("approval")
    both = (bytes.fromhex(found["input"][name]) for name in ("request", "preview"))
    assert approval_digest(*both).hex() == found["sha256"]


def test_the_mic_vectors() -> None:
    found = vector("mic")
    assert {each["purpose"] for each in found} == {purpose.value for purpose in Purpose}
    for each in found:
        assert mic_text(Purpose(each["purpose"]), bytes.fromhex(each["digest"])).hex() == each["text"]


def test_the_vectors_are_those_that_the_program_beside_them_makes() -> None:
    namespace: dict[str, Any] = {"__name__": "vectors"}
    source = (VECTORS / "regenerate.py").read_text(encoding="utf-8")
    exec(compile(source, "regenerate.py", "exec"), namespace)  # noqa: S102 (a file of this repository)
    for name, content in namespace["vectors"]().items():
        assert vector(name) == content


CHANGES: tuple[dict[str, Any], ...] = (
    {"id": REQUEST_ID.replace("7", "8")},
    {"operation": "dirsrv.stop"},
    {"operation_digest": bytes(32)},
    {"target": "other.tpi.test"},
    {"parameters": {"instance": "DS02"}},
    {"parameters": {}},
    {"parameters": {"instance": "DS01", "more": ""}},
    {"reason": "another"},
    {"reason": ""},
    {"ticket": "T-1"},
    {"interface": "web"},
)


@pytest.mark.parametrize("changes", CHANGES)
def test_every_field_of_a_request_is_digested(changes: dict[str, Any]) -> None:
    asked = request()
    assert request_digest(replace(asked, **changes), WHO) != request_digest(asked, WHO)


def test_the_requester_is_digested() -> None:
    assert request_digest(request(), WHO) != request_digest(request(), "Alice@TPI.TEST")


def test_times_and_the_directorys_words_are_not_digested() -> None:
    asked = request()
    other = replace(asked, digest=b"x", dn="cn=x", creator="cn=y", created=asked.created.replace(year=2020))
    assert request_digest(asked, WHO) == request_digest(other, WHO)


def test_a_text_cannot_move_from_one_field_to_the_next() -> None:
    one = request_digest(replace(request(), reason="ab", ticket="c"), WHO)
    assert one != request_digest(replace(request(), reason="a", ticket="bc"), WHO)


@pytest.mark.parametrize("name", sorted(DEFINITION))
def test_every_attribute_of_an_operation_is_digested(name: str) -> None:
    changed = definition(**{name: "something else"})
    assert operation_digest(changed) != operation_digest(DEFINITION)
    assert operation_digest(definition(**{name: None})) != operation_digest(DEFINITION)


def test_order_and_letter_case_of_attributes_do_not_matter() -> None:
    turned = {name.upper(): tuple(reversed(values)) for name, values in reversed(list(DEFINITION.items()))}
    assert operation_digest(turned) == operation_digest(DEFINITION)


def test_the_description_is_not_digested() -> None:
    assert operation_digest(definition(description="new words")) == operation_digest(DEFINITION)
    assert operation_digest({**DEFINITION, "DESCRIPTION": [b"x"]}) == operation_digest(DEFINITION)


def test_an_operation_that_is_not_utf8_has_no_digest() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        operation_digest({"cn": [b"\xff"]})


@pytest.mark.parametrize(
    ("one", "two"), [(b"", b"\0" * 32), (b"\0" * 31, b"\0" * 33), (b"\0" * 32, b"\0" * 31)]
)
def test_an_approval_digest_is_over_two_whole_digests(one: bytes, two: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        approval_digest(one, two)


def test_the_two_halves_of_an_approval_digest_are_not_interchangeable() -> None:
    one, two = sha256(b"1"), sha256(b"2")
    assert approval_digest(one, two) != approval_digest(two, one)
    assert approval_digest(one, two) == hashlib.sha256(one + two).digest()


def test_a_mic_is_over_a_whole_digest() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mic_text(Purpose.APPROVE, b"\0" * 31)


def test_no_two_purposes_share_a_text() -> None:
    texts = {mic_text(purpose, bytes(32)) for purpose in Purpose}
    assert len(texts) == len(Purpose) == 6
    assert mic_text(Purpose.APPROVE, bytes(32)) == b"ipa-tpi/1 approve\0" + bytes(32)


@pytest.mark.parametrize(
    "value", [1.0, [1.5], {"a": {"b": [0.0]}}, float("nan"), 2**53, -(2**53), "\ud800", {"\ud800": 1}]
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its several messages are not ours)
        canonical(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{} ",
        b' {"a":1}',
        b'{"a": 1}',
        b'{"b":1,"a":2}',  # not sorted
        b'{"a":1,"a":1}',  # doubled
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":NaN}',
        b'"\\u0041"',  # an escape that is not needed
        b'"\\ud800"',
        b'{"a":9007199254740993}',
        b"\xff",
        b"\xef\xbb\xbf{}",  # a byte order mark
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32-le"),
        b"[" * 100_000,
        b"1" * 10_000,
        b"null\n",
    ],
)
def test_stored_json_in_another_form_is_refused(data: bytes) -> None:
    refused_with(parse_canonical(data), "malformed-entry", "canonical")


# The order of RFC 8785 is by UTF-16 code units: U+1F600 (a surrogate pair) comes before U+FB33.
def test_keys_are_sorted_by_utf16_code_units() -> None:
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(JSON_VALUES)
def test_canonical_json_comes_back_as_it_was(value: Json) -> None:
    data = canonical(value)
    assert parse_canonical(data) == value
    assert canonical(json.loads(data)) == data


@settings(deadline=None, max_examples=100)
@given(JSON_VALUES, JSON_VALUES)
def test_different_values_have_different_forms(one: Json, two: Json) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (canonical(one) == canonical(two)) is same


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0123456789.eE-tfn\\u ', max_size=30).map(str.encode))
def test_parsing_any_bytes_raises_nothing(data: bytes) -> None:
    value = parse_canonical(data)
    if not isinstance(value, Refuse):
        assert canonical(value) == data


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


@settings(deadline=None, max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "operation": TEXT,
            "target": TEXT,
            "parameters": st.dictionaries(TEXT, TEXT, max_size=2),
            "reason": TEXT,
            "ticket": TEXT,
            "interface": TEXT,
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "operation": TEXT,
            "target": TEXT,
            "parameters": st.dictionaries(TEXT, TEXT, max_size=2),
            "reason": TEXT,
            "ticket": TEXT,
            "interface": TEXT,
        },
    ),
)
def test_two_requests_share_a_digest_only_if_they_are_one(
    fields: dict[str, Any], changes: dict[str, Any]
) -> None:
    one, two = replace(request(), **fields), replace(request(), **(fields | changes))
    assert (request_digest(one, WHO) == request_digest(two, WHO)) is (one == two)
