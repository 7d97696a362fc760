"""ca.xml and kra.xml: the valve that tells Dogtag of the caller, where it has to stand, and when it may be put there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upgrade_scene import holding

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade.contexts import VALVE, _Context, context_step

OURS = f'<Valve className="{VALVE}"/>'
ASKS = '<Valve className="com.netscape.cms.tomcat.SSLAuthenticatorWithFallback"/>'


@pytest.mark.parametrize("before", ["", '<Valve className="org.apache.catalina.valves.AccessLogValve"/>'])
def test_r_d05_a_valve_that_is_there_stays(before: str, tmp_path: Path) -> None:
    step = holding("contexts", tmp_path, f"<Context>{before}{OURS}{ASKS}</Context>")
    assert step.plan().is_empty
    assert step.verify() == ()


def test_r_d05_one_that_is_asked_too_late_is_refused(tmp_path: Path) -> None:
    step = holding("contexts", tmp_path, f"<Context>{ASKS}{OURS}</Context>")
    with pytest.raises(RefusedError, match="stands behind com"):
        step.plan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<Context/>", "no valve directly"),
        (f"<Server><Context>{ASKS}</Context></Server>", "no valve directly"),
        ("<Context>", "not well-formed"),
        (f"<!DOCTYPE Context><Context>{ASKS}</Context>", "document type"),
    ],
)
def test_another_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        holding("contexts", tmp_path, text).plan()


def test_r_d05_tomcat_has_to_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "kra.xml"
    path.write_text(f"<Context>{ASKS}</Context>")
    step = context_step("kra", is_stopped=lambda: False, path=path)
    with pytest.raises(RefusedError, match="would load the KRA anew"):
        step.apply(step.plan())
    assert path.read_text() == f"<Context>{ASKS}</Context>"


def test_r_d15_a_valve_that_others_wrote_more_into_goes_whole(tmp_path: Path) -> None:
    step = holding("contexts", tmp_path, f"<Context>\n  {ASKS}\n</Context>\n")
    plan = step.plan()
    step.apply(plan)
    step.path.write_text(step.path.read_text().replace(OURS, f'<Valve\n note="a/>"\n className="{VALVE}" />'))
    step.rollback(plan)
    assert step.path.read_text() == f"<Context>\n  {ASKS}\n</Context>\n"


def test_r_d15_a_valve_with_content_is_left_to_people(tmp_path: Path) -> None:
    step = holding("contexts", tmp_path, f"<Context>{ASKS}</Context>")
    plan = step.plan()
    step.apply(plan)
    more = step.path.read_text().replace(OURS, f'<Valve className="{VALVE}"><Note/></Valve>')
    step.path.write_text(more)
    with pytest.raises(RefusedError, match="Take it out by hand"):
        step.rollback(plan)
    assert step.path.read_text() == more


def test_it_is_freeipas_instance_that_is_meant() -> None:
    step = context_step("kra", is_stopped=lambda: True)
    assert str(step.path) == "/etc/pki/pki-tomcat/Catalina/localhost/kra.xml"


PIECES = st.sampled_from(
    [
        ASKS,
        "<!-- " + OURS + " -->",
        "<Manager a='>'/>",
        f"<Host>{OURS}</Host>",
        "<Valve className='a>b'/>",
        "text",
    ]
)
BLANKS = st.sampled_from(["", " ", "\n", "\r\n", "\n  ", "\r\n\t", " \n\n"])


@given(st.lists(st.tuples(BLANKS, PIECES), max_size=6), BLANKS)
def test_r_d15_whatever_stands_around_it_comes_back(parts: list[tuple[str, str]], last: str) -> None:
    inside = "".join(blanks + piece for blanks, piece in [*parts, ("\n", ASKS)])
    data = f"<Context>{inside}{last}</Context>".encode()
    editor = _Context()
    (change,) = editor.wanted(data)
    assert editor.value(data, change.place) is None
    made = editor.put(data, change.place, change.after)
    assert (editor.value(made, change.place), editor.wanted(made)) == ("", ())
    assert editor.put(made, change.place, change.after) == made
    assert editor.put(made, change.place, None) == data
    assert editor.put(data, change.place, None) == data
    assert editor.put(data, ("Context", "another"), "") == data
