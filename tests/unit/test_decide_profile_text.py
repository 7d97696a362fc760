"""What is read in a profile's text is what Dogtag reads in what is sent, by its reader and by Java's (R-D18)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_examples import GUARDED, NAME, text_of

from ipa_tpi.decide.profile_names import RESERVED, check_reserved
from ipa_tpi.decide.profile_text import (
    MAX_CHARACTERS,
    Configuration,
    check_name,
    difference,
    read_configuration,
    told_configuration,
)
from ipa_tpi.model import Refuse


def simple_properties(text: str) -> dict[str, str]:
    """Read as Dogtag's SimpleProperties does (10.10.2), and trim as its PropConfigStore.getString."""
    found: dict[str, str] = {}
    lines = iter(re.split(r"\r\n|\n|\r", text))
    for first in lines:
        line = first
        if not line or line[0] in "#!":
            continue
        while (len(line) - len(line.rstrip("\\"))) % 2 == 1:
            line = line[:-1] + next(lines, "").lstrip(" \t\r\n\f")
        line = line.lstrip(" \t\r\n\f")
        end = 0
        while end < len(line) and line[end] not in "=: \t\r\n\f":
            end += 2 if line[end] == "\\" else 1
        rest = line[end:].lstrip(" \t\r\n\f")
        found[line[:end]] = (rest[1:] if rest[:1] in {"=", ":"} else rest).strip()
    return found


def java_properties(text: str) -> dict[str, str]:
    """Read as java.util.Properties does: as above, then unescape."""

    def unescape(part: str) -> str:
        part = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), part)
        return re.sub(
            r"\\(.)", lambda found: {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}.get(found[1], found[1]), part
        )

    text = "\n".join("" if line.lstrip(" \t\f")[:1] in {"#", "!"} else line for line in text.split("\n"))
    return {unescape(key): unescape(value) for key, value in simple_properties(text).items() if key}


def read(text: str) -> Configuration:
    found = read_configuration(text, NAME)
    assert isinstance(found, Configuration), found
    return found


KEYS = st.from_regex(r"[A-Za-z0-9_.\\ #!:=-]{0,12}", fullmatch=True)
VALUES = st.text(st.sampled_from("aB1 ,=:#!\\u0041\t$'\"ä\r\x0c"), max_size=12)
LINES = st.one_of(
    st.from_regex(r"[a-zA-Z0-9._-]{1,6} {0,2}= {0,2}[ -\[\]-~]{0,8}", fullmatch=True),
    st.tuples(
        st.sampled_from(["", " ", "#", "  "]), KEYS, st.sampled_from(["=", " = ", ":", " ", ""]), VALUES
    ).map("".join),
    st.sampled_from(
        ["", "# words", "policyset.list=a", "policyset.list=a,b\\", "Policyset.list=x", "enable=true"]
    ),
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_r_d18_whatever_is_accepted_is_read_alike_by_everybody(text: str) -> None:
    found = read_configuration(text, NAME)
    if isinstance(found, Refuse):
        assert found.code == "bad-parameters"
        return
    for reader in (simple_properties, java_properties):
        assert reader(found.text) == found.pairs
        was_there = {key: value for key, value in reader(text).items() if key}
        state = {"enable", "enableBy", "lastModified"}
        own = {"profileId": NAME, "classId": "caEnrollImpl"}
        assert {key: value for key, value in was_there.items() if key not in state} | own == found.pairs
    assert told_configuration(found.text).pairs == found.pairs
    assert read(found.text) == found


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a=x\\", "backslash"),
        ("a=CN=x\\.y", r"\[\.\]"),
        ("\\u0061uth.instance_id=NoAuth", "backslash"),
        ("a=b\rc=d", "U\\+000D"),
        ("a=\0", "U\\+0000"),
        ("a\t=b", "U\\+0009"),
        ("a=ü", "U\\+00FC"),
        ("a=x\u202ey", "U\\+202E"),
        ("  #a=b", "not of the form"),
        (" a=b", "not of the form"),
        ("!a=b", "not of the form"),
        ("a: b=c", "not of the form"),
        ("a b", "not of the form"),
        ("=b", "not of the form"),
        ("a.b=1\na.b=1", "the same key"),
        ("policyset.list=1\nPolicySet.list=2", "the same key"),
        ("profileId=other", "its profileId is 'other'"),
        ("profileid=" + NAME, "letter case"),
        ("classId=caServerCertEnrollImpl", "its classId"),
        ("Enable=true", "letter case"),
        ("a=" + "x" * MAX_CHARACTERS, "more than"),
    ],
)
def test_r_d18_what_can_be_read_in_two_ways_is_refused(line: str, complaint: str) -> None:
    found = read_configuration(f"b=c\n{line}\n", NAME)
    assert isinstance(found, Refuse)
    assert found.code == "bad-parameters"
    assert re.search(complaint, found.message), found.message
    assert found.message.isascii()
    assert len(found.message) < 400


