"""The laboratory's KDC issues what proofs and delegation rest on, and refuses what they must not get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gssapi
import gssapi.raw
import ldap
import pytest
from gssapi.raw import ext_krb5
from gssapi.raw.misc import GSSError

from lab.negotiate import token
from lab.people import service_dn
from lab.session import Session

INITIAL = 0x00400000
FORWARDABLE = 0x40000000


def accept(keytab: str, first: bytes, service: str) -> gssapi.SecurityContext:
    """Accept a first token as a service would, without a replay cache."""
    credentials = gssapi.Credentials(
        name=gssapi.Name(f"{service}@localhost", gssapi.NameType.hostbased_service).canonicalize(
            gssapi.MechType.kerberos
        ),
        usage="accept",
        store={"keytab": keytab, "rcache": "none:"},
    )
    context = gssapi.SecurityContext(creds=credentials, usage="accept")
    context.step(first)
    return context


def attributes(context: gssapi.SecurityContext) -> set[str]:
    """Return the names of the attributes of who made the token."""
    return {name.decode() for name in context.initiator_name.attributes}


def proof(realm: Session, ccache: str) -> gssapi.SecurityContext:
    """Return the context that tpi/localhost gets from the owner of a ccache."""
    first = token(ccache, "localhost", mechanism=gssapi.MechType.kerberos, service="tpi")
    return accept(realm.keytabs["tpi"], first, "tpi")


@contextmanager
def changed(
    realm: Session, dn: str, change: list[tuple[int, str, Any]], back: list[tuple[int, str, Any]]
) -> Iterator[None]:
    root = realm.ldap_root()
    root.modify_ext_s(dn, change)
    try:
        yield
    finally:
        root.modify_ext_s(dn, back)
        root.unbind_s()


@pytest.mark.parametrize(
    "name", ["alice", "bob", "carol", "dave", "adam", "erin", "erin-admin", "frank", "grace", "Heidi"]
)
def test_everybody_gets_a_ticket_with_his_password(realm: Session, name: str) -> None:
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": realm.kinit(name)})
    assert str(credentials.name) == realm.people[name]["principal"]


def test_a_wrong_password_gives_no_ticket(realm: Session) -> None:
    done = realm.run(["kinit", "alice"], ccache=str(realm.root / "ccaches" / "wrong"), text="wrong\n")
    assert done.returncode != 0
    assert "Password incorrect" in done.stderr or "Preauthentication failed" in done.stderr


def test_letter_case_matters(realm: Session) -> None:
    with pytest.raises(RuntimeError, match="not found"):
        realm.kinit("bob", principal="BOB@TPI.TEST")


@pytest.mark.parametrize("keytab", ["tpi", "tpi_other", "http", "host", "ldap"])
def test_every_keytab_gives_a_ticket(realm: Session, keytab: str) -> None:
    assert realm.kinit_keytab(keytab)


@pytest.mark.parametrize("alias", ["alice.smith", "ALICE"])
def test_an_alias_is_the_name_in_the_ticket_unless_canonicalized(realm: Session, alias: str) -> None:
    """Why only the canonical name may count: Apache and the executor may well be shown an alias."""
    plain = gssapi.Credentials(usage="initiate", store={"ccache": realm.kinit("alice", principal=alias)})
    canonical = realm.kinit("alice", principal=alias, arguments=["-C"])
    assert str(plain.name) == f"{alias}@TPI.TEST"
    assert str(gssapi.Credentials(usage="initiate", store={"ccache": canonical}).name) == "alice@TPI.TEST"


def test_a_proof_shows_who_made_it_with_pac_and_indicator(realm: Session) -> None:
    context = proof(realm, realm.kinit("alice"))
    assert str(context.initiator_name) == "alice@TPI.TEST"
    assert "urn:mspac:" in attributes(context)
    assert "auth-indicators" in attributes(context)
    (indicator,) = context.initiator_name.attributes[b"auth-indicators"].values
    assert indicator == b"hardened"


def test_a_proof_made_by_the_person_shows_no_delegation(realm: Session) -> None:
    assert "urn:mspac:delegation-info" not in attributes(proof(realm, realm.kinit("alice")))


def test_a_ticket_got_for_the_executor_itself_is_initial(realm: Session) -> None:
    usual = ext_krb5.krb5_get_tkt_flags(proof(realm, realm.kinit("alice")))
    fresh = ext_krb5.krb5_get_tkt_flags(
        proof(realm, realm.kinit("alice", arguments=["-S", "tpi/localhost@TPI.TEST"]))
    )
    assert not usual & INITIAL
    assert fresh & INITIAL
    assert usual & FORWARDABLE


def test_x01_a_service_that_may_delegate_to_us_leaves_a_mark(realm: Session) -> None:
    """What the executor refuses: with one LDAP write HTTP/ can make a proof as alice, and the PAC says so."""
    dn = service_dn(realm.layout, "HTTP")
    target = [b"tpi/localhost@TPI.TEST"]
    name = "krbAllowedToDelegateTo"
    with changed(realm, dn, [(ldap.MOD_ADD, name, target)], [(ldap.MOD_DELETE, name, target)]):
        first = token(realm.kinit("alice"), "localhost", mechanism=gssapi.MechType.kerberos)
        keytab = realm.keytabs["http"]
        ccache = f"FILE:{realm.root / 'ccaches' / 'delegating'}"
        store: dict[str | bytes, str | bytes] = {"keytab": keytab, "client_keytab": keytab, "ccache": ccache}
        both = gssapi.Credentials(usage="both", store=store | {"rcache": "none:"})
        http = gssapi.SecurityContext(creds=both, usage="accept")
        http.step(first)
        name_of_us = gssapi.Name("tpi@localhost", gssapi.NameType.hostbased_service)
        acting = gssapi.SecurityContext(
            name=name_of_us, creds=http.delegated_creds, mech=gssapi.MechType.kerberos, usage="initiate"
        )
        context = accept(realm.keytabs["tpi"], acting.step(), "tpi")
    assert str(context.initiator_name) == "alice@TPI.TEST"
    assert "urn:mspac:delegation-info" in attributes(context)


@pytest.mark.parametrize(
    ("keytab", "target"),
    [("http", "ldap"), ("http", "tpi"), ("tpi", "ldap"), ("tpi", "HTTP"), ("host", "tpi"), ("host", "HTTP")],
)
def test_r_k01_no_service_acts_for_who_did_not_come(realm: Session, keytab: str, target: str) -> None:
    """Protocol transition: a service gets a ticket to itself in anybody's name, which is good for nothing else."""
    ccache = realm.kinit_keytab(keytab)
    store: dict[str | bytes, str | bytes] = {
        "ccache": ccache,
        "keytab": realm.keytabs[keytab],
        "client_keytab": realm.keytabs[keytab],
    }
    own = gssapi.Credentials(usage="both", store=store)
    bob = gssapi.Name("bob@TPI.TEST", gssapi.NameType.kerberos_principal)
    as_bob = own.impersonate(bob, mechs=[gssapi.MechType.kerberos])
    assert str(as_bob.name) == "bob@TPI.TEST"
    aim = gssapi.Name(f"{target}@localhost", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=aim, creds=as_bob, mech=gssapi.MechType.kerberos, usage="initiate")
    with pytest.raises(GSSError, match=r"KDC can.t fulfill requested option"):
        context.step()


def test_a_locked_principal_gets_no_ticket(realm: Session) -> None:
    dn = realm.people["dave"]["dn"]
    expired = [(ldap.MOD_REPLACE, "krbPrincipalExpiration", [b"20200101000000Z"])]
    with (
        changed(realm, dn, expired, [(ldap.MOD_DELETE, "krbPrincipalExpiration", None)]),
        pytest.raises(RuntimeError, match="expired"),
    ):
        realm.kinit("dave")
    assert realm.kinit("dave")
