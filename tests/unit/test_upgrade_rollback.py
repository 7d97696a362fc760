"""Taking back what a step did where others have changed the file since: only ours goes, or nothing does."""

from pathlib import Path

import pytest
from upgrade_scene import DATA, STEPS, copied

from ipa_tpi.errors import RefusedError
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.step import Plan


def applied(source: str, folder: Path) -> tuple[FileStep, Plan]:
    step = copied(DATA / source, folder)
    plan = step.plan()
    step.apply(plan)
    return step, plan


def edit(step: FileStep, old: str, new: str) -> str:
    """Change the file as somebody else, and return what it holds."""
    text = step.path.read_text()
    assert old in text
    step.path.write_text(text.replace(old, new))
    return text.replace(old, new)


def test_r_d15_only_our_items_leave_the_lists(tmp_path: Path) -> None:
    step, plan = applied("sssd/freeipa-4.12.conf", tmp_path)
    edit(step, "root, www-data", "root, www-data, 1000")
    edit(step, "+mail, +roles", "+mail,+roles,+phone")
    edit(step, "homedir_substring = /home", "homedir_substring = /srv")
    step.rollback(plan)
    text = step.path.read_text()
    before = (DATA / "sssd/freeipa-4.12.conf").read_text()
    assert text == before.replace("ipaapi, root", "ipaapi, root, 1000").replace(
        "+mail", "+mail,+phone"
    ).replace("/home", "/srv")


def test_r_d15_a_section_that_others_use_now_stays(tmp_path: Path) -> None:
    step, plan = applied("sssd/freeipa-4.6.conf", tmp_path)
    with step.path.open("a") as stream:
        stream.write("wildcard_limit = 10\n")
    step.rollback(plan)
    before = (DATA / "sssd/freeipa-4.6.conf").read_text()
    assert step.path.read_text() == before.removesuffix("\n") + "\n\n[ifp]\nwildcard_limit = 10\n"


def test_r_d15_what_was_taken_out_already_is_no_trouble(tmp_path: Path) -> None:
    step, plan = applied("sssd/freeipa-4.9.conf", tmp_path)
    edit(step, "ldap_user_extra_attrs = roles:memberOf\n", "")
    edit(step, "ipaapi, root, www-data", "ipaapi, root")
    step.rollback(plan)
    assert step.path.read_bytes() == (DATA / "sssd/freeipa-4.9.conf").read_bytes()


def test_r_d15_a_file_that_holds_nothing_of_ours_any_more_stays(tmp_path: Path) -> None:
    step, plan = applied("authz/ca-10.10.cfg", tmp_path)
    text = (DATA / "authz/ca-10.10.cfg").read_text() + "new=1\n"
    step.path.write_text(text)
    inode = step.path.stat().st_ino
    step.rollback(plan)
    assert (step.path.read_text(), step.path.stat().st_ino) == (text, inode)


def test_r_d15_a_value_that_others_changed_is_refused_and_nothing_is_taken_back(tmp_path: Path) -> None:
    step, plan = applied("connectors/pki-11.xml", tmp_path)
    text = edit(step, 'localhost6" name="Connector2"', 'localhost6" name="C2"')
    text = text.replace('tomcatAuthentication="false"', 'tomcatAuthentication="yes"')
    step.path.write_text(text)
    with pytest.raises(RefusedError, match="Nothing was taken back"):
        step.rollback(plan)
    assert step.path.read_text() == text


def test_r_d15_connectors_and_patterns(tmp_path: Path) -> None:
    """A connector that is gone is not missed; what others added to the pattern stays."""
    step, plan = applied("connectors/pki-11.xml", tmp_path)
    lines = step.path.read_text().splitlines(keepends=True)
    step.path.write_text("".join(line for line in lines if "localhost6" not in line))
    edit(step, '|KRB5CCNAME"', '|KRB5CCNAME|OTHER"')
    edit(step, "Secret-Of-11", "New-Secret")
    step.rollback(plan)
    before = (DATA / "connectors/pki-11.xml").read_text().replace("Secret-Of-11", "New-Secret")
    kept = [line for line in before.splitlines(keepends=True) if "localhost6" not in line]
    assert step.path.read_text() == "".join(kept).replace(
        'New-Secret"', 'New-Secret" allowedRequestAttributesPattern="OTHER"'
    )


def test_r_d15_lines_of_cs_cfg(tmp_path: Path) -> None:
    step, plan = applied("authz/ca-10.10.cfg", tmp_path)
    edit(step, "o=ipaca", "o=ca")
    step.rollback(plan)
    assert step.path.read_text() == (DATA / "authz/ca-10.10.cfg").read_text().replace("o=ipaca", "o=ca")


def test_r_d15_a_realm_that_joined_our_instance_stops_the_rollback(tmp_path: Path) -> None:
    step, plan = applied("authz/ca-10.10.cfg", tmp_path)
    text = edit(step, "realm=TPI.TEST", "realm=TPI.TEST,OTHER.TEST")
    with pytest.raises(RefusedError, match=r"is 'TPI\.TEST,OTHER\.TEST' now"):
        step.rollback(plan)
    assert step.path.read_text() == text


def test_a_backup_that_is_not_the_one_is_not_used(tmp_path: Path) -> None:
    step, plan = applied("sssd/freeipa-4.9.conf", tmp_path)
    (backup,) = tmp_path.glob("*.before-ipa-tpi-*")
    backup.write_text("[sssd]\n")
    step.rollback(plan)
    assert step.path.read_bytes() == (DATA / "sssd/freeipa-4.9.conf").read_bytes()


@pytest.mark.parametrize("kind", STEPS)
def test_r_d15_a_file_that_changed_since_the_plan_is_not_touched(kind: str, tmp_path: Path) -> None:
    source = min((DATA / kind).glob("[!a]*")) if kind != "authz" else DATA / "authz/ca-10.10.cfg"
    step = copied(source, tmp_path)
    plan = step.plan()
    with step.path.open("ab") as stream:
        stream.write(b"\n")
    data = step.path.read_bytes()
    with pytest.raises(RefusedError, match="changed since this was planned") as caught:
        step.apply(plan)
    assert caught.value.code == "precondition-changed"
    assert step.path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [step.path]


def test_a_plan_of_another_step_or_file_is_refused(tmp_path: Path) -> None:
    step, _ = applied("sssd/freeipa-4.9.conf", tmp_path)
    _, plan = applied("sssd/freeipa-4.6.conf", tmp_path)
    for act in (step.apply, step.rollback):
        with pytest.raises(RefusedError, match="Use its own"):
            act(plan)
