"""`ipa-tpi dogtag acls` on a real CA host: what it writes, what it leaves alone, what it refuses, and who else could write there.

Whoever writes the entry decides who revokes, changes profiles and makes CAs: an attacker would give himself the right
and do without the second person from the next start of the CA on.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gssapi
import ldap
import pytest
from ca_acls import ENTRY, LAB, OWN_ENVIRONMENT, PROGRAM, acls, change, directory, held, shown
from ca_host import CaHost

from ipa_tpi.config import read_floor
from ipa_tpi_acls.dogtag.declaration import OPERATIONS
from lab.ca_settings import CONTROLLED
from lab.ca_spawn import ADMIN_PASSWORD, LDAPI
from lab.gss_bind import bind
from lab.layout import system

MAIN = {"ca": "cn=aclResources,o=ipaca", "kra": "cn=aclResources,o=kra,o=ipaca"}
BY_HAND = 'certServer.ca.users:execute:allow (execute) user="alice@TPI.TEST":by hand'
IPA = "ipa1.tpi.test"


def whole(dn: str) -> dict[str, list[bytes]]:
    """Return an entry with everything that shows whether it was written to."""
    with directory() as connection:
        ((_, attributes),) = connection.search_s(
            dn, ldap.SCOPE_BASE, attrlist=["*", "modifyTimestamp", "entryusn"]
        )
    return dict(attributes)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    ours = {subsystem: held(dn) for subsystem, dn in ENTRY.items()}
    yield
    for subsystem, dn in ENTRY.items():
        assert held(dn) == ours[subsystem]


@pytest.mark.parametrize("subsystem", ENTRY)
def test_r_d07_the_entry_is_what_the_command_says(subsystem: str) -> None:
    assert held(ENTRY[subsystem]) == shown(subsystem, LAB)
    assert len(held(ENTRY[subsystem])) > 5
    before = whole(ENTRY[subsystem])
    for deed in ("diff", "apply", "apply"):
        found = acls(deed, subsystem=subsystem)
        assert (found.returncode, found.stdout) == (0, f"{ENTRY[subsystem]}: nothing to change\n"), found
    assert whole(ENTRY[subsystem]) == before


def test_r_d16_what_the_floor_holds_is_under_control() -> None:
    """Where nobody says otherwise: the suffix is the domain's, and the operations are those of this host's floor."""
    command = [*PROGRAM, "show", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, env=OWN_ENVIRONMENT).stdout)
    floor = frozenset(read_floor(str(system().product.floor_toml)).operations)
    assert set(told["controlled"]) == floor & OPERATIONS >= set(CONTROLLED)
    assert set(told["acls"]) == shown("ca", ",".join(sorted(floor & OPERATIONS)))


@pytest.mark.parametrize("subsystem", ENTRY)
def test_r_d07_a_change_by_hand_is_seen_and_taken_back(subsystem: str) -> None:
    dn, ours = ENTRY[subsystem], held(ENTRY[subsystem])
    gone = min(ours)
    change(dn, ldap.MOD_ADD, [BY_HAND])
    change(dn, ldap.MOD_DELETE, [gone])
    seen = acls("diff", subsystem=subsystem)
    assert seen.returncode == 1
    assert {f"-{BY_HAND}", f"+{gone}"} == set(seen.stdout.splitlines()[2:]) - {
        line for line in seen.stdout.splitlines() if line.startswith("@@")
    }
    told = json.loads(acls("diff", "--json", subsystem=subsystem).stdout)
    assert (told["add"], told["remove"], told["written"]) == ([gone], [BY_HAND], False)
    assert held(dn) == ours - {gone} | {BY_HAND}
    mended = acls("apply", subsystem=subsystem)
    assert mended.returncode == 0
    assert mended.stdout.endswith("systemctl restart pki-tomcatd@pki-tomcat\n")
    assert held(dn) == ours


def test_r_d07_an_entry_that_is_gone_comes_back() -> None:
    ours = held(ENTRY["ca"])
    with directory() as connection:
        connection.delete_s(ENTRY["ca"])
    assert json.loads(acls("apply", "--json").stdout)["restart_needed"] is True
    assert held(ENTRY["ca"]) == ours


@pytest.mark.parametrize("subsystem", ENTRY)
def test_r_d07_what_others_wrote_in_the_main_entry_stays(subsystem: str) -> None:
    change(MAIN[subsystem], ldap.MOD_ADD, [BY_HAND])
    try:
        before = whole(MAIN[subsystem])
        change(ENTRY[subsystem], ldap.MOD_ADD, [BY_HAND])
        assert acls("apply", subsystem=subsystem).returncode == 0
        assert whole(MAIN[subsystem]) == before
    finally:
        change(MAIN[subsystem], ldap.MOD_DELETE, [BY_HAND])


def refused(words: str, *options: str, subsystem: str = "ca") -> None:
    """Show that the command refuses what it would otherwise write."""
    before = {dn: whole(dn) for dn in (*ENTRY.values(), *MAIN.values())}
    found = acls("apply", *options, subsystem=subsystem, controlled="all")
    assert found.returncode != 0, found
    assert words in found.stderr, found
    assert "; " in found.stderr
    assert {dn: whole(dn) for dn in before} == before


def test_r_d07_the_main_entry_is_never_written_below() -> None:
    refused("holds ACLs itself", "--base", MAIN["ca"])
    refused("holds no o=elsewhere", "--base", "o=elsewhere")


@pytest.mark.parametrize("subsystem", ENTRY)
@pytest.mark.parametrize("searched", ["cn=aclResources", "cn=others", ""])
def test_r_d07_refused_where_dogtag_would_look_elsewhere(subsystem: str, searched: str) -> None:
    line = "authz.instance.TPI.searchBase=cn=tpi-acls"
    path = Path(f"/etc/pki/pki-tomcat/{subsystem}/CS.cfg")
    assert line in path.read_text().splitlines()
    with changed(path, lambda text: text.replace(line, line.replace("cn=tpi-acls", searched))):
        refused("Dogtag would judge people of the realm by", subsystem=subsystem)


def test_r_d07_refused_where_dogtag_might_take_another_entry() -> None:
    dn = f"cn=second,{ENTRY['ca']}"
    values = {"objectClass": [b"top", b"CertACLS"], "cn": [b"second"], "resourceACLS": [BY_HAND.encode()]}
    with directory() as connection:
        connection.add_s(dn, list(values.items()))
        try:
            refused(dn)
        finally:
            connection.delete_s(dn)


def test_r_d07_refused_where_dogtag_has_a_call_that_nobody_thought_of() -> None:
    own = Path("/var/lib/pki/pki-tomcat/ca/conf/acl.properties")
    text = Path("/usr/share/pki/ca/conf/acl.properties").read_text()
    own.write_text(f"{text}\nkeys.export = certServer.ca.keys,export\n")
    try:
        refused("keys.export")
    finally:
        own.unlink()


def test_r_d16_nobody_of_the_realm_writes_the_entry(ca: CaHost) -> None:
    """She holds every permission there is; where Dogtag keeps its entries that means nothing."""
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, "/etc/ipa/ca.crt")
    realm = bind(f"ldaps://{IPA}", ca.ccache("alice").removeprefix("FILE:"), IPA)
    with pytest.raises(ldap.NO_SUCH_OBJECT):
        realm.search_s("o=ipaca", ldap.SCOPE_BASE)
    realm.unbind_s()
    with pytest.raises(gssapi.exceptions.GSSError, match="not found in Kerberos database"):
        bind("ldap://127.0.0.1", ca.ccache("alice").removeprefix("FILE:"), "ca1.tpi.test")
    before = held(ENTRY["ca"])
    # Nobody, and an administrator whom only Dogtag knows: bound, and not allowed.
    for who, password in (("", ""), ("uid=caadmin,ou=people,o=ipaca", ADMIN_PASSWORD)):
        connection = ldap.initialize("ldap://127.0.0.1")
        connection.simple_bind_s(who, password)
        for dn in (*ENTRY.values(), *MAIN.values()):
            with pytest.raises(ldap.INSUFFICIENT_ACCESS):
                connection.modify_s(dn, [(ldap.MOD_ADD, "resourceACLS", [BY_HAND.encode()])])
        connection.unbind_s()
    assert held(ENTRY["ca"]) == before


@pytest.mark.parametrize("account", ["www-data", "pkiuser", "ipatpi-exec", "nobody"])
def test_r_d16_no_other_account_of_the_host_writes_it(account: str) -> None:
    before = held(ENTRY["ca"])
    change_it = f"dn: {ENTRY['ca']}\nchangetype: modify\nadd: resourceACLS\nresourceACLS: {BY_HAND}\n"
    as_account = ["setpriv", f"--reuid={account}", "--regid=nogroup", "--clear-groups"]
    done = subprocess.run(
        [*as_account, "ldapmodify", "-Q", "-H", LDAPI, "-Y", "EXTERNAL"],
        input=change_it,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done
    command = [*as_account, *PROGRAM, "apply", "--ldap-uri", LDAPI, "--controlled", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=OWN_ENVIRONMENT)
    assert done.returncode != 0, done
    assert "as root" in done.stderr
    assert held(ENTRY["ca"]) == before


@contextmanager
def changed(path: Path, how: Callable[[str], str]) -> Iterator[None]:
    """Change a file while the block runs; the CA, which runs, does not read it meanwhile."""
    whole_text = path.read_text(encoding="utf-8")
    path.write_text(how(whole_text), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.write_text(whole_text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == whole_text