def test_blanks_comments_and_state_are_not_sent() -> None:
    written = f"# of ours\n\n   \na.b = 1, 2 \nb==x:#!\nc=\nenable=true\nenableBy=mallory\nlastModified=1\nprofileId={NAME}\n"
    assert read(written).pairs == {
        "a.b": "1, 2",
        "b": "=x:#!",
        "c": "",
        "profileId": NAME,
        "classId": "caEnrollImpl",
    }
    assert not read(written).enabled


def test_the_text_is_one_whatever_the_order() -> None:
    backwards = text_of(dict(reversed(GUARDED.items())))
    assert read(backwards).text == read(text_of(GUARDED)).text
    assert read(backwards).digest == read(text_of(GUARDED)).digest
    assert len(read(backwards).digest) == 64
    assert read(backwards + "x=1\n").digest != read(backwards).digest


@pytest.mark.parametrize("enabled", ["true", "TRUE"])
def test_what_the_ca_tells_is_taken_as_it_is(enabled: str) -> None:
    told = told_configuration(
        f"#Sat Nov 21\na=ü \nb=\\x\n=\nno pair\nenable={enabled}\nenableBy=alice@TPI.TEST\n"
    )
    assert (told.enabled, told.pairs) == (True, {"a": "ü", "b": "\\x", "": ""})
    assert not told_configuration("a=b\nenable=false\n").enabled
    assert not told_configuration("a=b\n").enabled
    assert told.digest


def test_a_change_is_shown_line_by_line_without_what_could_deceive() -> None:
    old = told_configuration("a=1\nb=\u202e2\nc=3\nenable=true\n")
    new = Configuration({"a": "1", "b": "2", "c": "3"})
    assert difference(old, new) == "@@ -1,3 +1,3 @@\n a=1\n-b=\\u202e2\n+b=2\n c=3\n"
    assert difference(new, new) == ""


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a/b", "ä", "a\n", "a" * 65, "../x", "_a"])
def test_what_is_no_name_is_refused(name: str) -> None:
    refusal = check_name(name)
    assert refusal is not None
    assert refusal.code == "bad-parameters"


@pytest.mark.parametrize("name", ["caIPAserviceCert", "IECUserRoles", "KDCs_PKINIT_Certs", "a", "a" * 64])
def test_profiles_of_freeipa_and_of_sites_are_handled(name: str) -> None:
    assert check_name(name) is None
    assert check_reserved(name) is None


@pytest.mark.parametrize(
    "name", ["caServerCert", "CASERVERCERT", "cacacert", "acmeIPAServerCert", "caManualRenewal"]
)
def test_r_d08_the_cas_own_profiles_are_not_touched_however_they_are_spelled(name: str) -> None:
    refusal = check_reserved(name)
    assert refusal is not None
    assert refusal.code == "profile-reserved"
    assert len(RESERVED) > 100
