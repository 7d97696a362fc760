"""The client against a service that judges its tokens and proofs with real keytabs."""

from typing import Any

import msgspec
import pytest
from client_fakes import Authority, Service, problem

from ipa_tpi import wire
from ipa_tpi.client import Selection, TpiClient, Wish
from ipa_tpi.client.examination import digest_request, examine
from ipa_tpi.decide.digest import approval_digest, sha256
from ipa_tpi.errors import (
    BadInputError,
    KerberosError,
    NotFoundError,
    RefusedError,
    TooManyRequestsError,
    TpiError,
    UnavailableError,
)

pytest_plugins = ("client_fakes",)
WISH = Wish(
    operation="DirSrv.Restart",
    target="localhost",
    parameters={"instance": "DS01"},
    reason="disk",
    ticket="T-1",
)


@pytest.fixture
def alice(service: Service, authority: Authority, ccaches: dict[str, str]) -> TpiClient:
    return TpiClient(service.url, str(authority.file), ccaches["alice"], 5)


@pytest.fixture
def bob(service: Service, authority: Authority, ccaches: dict[str, str]) -> TpiClient:
    return TpiClient(service.url, str(authority.file), ccaches["bob"], 5)


def test_a_request_is_made_approved_and_seen(service: Service, alice: TpiClient, bob: TpiClient) -> None:
    made = alice.create(WISH)
    assert made.requester == "alice@TPI.TEST"
    assert made.operation == "dirsrv.restart"
    assert made.interface == "cli"
    assert [view.id for view in bob.list(approvable=True)] == [made.id]
    assert bob.list(mine=True) == []
    after = bob.approve(bob.show(made.id), "looks right")
    assert after.state == "approved"
    assert [(voice.who, voice.comment) for voice in after.approvals] == [("bob@TPI.TEST", "looks right")]
    assert [(who, purpose) for who, purpose, _ in service.proofs] == [
        ("alice@TPI.TEST", "request"),
        ("bob@TPI.TEST", "approve"),
    ]


def test_a_list_of_several_pages_is_whole(service: Service, alice: TpiClient, bob: TpiClient) -> None:
    made = [alice.create(WISH).id for _ in range(3)]
    service.page = 1
    assert [view.id for view in bob.list()] == made[::-1]
    assert [view.id for view in bob.page(Selection(before=made[2])).requests] == [made[1]]
    assert bob.page(Selection(limit=2)).more


@pytest.mark.parametrize(
    ("verb", "state"), [("deny", "denied"), ("withdraw", "pending"), ("cancel", "cancelled")]
)
def test_the_other_voices_bear_proofs(service: Service, alice: TpiClient, verb: str, state: str) -> None:
    made = alice.create(WISH)
    after = getattr(alice, verb)(made, "no")
    assert after.state == state
    assert service.proofs[-1][1] == verb


def test_a_veto_needs_no_kdc_that_knows_the_target(
    service: Service, alice: TpiClient, bob: TpiClient
) -> None:
    made = alice.create(WISH)
    moved = msgspec.structs.replace(made, target="elsewhere.tpi.test")
    digests = examine(_redigest(moved))
    service.views[made.id] = _redigest(moved)
    assert bob.deny(bob.show(made.id)).denials[0].who == "bob@TPI.TEST"
    assert service.proofs[-1][1] == "request"
    assert digests.request != examine(made).request


