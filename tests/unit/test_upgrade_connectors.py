"""server.xml: no connector is opened to whoever comes, none is forgotten, no byte but ours is touched."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrade_scene import holding

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade import items, tags
from ipa_tpi_upgrade.connectors import ATTRIBUTES
from ipa_tpi_upgrade.step import Kind

OPEN = '<Server><Service><Connector port="8009" protocol="AJP/1.3" {}/></Service></Server>'
GOOD = 'secret="s"'


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("", "has no secret"),
        ('secret=""', "has no secret"),
        ('requiredSecret=" "', "has no secret"),
        ('secret="" requiredSecret="s"', "has no secret"),
        ('secretRequired="false"', "has no secret"),
        ('secret="${ajp.secret}"', "from a property"),
        ('secret="a" requiredSecret="b"', "two secrets"),
        (GOOD + ' packetSize="large"', "no number"),
        (GOOD + ' packetSize="-1"', "no number"),
        (GOOD + ' TomcatAuthentication="true"', "Tomcat takes for tomcatAuthentication"),
        (GOOD + ' Secret=""', "Tomcat takes for secret"),
    ],
)
def test_r_d05_nobody_is_let_in_without_a_secret(attributes: str, said: str, tmp_path: Path) -> None:
    """R-D05: with tomcatAuthentication=false the secret is all that stands before the port."""
    step = holding("connectors", tmp_path, OPEN.format(attributes))
    with pytest.raises(RefusedError, match=said):
        step.plan()
    assert step.path.read_text() == OPEN.format(attributes)
    assert said in step.verify()[0]


def test_one_connector_without_a_secret_stops_all(tmp_path: Path) -> None:
    both = OPEN.format(GOOD).replace("</Service>", '<Connector protocol="AJP/1.3" port="8010"/></Service>')
    with pytest.raises(RefusedError, match=r"\*:8010 has no secret"):
        holding("connectors", tmp_path, both).plan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<Server/>", "no AJP connector"),
        ("<Server><!-- " + OPEN.format(GOOD) + " --></Server>", "no AJP connector"),
        ("<Server>", "not well-formed"),
        ('<!DOCTYPE Server [<!ENTITY c "x">]>' + OPEN.format(GOOD), "document type"),
        ('<!DOCTYPE Server SYSTEM "file:///etc/passwd"><Server>&c;</Server>', "document type"),
        ('<?xml version="1.0" encoding="cp037"?><Server/>', "cp037, which this program does not edit"),
        (OPEN.format(GOOD).replace("AJP/1.3", "${p}"), "may be one for AJP"),
        (OPEN.format(GOOD).replace("</Service>", OPEN.format(GOOD)[17:-9]), "two of AJP connector"),
    ],
)
def test_what_cannot_be_judged_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, RefusedError), match=said):
        holding("connectors", tmp_path, text).plan()


def test_a_tag_whose_attributes_are_not_found_again_is_refused(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="iso-8859-1"?>' + OPEN.format(GOOD + ' größe="1"')
    with pytest.raises(ConfigError, match="Write them plainly"):
        holding("connectors", tmp_path, text.encode("latin-1")).plan()


def test_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not like ASCII"):
        holding("connectors", tmp_path, OPEN.format(GOOD).encode("utf-16")).plan()


@pytest.mark.parametrize(
    "protocol",
    ["AJP/1.3", "org.apache.coyote.ajp.AjpNioProtocol", "org.apache.coyote.ajp.AjpNio2Protocol", "ajp/1.3"],
)
def test_every_name_of_the_protocol_is_known(protocol: str, tmp_path: Path) -> None:
    step = holding("connectors", tmp_path, OPEN.format(GOOD).replace("AJP/1.3", protocol))
    assert len(step.plan().changes) == 4


def test_a_pattern_that_is_there_goes_on_letting_in(tmp_path: Path) -> None:
    """R-D05: ours stand first, where no flag and no open quotation of theirs reaches them."""
    theirs = r"(?i)JK_.*|\QA|B"
    step = holding("connectors", tmp_path, OPEN.format(GOOD + f' allowedRequestAttributesPattern="{theirs}"'))
    step.apply(step.plan())
    value = ET.fromstring(step.path.read_text())[0][0].attrib["allowedRequestAttributesPattern"]  # noqa: S314
    assert value == "|".join([*ATTRIBUTES, theirs])
    assert re.fullmatch(value.removesuffix("|" + theirs), "REMOTE_USER_GROUP_12")


@pytest.mark.parametrize(
    ("pattern", "alternatives"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a|b|", ("a", "b", "")),
        ("(a|b)|c", ("(a|b)", "c")),
        ("[|]|c", ("[|]", "c")),
        ("[a[|]|]|c", ("[a[|]|]", "c")),
        (r"\||c", (r"\|", "c")),
        (r"\Qa|b\E|c", (r"\Qa|b\E", "c")),
        (r"c|\Qa|b", ("c", r"\Qa|b")),
        (r"(\(|x)|[\]|]|y", (r"(\(|x)", r"[\]|]", "y")),
    ],
)
def test_alternatives_of_a_pattern(pattern: str, alternatives: tuple[str, ...]) -> None:
    assert items.parts(pattern, Kind.ALTERNATIVES) == alternatives


VALUES = st.text(alphabet=st.sampled_from("ab<>&'\"|=ä/ \t"), max_size=8)
NAMES = st.sampled_from(["port", "secret", "a", "secretRequired", "x.y", "packetSize"])


@settings(deadline=None)  # on a machine that is busy with boxes
@given(st.dictionaries(NAMES, VALUES, min_size=1), NAMES, VALUES, st.sampled_from([" ", "\n\t", "\r\n  "]))
def test_an_attribute_is_put_and_taken_out_and_nothing_else_moves(
    attributes: dict[str, str], name: str, value: str, blanks: str
) -> None:
    def quoted(text: str) -> str:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\t", "&#9;")
        return "'" + text.replace("'", "&apos;") + "'"

    inside = "".join(f"{blanks}{key} = {quoted(each)}" for key, each in attributes.items())
    data = f"<!-- <C a='1'/> --><S><?p <C> ?><C{inside} /><![CDATA[<C]]></S>".encode()
    (tag,) = tags.tags(data, "C")
    assert tag.attributes == attributes
    put = tags.with_attribute(data, tag, name, value)
    (after,) = tags.tags(put, "C")
    assert {key: each for key, each in after.attributes.items() if key != name} == {
        key: each for key, each in attributes.items() if key != name
    }
    assert after.attributes[name].split() == value.split()  # a parser makes every blank a space
    if name not in attributes:
        assert tags.with_attribute(put, after, name, None) == data
    else:
        back = tags.with_attribute(put, after, name, attributes[name])
        assert tags.tags(back, "C")[0].attributes[name].split() == attributes[name].split()
