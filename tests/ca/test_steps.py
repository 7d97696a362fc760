"""The steps on a live CA host: what it runs is what they made, without them it does not work, and they mend it.

The laboratory's host was a site's own before (`lab/ca_steps.py: _apply_steps`). Here somebody damages its files, each
as an update or a colleague would.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ca_host import CaHost, Profile
from ca_upgrade import program

from ipa_tpi_upgrade import ca_host, records
from ipa_tpi_upgrade.authz import Instance, authz_step
from ipa_tpi_upgrade.connectors import ajp_step
from ipa_tpi_upgrade.contexts import context_step
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.sssd import infopipe_step, read_wishes
from lab.ca_spawn import AJP_SECRET
from lab.layout import REALM

SSSD = Path("/etc/sssd/sssd.conf")
CACHES = Path("/var/lib/sss/db")
VALVE = '<Valve className="com.netscape.cms.tomcat.ExternalAuthenticationValve"/>'
PATTERN = ' allowedRequestAttributesPattern="REMOTE_USER_GROUP_(?:N|[0-9]+)|KRB5CCNAME"'

STEPS: Mapping[str, Callable[[Path], FileStep]] = {
    "sssd.infopipe": lambda path: infopipe_step(read_wishes(REALM), path, path.parent / "conf.d"),
    "dogtag.ajp": ajp_step,
    "dogtag.ca.authz": lambda path: authz_step("ca", Instance(REALM), is_stopped=lambda: True, path=path),
    "dogtag.kra.authz": lambda path: authz_step("kra", Instance(REALM), is_stopped=lambda: True, path=path),
    "dogtag.ca.valve": lambda path: context_step("ca", is_stopped=lambda: True, path=path),
    "dogtag.kra.valve": lambda path: context_step("kra", is_stopped=lambda: True, path=path),
}


@dataclass(frozen=True)
class Damage:
    """What somebody did to a file of a step, and what of it the step takes back, or says."""

    step: str
    old: str
    new: str
    shown: str


def named(damage: Damage) -> str:
    return f"{damage.step}: {damage.old.strip()[:40]}"


MENDED = (
    Damage("sssd.infopipe", "services = nss, ifp", "services = nss", "+services = nss, ifp"),
    Damage("sssd.infopipe", "allowed_uids = root, www-data", "allowed_uids = root", "root, www-data"),
    Damage("sssd.infopipe", "user_attributes = +roles", "user_attributes = +mail", "+mail, +roles"),
    Damage("sssd.infopipe", "mail, roles:memberOf", "mail", "mail, roles:memberOf"),
    Damage("sssd.infopipe", "[ifp]\n", "[pam]\n", "+[ifp]"),
    Damage("dogtag.ajp", ' secretRequired="true"', ' secretRequired="false"', 'secretRequired="true"'),
    Damage("dogtag.ajp", ' tomcatAuthentication="false"', "", 'tomcatAuthentication="false"'),
    Damage("dogtag.ajp", ' packetSize="65536"', ' packetSize="8192"', 'packetSize="65536"'),
    Damage("dogtag.ajp", PATTERN, "", PATTERN.strip()),
    Damage("dogtag.ajp", PATTERN, ' allowedRequestAttributesPattern="KRB5CCNAME"', PATTERN.strip()[:50]),
    Damage(
        "dogtag.ca.authz", f"authz.instance.TPI.realm={REALM}\n", "", f"+authz.instance.TPI.realm={REALM}"
    ),
    Damage(
        "dogtag.kra.authz", "authz.instance.TPI.searchBase=cn=tpi-acls\n", "", "+authz.instance.TPI.search"
    ),
    Damage("dogtag.ca.valve", f"  {VALVE}\n", "", f"+  {VALVE}"),
    Damage("dogtag.kra.valve", f"  {VALVE}\n", "", f"+  {VALVE}"),
)
REFUSED = (
    Damage("sssd.infopipe", "user_attributes = +roles", "user_attributes = -roles", "forbids roles"),
    Damage("sssd.infopipe", "roles:memberOf", "roles:description", "takes roles from description"),
    Damage("sssd.infopipe", "krb5_realm = TPI.TEST", "krb5_realm = OTHER.TEST", "one active domain"),
    Damage("dogtag.ajp", f' requiredSecret="{AJP_SECRET}"', "", "has no secret"),
    Damage("dogtag.ca.authz", "cn=tpi-acls", "cn=aclResources", "our ACLs would not be read"),
    Damage(
        "dogtag.kra.authz", "TPI.pluginName=DirAclAuthz", "TPI.pluginName=BasicAclAuthz", "would not be read"
    ),
)


def live() -> dict[str, FileStep]:
    return {step.id: step for step in ca_host.steps(REALM)}


def damaged(damage: Damage, folder: Path) -> FileStep:
    """Copy the live file, damage the copy, and return its step."""
    source = live()[damage.step].path
    text = source.read_text()
    assert damage.old in text, damage
    copy = folder / source.name
    copy.write_text(text.replace(damage.old, damage.new))
    return STEPS[damage.step](copy)


def test_r_d15_on_the_live_host_nothing_is_left_to_do() -> None:
    """Dogtag has written server.xml and CS.cfg anew since; the steps see the same in them."""
    found = live()
    assert list(found) == [
        "sssd.infopipe",
        "dogtag.ajp",
        "dogtag.ca.valve",
        "dogtag.ca.authz",
        "dogtag.kra.valve",
        "dogtag.kra.authz",
    ]
    for step in found.values():
        assert (step.plan().diff, step.verify()) == ("", ()), step.id


@pytest.mark.parametrize("damage", MENDED, ids=named)
def test_r_d15_damage_is_shown_mended_and_taken_back_to_the_byte(damage: Damage, tmp_path: Path) -> None:
    step = damaged(damage, tmp_path)
    before = step.path.read_bytes()
    plan = step.plan()
    assert damage.shown in plan.diff
    assert AJP_SECRET not in plan.diff
    assert step.verify() != ()
    assert step.path.read_bytes() == before
    step.apply(plan)
    assert step.verify() == ()
    assert step.plan().is_empty
    step.rollback(plan)
    assert step.path.read_bytes() == before


@pytest.mark.parametrize("damage", REFUSED, ids=named)
def test_r_d15_what_contradicts_is_refused_and_left_as_it_is(damage: Damage, tmp_path: Path) -> None:
    step = damaged(damage, tmp_path)
    before = step.path.read_bytes()
    assert damage.shown in " ".join(step.verify())
    assert step.path.read_bytes() == before


def test_r_d15_what_dogtag_has_written_anew_since_is_taken_back_too(tmp_path: Path) -> None:
    """By what was written down when this host was made: no file is the one any more that was made then."""
    found = {plan.step: plan for _, plan in records.kept()}
    assert set(found) == set(STEPS) - {"dogtag.ca.valve"}
    for name, plan in found.items():
        copy = tmp_path / Path(plan.path).name
        copy.write_bytes(Path(plan.path).read_bytes())
        step = STEPS[name](copy)
        step.rollback(replace(plan, path=str(copy)))
        again = step.plan()
        assert [change.place for change in again.changes] == [change.place for change in plan.changes], name
        step.apply(again)
        assert step.verify() == ()
        copy.unlink()


def restart_sssd() -> None:
    """Let SSSD read its configuration, and forget what it knows."""
    subprocess.run(["systemctl", "stop", "sssd"], check=True, capture_output=True)
    for cache in CACHES.glob("*.ldb"):
        cache.unlink()
    # systemd takes a service that is started this often for a broken one.
    subprocess.run(["systemctl", "reset-failed", "sssd"], check=True, capture_output=True)
    subprocess.run(["systemctl", "start", "sssd"], check=True, capture_output=True)


def may_work(ca: CaHost, profile: Profile) -> bool:
    """Tell whether Dogtag knows alice's memberships, and lets her do what they are for."""
    known = ca.roles("alice") != []
    done = [
        ca.call("alice", "POST", f"/profiles/{profile.name}?action={deed}").status
        for deed in ("disable", "enable")
    ]
    assert done == ([204, 204] if known else [403, 403])
    return known