def test_approval_of_a_target_that_the_kdc_does_not_know(
    service: Service, alice: TpiClient, bob: TpiClient
) -> None:
    made = alice.create(WISH)
    service.views[made.id] = _redigest(msgspec.structs.replace(made, target="elsewhere.tpi.test"))
    with pytest.raises(KerberosError, match=r"does not know tpi/elsewhere\.tpi\.test@TPI\.TEST"):
        bob.approve(bob.show(made.id))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("operation", "dirsrv.stop"),
        ("target", "other.tpi.test"),
        ("parameters", {"instance": "DS02"}),
        ("requester", "carol@TPI.TEST"),
        ("reason", "none"),
        ("ticket", "T-2"),
        ("interface", "web"),
        ("operation_digest", "0" * 64),
        ("digest", "0" * 64),
        ("approval_digest", "0" * 64),
        ("approval_digest", ""),
    ],
)
def test_r_k10_what_is_shown_is_what_is_signed(
    service: Service,
    alice: TpiClient,
    bob: TpiClient,
    field: str,
    value: Any,
) -> None:
    made = alice.create(WISH)
    service.alter = lambda view: msgspec.structs.replace(view, **{field: value})
    before = len(service.seen)
    view = bob.show(made.id)
    for verb in (bob.approve, bob.deny, bob.withdraw, bob.cancel):
        with pytest.raises(RefusedError) as caught:
            verb(view)
        assert caught.value.code == "digest-mismatch"
    assert len(service.seen) == before + 1
    assert len(service.proofs) == 1


def test_r_k10_a_preview_is_shown_from_the_bytes_that_are_approved(
    service: Service,
    alice: TpiClient,
    bob: TpiClient,
) -> None:
    made = alice.create(WISH)
    assert made.preview is not None
    swapped = msgspec.structs.replace(made.preview, body='{"precondition":{},"shown":"nothing"}')
    service.alter = lambda view: msgspec.structs.replace(view, preview=swapped)
    with pytest.raises(RefusedError, match="digest of the preview") as caught:
        bob.approve(bob.show(made.id))
    assert caught.value.code == "digest-mismatch"


@pytest.mark.parametrize(
    "body",
    [
        '{"precondition": {}, "shown": "x"}',
        '{"precondition":{},"shown":"x","shown":"y"}',
        '{"shown":"x"}',
        '{"more":1,"precondition":{},"shown":"x"}',
        "[]",
        "",
        '{"precondition":{},"shown":1.5}',
    ],
)
def test_a_preview_in_another_form_is_not_approved(
    service: Service,
    alice: TpiClient,
    bob: TpiClient,
    body: str,
) -> None:
    made = alice.create(WISH)
    assert made.preview is not None
    changed = msgspec.structs.replace(made, preview=msgspec.structs.replace(made.preview, body=body))
    service.views[made.id] = _redigest(changed)
    with pytest.raises(RefusedError) as caught:
        bob.approve(bob.show(made.id))
    assert caught.value.code == "malformed-entry"
    assert bob.deny(bob.show(made.id)).state == "denied"


def test_nobody_approves_before_the_preview(service: Service, alice: TpiClient, bob: TpiClient) -> None:
    service.shown = None
    made = alice.create(WISH)
    with pytest.raises(RefusedError) as caught:
        bob.approve(bob.show(made.id))
    assert caught.value.code == "awaiting-preview"
    assert bob.deny(bob.show(made.id)).state == "denied"


def test_a_server_that_records_something_else_is_found_out(service: Service, alice: TpiClient) -> None:
    service.alter = lambda view: _redigest(msgspec.structs.replace(view, reason="other"))
    with pytest.raises(RefusedError) as caught:
        alice.create(WISH)
    assert caught.value.code == "digest-mismatch"


def test_a_server_that_answers_with_another_request_is_found_out(
    service: Service,
    alice: TpiClient,
    bob: TpiClient,
) -> None:
    made, other = alice.create(WISH), alice.create(WISH)
    service.alter = lambda _view: other
    with pytest.raises(RefusedError) as caught:
        bob.show(made.id)
    assert caught.value.code == "digest-mismatch"


@pytest.mark.parametrize("target", ["x@EVIL", "a/b", "a b", "", "A.test", "a\\@b"])
def test_a_target_cannot_become_another_principal(
    service: Service,
    alice: TpiClient,
    bob: TpiClient,
    target: str,
) -> None:
    made = alice.create(WISH)
    service.alter = lambda view: msgspec.structs.replace(view, target=target)
    with pytest.raises(RefusedError) as caught:
        bob.approve(bob.show(made.id))
    assert caught.value.code == "malformed-request"
    with pytest.raises(BadInputError):
        alice.create(Wish(operation="dirsrv.restart", target=target))


