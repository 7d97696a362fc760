"""sssd.conf: which domain, which accounts, what is refused, what wins over it."""

import os
import pwd
from pathlib import Path

import pytest
from upgrade_scene import ACCOUNTS, DECLARATION, holding, sssd, wishes

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade.sssd import accounts_here, infopipe_step, read_wishes

DOMAIN = "[domain/tpi.test]\nid_provider = ipa\n"
HEAD = "[sssd]\nservices = nss, ifp\ndomains = tpi.test\n"
READY = (
    HEAD
    + "[ifp]\nallowed_uids = root, 33, ipaapi\nuser_attributes = +roles\n"
    + DOMAIN
    + "ldap_user_extra_attrs = roles:memberof\n"
)


def test_nothing_to_do_where_all_is_there(tmp_path: Path) -> None:
    """R-D03: numbers are accounts too, and attributes do not mind case."""
    step = holding("sssd", tmp_path, READY)
    assert step.plan().is_empty
    assert step.verify() == ()


@pytest.mark.parametrize("absent", ["services = nss, ifp\n", ""])
def test_services_started_by_sockets_are_left_alone(absent: str, tmp_path: Path) -> None:
    text = READY.replace("services = nss, ifp\n", "" if absent else "services =\n")
    assert holding("sssd", tmp_path, text).plan().is_empty


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, "has none"),
        (HEAD + "[domain/tpi.test]\nid_provider = files\n", "has none"),
        (HEAD + DOMAIN + "krb5_realm = OTHER.TEST\n", "has none"),
        (HEAD + DOMAIN + "ipa_domain = other.test\n", "has none"),
        (HEAD + DOMAIN + "enabled = false\n", "has none"),
        (HEAD.replace("tpi.test", "elsewhere") + DOMAIN, "has none"),
        (
            HEAD.replace("tpi.test", "tpi.test, b")
            + DOMAIN
            + "[domain/b]\nid_provider=ipa\nipa_domain=tpi.test",
            r"has \[domain/tpi.test\], \[domain/b\]",
        ),
    ],
)
def test_r_d03_only_the_one_domain_of_the_realm(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        holding("sssd", tmp_path, text).plan()


def test_the_ipa_domain_is_taken_before_an_ldap_one_of_the_same_realm(tmp_path: Path) -> None:
    other = "[domain/people]\nid_provider = ldap\nkrb5_realm = TPI.TEST\n"
    step = holding("sssd", tmp_path, HEAD.replace("tpi.test", "people, tpi.test") + other + DOMAIN)
    step.apply(step.plan())
    text = step.path.read_text()
    assert "[domain/people]\nid_provider = ldap\nkrb5_realm = TPI.TEST\n[domain/tpi.test]" in text
    assert text.count("roles:memberOf") == 1


def test_a_domain_that_is_enabled_by_itself_counts(tmp_path: Path) -> None:
    assert (
        holding("sssd", tmp_path, DOMAIN + "enabled = true\n").plan().changes[-1].place[0]
        == "domain/tpi.test"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("+roles", "+mail, -roles", "forbids roles by a minus sign"),
        ("roles:memberof", "roles:departmentNumber", "takes roles from departmentNumber"),
        ("roles:memberof", "mail, roles", "takes roles from roles"),
    ],
)
def test_r_d03_what_contradicts_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    step = holding("sssd", tmp_path, READY.replace(old, new))
    with pytest.raises(RefusedError, match=said):
        step.plan()
    assert len(step.verify()) == 1


