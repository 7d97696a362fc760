"""CS.cfg: an instance for the realm that is there is recognised, one that is in the way is refused, a running CA is left alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrade_scene import DATA, holding

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade import properties
from ipa_tpi_upgrade.authz import Instance, authz_step

WHOLE = "cs.type=CA\nusrgrp.ldap=internaldb\n"
HEAD = f"{WHOLE}authz.instance.DirAclAuthz.pluginName=DirAclAuthz\n"
FULL = (
    "authz.instance.{0}.ldap=internaldb\nauthz.instance.{0}.pluginName=DirAclAuthz\n"
    "authz.instance.{0}.realm={1}\nauthz.instance.{0}.searchBase=cn=tpi-acls\n"
)


@pytest.mark.parametrize("realms", ["TPI.TEST", "OTHER.TEST,TPI.TEST", "TPI.TEST,tpi.test"])
@pytest.mark.parametrize("name", ["TPI", "Somebody"])
def test_r_d06_an_instance_for_the_realm_is_recognised(name: str, realms: str, tmp_path: Path) -> None:
    """R-D06: whatever it is called, and whatever else it is for."""
    assert holding("authz", tmp_path, HEAD + FULL.format(name, realms)).plan().is_empty


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FULL.format("TPI", "OTHER.TEST"), "the name is taken"),
        (FULL.format("TPI", "tpi.test"), "the name is taken"),
        ("authz.instance.TPI.pluginName=BasicAclAuthz\n", "the name is taken"),
        (FULL.format("X", "TPI.TEST").replace("tpi-acls", "other"), "with searchBase=cn=other"),
        (FULL.format("X", "TPI.TEST").replace("internaldb", "ldap2"), "with ldap=ldap2"),
        ("authz.instance.X.realm=TPI.TEST\n", "with ldap=, pluginName=, searchBase="),
        (FULL.format("X", "OTHER.TEST, TPI.TEST"), "blank beside it"),
        (FULL.format("X", "TPI.TEST ,A"), "blank beside it"),
        (FULL.format("X", "TPI.TEST") + FULL.format("Y", "TPI.TEST"), "several instances"),
    ],
)
def test_r_d06_what_is_in_the_way_is_refused(text: str, said: str, tmp_path: Path) -> None:
    step = holding("authz", tmp_path, HEAD + text)
    with pytest.raises(RefusedError, match=said):
        step.plan()
    assert step.path.read_text() == HEAD + text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sssd]\n", "no CS.cfg"),
        ("", "no CS.cfg"),
        (HEAD.rstrip() + "\\", "ends with a backslash"),
        (HEAD.rstrip() + "\\\r", "ends with a backslash"),
        (HEAD.rstrip() + "\\\r\n", "ends with a backslash"),
    ],
)
def test_another_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        holding("authz", tmp_path, text).plan()


def test_r_d06_nothing_is_changed_while_the_subsystem_runs(tmp_path: Path) -> None:
    """R-D06: it would write its own CS.cfg over the change. The plan can be looked at meanwhile."""
    running = [True]
    path = tmp_path / "CS.cfg"
    path.write_bytes((DATA / "authz" / "ca-10.10.cfg").read_bytes())
    before = path.read_bytes()
    step = authz_step("ca", Instance("TPI.TEST"), is_stopped=lambda: not running[0], path=path)
    plan = step.plan()
    with pytest.raises(RefusedError, match="the CA is running"):
        step.apply(plan)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

    running[0] = False
    step.apply(plan)
    after = path.read_bytes()
    running[0] = True
    assert step.verify() == ()
    step.apply(plan)  # nothing to do, so nothing to refuse
    with pytest.raises(RefusedError, match="the CA is running"):
        step.rollback(plan)
    assert path.read_bytes() == after


def test_lines_that_only_look_like_instances_are_none(tmp_path: Path) -> None:
    assert len(holding("authz", tmp_path, HEAD + "authz.instance.TPI=x\n").plan().changes) == 4


def test_the_first_line_can_be_taken_out_and_what_is_not_there_is_no_trouble() -> None:
    assert properties.remove(b"a=1\r\nb=2\r\n", "a") == b"b=2\r\n"
    assert properties.remove(b"a=1\n", "b") == b"a=1\n"


def test_each_subsystem_has_its_own_step() -> None:
    step = authz_step("kra", Instance("TPI.TEST"), is_stopped=lambda: True)
    assert (step.id, str(step.path)) == ("dogtag.kra.authz", "/etc/pki/pki-tomcat/kra/CS.cfg")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a=1\nb: 2\rc 3\r\n d\t=\t4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        (b"#a=1\n!b=2\n #c=3\n", {"#c": "3"}),
        (b"a=1\na=2\n", {"a": "2"}),
        (b"a=1\\\n  2\\\\\nb=\\\\\\\n\n", {"a": "12\\\\", "b": "\\\\"}),
        (b"a\\=b=c\\:d\n", {"a\\=b": "c\\:d"}),
        (b"a==b\nc=\nd\n", {"a": "=b", "c": "", "d": ""}),
        (b"\n\n  \n", {"": ""}),
        (b"n\xe4=\xf6", {"nä": "ö"}),
        (b"a=x\\", {"a": "x"}),
    ],
)
def test_read_as_dogtag_reads(data: bytes, expected: dict[str, str]) -> None:
    assert properties.settings(data) == expected


LINE = st.one_of(
    st.sampled_from(
        [
            b"authz.instance.DirAclAuthz.ldap=internaldb",
            b"  authz.instance.X.realm : A,B",
            b"a=1",
            b"# comment \\",
            b"",
            b"list=one,\\",
            b"x=\\\\",
            b"u=\xe4\\u00e4",
        ]
    ),
    st.text(alphabet="ab=: \\#!\t", max_size=6).map(str.encode),
)


@settings(deadline=None)  # on a machine that is busy with boxes
@given(
    st.lists(LINE, max_size=10),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.integers(min_value=0, max_value=9),
)
def test_a_line_is_put_and_taken_out_and_nothing_else_moves(
    texts: list[bytes], eol: bytes, last: bool, place: int
) -> None:
    data = eol.join(texts) + (eol if last else b"")
    anchors = [line for line in properties.lines(data) if line.name and not line.is_unfinished]
    if not anchors:
        return
    anchor = anchors[place % len(anchors)]
    put = properties.insert(data, anchor, "authz.instance.TPI.realm", "TPI.TEST")
    assert properties.settings(put) == {**properties.settings(data), "authz.instance.TPI.realm": "TPI.TEST"}
    assert properties.remove(put, "authz.instance.TPI.realm") == data


@pytest.mark.parametrize("lost", ["cs.type=CA\n", "usrgrp.ldap=internaldb\n", WHOLE])
def test_r_d06_a_file_that_is_cut_off_is_refused(lost: str, tmp_path: Path) -> None:
    """Dogtag was stopped while it wrote; seen on a live host."""
    text = HEAD.replace(lost, "")
    with pytest.raises(ConfigError, match="no whole"):
        holding("authz", tmp_path, text).plan()


def test_r_d06_another_subsystems_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it lacks cs"):
        holding("authz", tmp_path, HEAD.replace("=CA", "=KRA")).plan()