@pytest.mark.parametrize("text", ["", "zz", "AB" * 32, "ab" * 31, "ab " * 32])
def test_an_operation_digest_that_is_none(
    service: Service, alice: TpiClient, bob: TpiClient, text: str
) -> None:
    made = alice.create(WISH)
    service.alter = lambda view: msgspec.structs.replace(view, operation_digest=text)
    with pytest.raises(RefusedError) as caught:
        bob.approve(bob.show(made.id))
    assert caught.value.code == "malformed-request"


def test_prove_is_for_requester_and_approver(service: Service, alice: TpiClient, bob: TpiClient) -> None:
    made = alice.create(WISH)
    alice.prove(alice.show(made.id))
    assert service.proofs[-1][:2] == ("alice@TPI.TEST", "request")
    bob.prove(bob.show(made.id))
    assert service.proofs[-1][:2] == ("bob@TPI.TEST", "approve")


@pytest.mark.parametrize("text", ["\x1b[2J", "a\u202eb", "a\u200bb", "line\nbreak", "x" * 1025, "\udc80"])
def test_r_k11_texts_that_could_mislead_are_not_even_sent(
    service: Service, alice: TpiClient, text: str
) -> None:
    made = alice.create(WISH)
    before = len(service.seen)
    for wish in (
        Wish(operation="dirsrv.restart", target="localhost", reason=text),
        Wish(operation="dirsrv.restart", target="localhost", ticket=text),
        Wish(operation="dirsrv.restart", target="localhost", parameters={"instance": text}),
        Wish(operation="dirsrv.restart", target="localhost", parameters={text: "x"}),
        Wish(operation=text, target="localhost"),
    ):
        with pytest.raises(RefusedError) as caught:
            alice.create(wish)
        assert caught.value.code == "text-not-allowed"
    with pytest.raises(RefusedError):
        alice.deny(made, text)
    # Whether a value may have several lines is asked first, and nothing but that.
    assert [(method, path) for method, path, _ in service.seen[before:]] == (
        [("GET", "/tpi/v1/operations")] if text in {"line\nbreak", "x" * 1025} else []
    )


def test_unknown_and_malformed_operations(alice: TpiClient) -> None:
    with pytest.raises(RefusedError, match="no operation nothing") as caught:
        alice.create(Wish(operation="nothing", target="localhost"))
    assert caught.value.code == "unknown-operation"
    with pytest.raises(RefusedError, match="no pattern") as caught:
        alice.create(Wish(operation="Bad.One", target="localhost"))
    assert caught.value.code == "operation-malformed"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not-found", NotFoundError),
        (403, "self-approval", RefusedError),
        (409, "expired", RefusedError),
        (429, "too-many-pending", RefusedError),
        (400, "bad-json", BadInputError),
        (429, "too-many-requests", TooManyRequestsError),
        (503, "directory-unavailable", UnavailableError),
        (403, "word-of-a-later-version", RefusedError),
        (599, "word-of-a-later-version", UnavailableError),
    ],
)
def test_problems_become_our_errors(
    service: Service,
    alice: TpiClient,
    status: int,
    code: str,
    kind: type[TpiError],
) -> None:
    service.scripted.append(problem(status, code, "what happened"))
    with pytest.raises(TpiError) as caught:
        alice.operations()
    assert type(caught.value) is kind
    assert caught.value.message == "what happened"
    assert caught.value.code == (kind.code if code.startswith("word") else code)


def test_ids_are_checked_before_they_are_put_into_a_path(alice: TpiClient) -> None:
    for wrong in ("", "..", "7d7a2a9e", "7D7A2A9E-5D2E-4F34-9C55-0F6A3A3B7A10", "x" * 36):
        with pytest.raises(BadInputError):
            alice.show(wrong)


def _redigest(view: wire.RequestView) -> wire.RequestView:
    """Make a server's own digests fit what it shows."""
    request = digest_request(view)
    if view.preview is None:
        return msgspec.structs.replace(view, digest=request.hex())
    preview = sha256(view.preview.body.encode())
    return msgspec.structs.replace(
        view,
        digest=request.hex(),
        preview=msgspec.structs.replace(view.preview, digest=preview.hex()),
        approval_digest=approval_digest(request, preview).hex(),
    )
