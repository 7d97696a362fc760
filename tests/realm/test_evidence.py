"""With the ticket that a person's own proof yields, the executor acts as that person, and only where the KDC lets it (K01)."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ldap
import pytest
from web_service import Service

from ipa_tpi.adapters.gss import GssVerifier, negotiate_header
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.errors import KerberosError, NoTicketError
from ipa_tpi.model import Proof, Purpose
from ipa_tpi.ports import AcceptedProof
from lab.people import service_dn
from lab.session import Session

pytestmark = pytest.mark.realm

DIGEST = bytes(range(32))
LONGEST_SECONDS = 86400
TEXT = mic_text(Purpose.REQUEST, DIGEST)


@pytest.fixture
def _may_delegate(realm: Session) -> Iterator[None]:
    """Let tpi/HOST delegate to HTTP/HOST."""
    root, dn = realm.ldap_root(), service_dn(realm.layout, "tpi")
    root.modify_s(
        dn, [(ldap.MOD_ADD, "krbAllowedToDelegateTo", [f"HTTP/{realm.host}@{realm.realm}".encode()])]
    )
    yield
    root.modify_s(dn, [(ldap.MOD_DELETE, "krbAllowedToDelegateTo", None)])


def accepted(realm: Session, person: str, *, evidence: bool = True) -> AcceptedProof:
    body = Service(realm).proof(person, Purpose.REQUEST, DIGEST)
    proof = Proof(
        entry_id=str(uuid.uuid4()),
        dn="",
        creator="",
        created=datetime.now(UTC),
        kind="gss",
        purpose=Purpose.REQUEST,
        digest=DIGEST,
        token=body.token,
        mic=body.mic,
    )
    verifier = GssVerifier(realm.keytabs["tpi"], f"tpi/{realm.host}@{realm.realm}", evidence=evidence)
    return verifier.accept(proof, TEXT)


def told_apart(realm: Session, header: str) -> tuple[int, list[str]]:
    """Ask the service behind Apache, which asks the directory, for something; give whom its audit names."""
    service, unknown = Service(realm), str(uuid.uuid4())
    answer = service.ask("GET", f"/requests/{unknown}", None, headers={"Authorization": header})
    return answer.status, [record["caller"] for record in service.audit(request=unknown)]


@pytest.mark.usefixtures("_may_delegate")
def test_r_k01_the_executor_acts_as_the_person_whose_proof_it_is(realm: Session) -> None:
    found = accepted(realm, "alice")
    assert (found.initiator, found.mic_valid, found.delegated) == (f"alice@{realm.realm}", True, False)
    for _ in range(2):  # each request has a ticket of its own
        assert told_apart(realm, negotiate_header(found.evidence, realm.host)) == (
            404,
            [f"alice@{realm.realm}"],
        )
    other = accepted(realm, "bob")
    assert told_apart(realm, negotiate_header(other.evidence, realm.host)) == (404, [f"bob@{realm.realm}"])


@pytest.mark.usefixtures("_may_delegate")
def test_only_to_the_services_that_the_kdc_allows(realm: Session) -> None:
    with pytest.raises(NoTicketError, match="an administrator has to let"):
        negotiate_header(accepted(realm, "alice").evidence, "other.tpi.test")


def test_without_a_delegation_rule_the_kdc_refuses(realm: Session) -> None:
    with pytest.raises(NoTicketError, match="an administrator has to let"):
        negotiate_header(accepted(realm, "alice").evidence, realm.host)


def test_where_nothing_needs_it_nothing_is_kept(realm: Session) -> None:
    found = accepted(realm, "alice", evidence=False)
    assert found.evidence is None
    with pytest.raises(NoTicketError, match="ipa-tpi prove ID"):
        negotiate_header(found.evidence, realm.host)
    assert "Credentials" not in repr(accepted(realm, "alice"))


def test_it_is_known_how_long_it_is_good(realm: Session) -> None:
    assert 0 < accepted(realm, "alice").evidence_seconds <= LONGEST_SECONDS
    assert accepted(realm, "alice", evidence=False).evidence_seconds == 0


@pytest.mark.usefixtures("_may_delegate")
def test_a_kdc_that_does_not_answer_is_no_reason_to_prove_again(
    realm: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = accepted(realm, "alice")
    with socket.socket() as listener:  # it is bound, and nobody listens
        listener.bind(("127.0.0.1", 0))
        nowhere = f"kdc = 127.0.0.1:{listener.getsockname()[1]}"
        elsewhere = tmp_path / "krb5.conf"
        elsewhere.write_text(
            re.sub(r"kdc = \S+", nowhere, Path(os.environ["KRB5_CONFIG"]).read_text(encoding="utf-8"))
        )
        with monkeypatch.context() as patched:
            patched.setenv("KRB5_CONFIG", str(elsewhere))
            with pytest.raises(KerberosError, match="tried again by itself") as caught:
                negotiate_header(found.evidence, realm.host)
    assert not isinstance(caught.value, NoTicketError)
    assert negotiate_header(found.evidence, realm.host).startswith("Negotiate ")