def test_a_file_of_conf_d_that_has_less_is_refused_by_name(tmp_path: Path) -> None:
    """R-D03: it wins over sssd.conf, so an edit there would change nothing."""
    (tmp_path / "conf.d").mkdir()
    step = holding("sssd", tmp_path, READY)
    snippet = tmp_path / "conf.d" / "50-ours.conf"
    snippet.write_text("[IFP]\nallowed_uids = root\n")
    with pytest.raises(RefusedError, match=r"lacks www-data, ipaapi, and .*50-ours\.conf sets it"):
        step.plan()
    snippet.write_text("[ifp]\nallowed_uids = root, www-data, 287, 1000\n")
    assert step.plan().is_empty
    snippet.unlink()
    snippet.with_name(".hidden.conf").write_text("[ifp]\nallowed_uids = root\n")
    snippet.with_name("other.txt").write_text("[ifp]\nallowed_uids = root\n")
    assert step.plan().is_empty
    snippet.write_text("nothing that SSSD reads\n")
    with pytest.raises(ConfigError, match=r"50-ours\.conf, which wins over it, cannot be read; line 1"):
        step.plan()


def test_the_later_file_of_conf_d_wins(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    step = holding("sssd", tmp_path, HEAD + DOMAIN)
    (tmp_path / "conf.d" / "1.conf").write_text("[domain/tpi.test]\nldap_user_extra_attrs = mail\n")
    with pytest.raises(RefusedError, match=r"1\.conf sets it"):
        step.plan()
    (tmp_path / "conf.d" / "2.conf").write_text("[domain/tpi.test]\nldap_user_extra_attrs = roles:memberOf\n")
    assert [change.place for change in step.plan().changes] == [
        ("ifp",),
        ("ifp", "allowed_uids"),
        ("ifp", "user_attributes"),
    ]


def test_a_domain_that_stands_in_conf_d_gets_its_attribute_in_sssd_conf(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "tpi.conf").write_text(DOMAIN)
    step = holding("sssd", tmp_path, HEAD)
    step.apply(step.plan())
    assert step.path.read_text().endswith("\n\n[domain/tpi.test]\nldap_user_extra_attrs = roles:memberOf\n")
    assert step.verify() == ()


def test_accounts_that_are_new_since_the_plan_stop_it(tmp_path: Path) -> None:
    plan = holding("sssd", tmp_path, HEAD + DOMAIN).plan()
    more = infopipe_step(wishes({**ACCOUNTS, "apache": 48}), tmp_path / "file", tmp_path / "conf.d")
    with pytest.raises(RefusedError, match="would not be the planned one any more"):
        more.apply(plan)
    assert (tmp_path / "file").read_text() == HEAD + DOMAIN


def test_accounts_of_this_host_are_those_that_there_are() -> None:
    found = accounts_here(("root", "apache", "www-data", "ipaapi", "nobody-of-this-name"))
    assert found["root"] == 0
    assert all(pwd.getpwnam(name).pw_uid == uid for name, uid in found.items())
    assert found.keys() <= {"root", "apache", "www-data", "ipaapi"}


def test_it_applies_where_there_is_a_file(tmp_path: Path) -> None:
    assert not sssd(tmp_path / "none").applies()
    (tmp_path / "none").touch()
    assert sssd(tmp_path / "none").applies()
    assert os.fspath(infopipe_step(wishes()).path) == "/etc/sssd/sssd.conf"


def test_r_d03_what_ships_is_read() -> None:
    found = read_wishes("TPI.TEST", DECLARATION)
    assert (found.realm, found.services, found.attributes) == ("TPI.TEST", ("ifp",), (("roles", "memberOf"),))
    assert found.accounts == accounts_here(("root", "apache", "www-data", "ipaapi"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("services = ifp\n", "", "nothing else: .sssd. services"),
        ("services = ifp\n", "services = ifp\nenable_files_domain = true\n", "nothing else"),
        ("[domain]", "[domain/tpi.test]", "nothing else"),
        ("+roles", "+roles, +mail", "maps other attributes"),
        ("+roles", "roles", "maps other attributes"),
        ("roles:memberOf", "roles", "maps other attributes"),
        ("roles:memberOf", "roles:", "maps other attributes"),
        ("roles:memberOf", "groups:memberOf", "maps other attributes"),
        ("[sssd]", "[sssd", "names no section"),
    ],
)
def test_r_d03_another_declaration_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = DECLARATION.read_text()
    assert old in text
    (tmp_path / "declaration").write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=said):
        read_wishes("TPI.TEST", tmp_path / "declaration")
