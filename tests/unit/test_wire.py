"""What goes over the wire: strict decoding of untrusted JSON (E03)."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipa_tpi import wire
from ipa_tpi.errors import BadInputError

ID = "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10"
HEX = "0f" * 32
PROOF = {"purpose": "request", "digest": HEX, "token": "AP8=", "mic": "AA=="}
REQUEST: dict[str, Any] = {
    "id": ID,
    "operation": "dirsrv.restart",
    "operation_digest": HEX,
    "target": "ipa1.tpi.test",
    "parameters": {"instance": "DS01"},
    "digest": HEX,
    "reason": "why",
    "ticket": "",
    "interface": "cli",
    "proof": PROOF,
}
VOICE: dict[str, Any] = {"digest": HEX, "comment": "ok", "proof": PROOF}


def decode(value: object, shape: type[Any]) -> Any:
    """Decode what a client would send."""
    return wire.decode(json.dumps(value).encode(), shape)


def test_a_request_is_decoded() -> None:
    body = decode(REQUEST, wire.RequestBody)
    assert (body.id, body.parameters, body.proof.token) == (ID, {"instance": "DS01"}, b"\0\xff")


def test_what_may_be_left_out() -> None:
    least = {
        name: REQUEST[name]
        for name in ("id", "operation", "operation_digest", "target", "parameters", "digest")
    }
    body = decode(least, wire.RequestBody)
    assert (body.reason, body.ticket, body.interface, body.proof) == ("", "", "web", None)
    assert decode({"digest": HEX}, wire.VoiceBody) == wire.VoiceBody(digest=HEX)
    assert decode({"verb": "health"}, wire.SocketMessage).id is None


@pytest.mark.parametrize("name", ["id", "operation", "operation_digest", "target", "parameters", "digest"])
def test_what_may_not_be_left_out(name: str) -> None:
    with pytest.raises(BadInputError, match=name):
        decode({key: value for key, value in REQUEST.items() if key != name}, wire.RequestBody)


BAD: tuple[tuple[str, Any], ...] = (
    ("id", ID.upper()),
    ("id", ID + "\n"),
    ("id", "x" + ID),
    ("id", None),
    ("operation", ""),
    ("operation", "a" * 256),
    ("operation", 1),
    ("operation_digest", HEX.upper()),
    ("operation_digest", HEX + "0f"),
    ("operation_digest", HEX[:-1]),
    ("digest", "g" * 64),
    ("digest", HEX + "\n"),
    ("target", ["ipa1"]),
    ("parameters", {"a": 1}),
    ("parameters", {"": "x"}),
    ("parameters", {"a": "x" * 65537}),
    ("parameters", {str(number): "x" for number in range(33)}),
    ("parameters", [["a", "b"]]),
    ("reason", "x" * 1025),
    ("reason", None),
    ("ticket", 5),
    ("interface", ""),
    ("proof", {}),
    ("proof", {**PROOF, "token": "not base64!"}),
    ("proof", {**PROOF, "token": base64.b64encode(b"x" * (64 * 1024 + 1)).decode()}),
    ("proof", {**PROOF, "digest": ""}),
    ("proof", {**PROOF, "more": 1}),
    ("requester", "mallory@TPI.TEST"),
    ("creator", "uid=mallory"),
)


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda value: str(value)[:30])
def test_anything_else_is_refused_with_its_path(name: str, value: Any) -> None:
    with pytest.raises(BadInputError) as caught:
        decode(REQUEST | {name: value}, wire.RequestBody)
    assert caught.value.code == "bad-json"
    assert name in caught.value.message or "Invalid base64" in caught.value.message


@pytest.mark.parametrize("changes", [{"digest": "x"}, {"comment": "x" * 1025}, {"yes": True}, {"proof": []}])
def test_a_voice_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        decode(VOICE | changes, wire.VoiceBody)


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"digest":"\xff"}', b"1" * 5000]
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadInputError) as caught:
        wire.decode(data, wire.VoiceBody)
    assert caught.value.code == "bad-json"


def test_a_body_has_a_limit() -> None:
    with pytest.raises(BadInputError) as caught:
        wire.decode(b" " * (wire.MAX_BODY_BYTES + 1), wire.VoiceBody)
    assert caught.value.code == "too-large"
    fits = json.dumps({"digest": HEX}).encode()
    assert wire.decode(fits + b" " * (wire.MAX_BODY_BYTES - len(fits)), wire.VoiceBody).digest == HEX


@settings(deadline=None, max_examples=120)
@given(
    st.binary(max_size=60)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
    | st.dictionaries(st.sampled_from([*REQUEST, "x"]), st.none() | st.text(max_size=5) | st.integers()).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_decoding_raises_nothing_but_its_refusal(data: bytes) -> None:
    for shape in (wire.RequestBody, wire.VoiceBody, wire.ProofBody, wire.SocketMessage):
        try:
            wire.decode(data, shape)
        except BadInputError as error:
            assert error.code == "bad-json"  # noqa: PT017 (that it is raised is not demanded)


def test_what_is_encoded_comes_back() -> None:
    body = decode(REQUEST, wire.RequestBody)
    assert wire.decode(wire.encode(body), wire.RequestBody) == body
    answer = wire.SocketAnswer(ok=True)
    assert wire.encode(answer) == b'{"ok":true}'


def test_times_are_rfc_3339_in_utc() -> None:
    view = wire.VoiceView(who="bob@TPI.TEST", at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    assert b'"at":"2026-03-01T12:00:00Z"' in wire.encode(view)


def test_problems_leave_out_what_is_empty() -> None:
    problem = wire.Problem(type="about:blank", title="t", status=403, detail="d", code="no-rule")
    assert json.loads(wire.encode(problem)) == {
        "type": "about:blank",
        "title": "t",
        "status": 403,
        "detail": "d",
        "code": "no-rule",
    }
