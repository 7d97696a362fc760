"""sssd.conf is read as SSSD's own library reads it, and no byte but ours is touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrade_scene import read_by_sssd

from ipa_tpi.errors import ConfigError
from ipa_tpi_upgrade import ini

CASES = (
    b"",
    b"[a]\nx = 1\n y = 2\n",
    b"[a]\nx=1\nx = 2 \n[b]\nz=1\n[A]\nX=4\n",
    b"[a]\n# c\n  # d\nx=1\n",
    b"[a]\n # d = 1\n",
    b"[a] # c\nx=1\n",
    b"[a]\nx=a \\\n b\n",
    b"[ a ]\n\nx\t=\ty z\t\r\n",
    b"[a]\nx=\n",
    b"x=1\n[a]\nx=1",
    b"\xef\xbb\xbf[a]\nx=1",
    b"[a]\nnokv\n",
    b"[a]\n/* x\n[b]\n*/\ny=1\n",
    b"[a]\n/* x\n[b]\n */\ny=1\n",
    b"[a]\n/*/\ny=1\n",
    b"[a]\n/**/\ny=1\n",
    b"[a]\n// y=1\n",
    b"[a]\nx=1\n\t\ny=2\n",
    b"[a]\n=1\n",
    b"[a]\nx=b # c\n",
    b"[a]x\n",
    b"[a\n",
    b"[]\nx=1",
    b"[ ]\nx=1",
    b"[a]\rx=1\r",
    b"[a]\n\x0bx=1\n",
    b"[a]\n \x0cx=1\n",
    b"[a]\n\xa0x=1\n",
    b"[[a]]\nx==1=\n",
    "[a]\nä=1\n".encode(),
    "[ä]\nx=1\n".encode(),
    b"[a]\nx\tx=1\n",
    b"[a]\nx!=1\n",
    b"[a\x7f]\nx=1\n",
    b"[a]\n" + b"x" * 1023 + b"=1\n",
    b"[a]\n" + b"x" * 1024 + b"=1\n",
    b"[" + b"x" * 1024 + b"]\n",
    b"[" + b"x" * 1025 + b"]\n",
    b"[a]\nx=" + b"y" * 9000 + b"\n",
    b"[a]\nx y = 1\n",
)
PIECES = (
    "[", "]", "a", "b", "A", " ", "\t", "=", "#", ";", "/", "*", "/*", "*/", "//", "\r", "\n", "\n", "\\", ",",
    "x=1\n", "!", "\x7f", "\x01", "[a]\n", "[b]\r\n", "\x0b", "\x0c", "ä", "ifp",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
NAME = st.sampled_from(["a", "b", "ifp", "domain/tpi.test"])
KEY = st.sampled_from(["x", "allowed uids", "services"])
VALUE = st.sampled_from(["1", "root, apache", "+roles"])
LEAD = st.sampled_from(["", " ", "\t"])
BLANK = st.sampled_from(["", "  "])
LINE = st.one_of(
    st.builds("[{}]".format, NAME),
    st.builds("{}{}{}={}{}".format, LEAD, KEY, BLANK, BLANK, st.one_of(VALUE, st.just(""))),
    st.sampled_from(["", "  ", "# a comment = 1", "; [a]", "// x", "/* [b] */", "other = ünïcode # no comment"]),
)  # fmt: skip
FILES = st.builds(
    lambda lines, eol, last: (eol.join(lines) + (eol if last else "")).encode(),
    st.lists(LINE, max_size=15),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)


def read_here(data: bytes) -> dict[str, dict[str, str]] | None:
    try:
        return {name: found for name, found in ini.settings(data).items() if name != "default"}
    except ConfigError:
        return None


def read_there(data: bytes) -> dict[str, dict[str, str]] | None:
    found = read_by_sssd(data)
    return found and {name: values for name, values in found.items() if name != "default"}


@pytest.mark.parametrize("data", CASES)
def test_read_as_sssd_reads(data: bytes) -> None:
    assert (read_here(data) or {}) == (read_there(data) or {})
    assert (read_here(data) is None) == (read_there(data) is None)


@settings(deadline=None)  # on a machine that is busy with boxes
@given(TEXTS)
def test_anything_is_read_as_sssd_reads_it(text: str) -> None:
    data = text.encode()
    assert (read_here(data) or {}) == (read_there(data) or {})


@settings(deadline=None)  # on a machine that is busy with boxes
@given(FILES, NAME, KEY, VALUE)
def test_a_setting_is_put_and_taken_out_and_nothing_else_moves(
    data: bytes, section: str, key: str, value: str
) -> None:
    begun = ini.begin(data, section)
    put = ini.put(begun, section, key, value)
    before, after = read_by_sssd(data), read_by_sssd(put)
    assert before is not None
    assert after is not None
    old = before.get(section, {}).get(key)
    assert after[section][key] == value
    expected = {name: dict(found) for name, found in before.items()}
    expected.setdefault(section, {})[key] = value
    assert after == expected

    back = ini.put(put, section, key, old)
    if old is None:
        assert back == begun
    if old:
        assert back == data
    if section not in before:
        assert ini.end(ini.put(put, section, key, None), section) == (data or b"")


@settings(deadline=None)  # on a machine that is busy with boxes
@given(FILES, NAME)
def test_a_section_with_something_in_it_stays(data: bytes, section: str) -> None:
    inside = [line for line in ini.lines(data) if line.section == section and not line.begins]
    if any(data[line.start : line.end].strip() for line in inside):
        assert ini.end(data, section) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[a]\nx=\xff\n", "not UTF-8"),
        (b"[a]\nx=1\x00\n", "NUL byte"),
        (b"[a]\nwords\n", "line 2 is neither a setting"),
        (b"[a\n", "line 1 begins with '['"),
        (b"[a]\n\x0bx=1\n", "line 2 begins with a control character"),
        (b"[a]\nx!=1\n", "line 2 names a setting"),
        (b"[a!]\n", "line 1 names a section"),
        (b"/* [a]\n", "does not end"),
    ],
)
def test_what_sssd_would_not_read_is_refused_with_its_line(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")):
        ini.lines(data)