@pytest.fixture
def sssd_conf(tmp_path: Path) -> Iterator[Path]:
    """The live sssd.conf, which is as it was when the test has ended."""
    kept = tmp_path / "kept"
    shutil.copy(SSSD, kept)
    yield SSSD
    if SSSD.read_bytes() != kept.read_bytes():
        SSSD.write_bytes(kept.read_bytes())
        restart_sssd()


# `services` and `user_attributes` are for older versions: SSSD 2.8 starts InfoPipe when it is asked, and gives out
# what the domain maps, whatever `user_attributes` says.
@pytest.mark.parametrize("damage", [MENDED[1], MENDED[3]], ids=named)
def test_r_d03_without_it_dogtag_knows_nobodys_groups(
    ca: CaHost, profile: Profile, damage: Damage, sssd_conf: Path, tmp_path: Path
) -> None:
    """An update of sssd.conf took an item out; the program puts it back, and takes that back again."""
    assert may_work(ca, profile)
    assert damage.old in sssd_conf.read_text()
    sssd_conf.write_text(sssd_conf.read_text().replace(damage.old, damage.new))
    less = sssd_conf.read_bytes()
    restart_sssd()
    assert not may_work(ca, profile)
    shown = program("diff", records=tmp_path)
    assert (shown.returncode, damage.shown in shown.stdout) == (1, True), shown
    assert program("verify", records=tmp_path).returncode == 1
    done = program("apply", records=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    restart_sssd()
    assert may_work(ca, profile)
    back = program("rollback", records=tmp_path)
    assert (back.returncode, sssd_conf.read_bytes()) == (0, less), back


def test_r_d06_a_file_that_dogtag_left_half_written_is_refused(tmp_path: Path) -> None:
    """It was stopped while it started: 8192 bytes of it were left, with all that an instance needs in them."""
    step = live()["dogtag.ca.authz"]
    copy = tmp_path / "CS.cfg"
    copy.write_bytes(step.path.read_bytes()[:8192])
    assert "no whole CS.cfg of a CA" in " ".join(STEPS[step.id](copy).verify())
