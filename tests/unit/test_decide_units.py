"""Which units `systemd.unit.*` may name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.decide.units import check_unit
from ipa_tpi.model import Refuse

GOOD = (
    "a.service",
    "sshd.socket",
    "fstrim.timer",
    "x@1.service",
    "my\\x2dunit.path",
    "ipa.service",
    "a-b_c:d.service",
)
BAD = (
    "",
    "a",
    ".service",
    "a.target",
    "a.mount",
    "a.slice",
    "@.service",
    "a@.service",
    "a b.service",
    "../a.service",
)
WORSE = (
    "a.service\n",
    "a.Service",
    "ä.service",
    "a/b.service",
    "-.slice",
    "a.service.service@",
    "a@b@c.service",
)
RESERVED = (
    "dirsrv@DS01.service",
    "dirsrv-snmp.service",
    "krb5-kdc.service",
    "krb5kdc.service",
    "kadmin.service",
    "gssproxy.service",
    "dbus.service",
    "dbus.socket",
    "dbus-broker.service",
    "polkit.service",
    "ipa-tpi-executor.service",
    "ipa-tpi-validate@1.service",
    "IPA-TPI-executor.service",
    "systemd-reboot.service",
    "systemd-poweroff.service",
    "emergency.service",
)


def code(unit: str, *, reading: bool = False) -> str:
    """Give the refusal's code."""
    refusal = check_unit(unit, reading=reading)
    return refusal.code if isinstance(refusal, Refuse) else ""


@pytest.mark.parametrize("unit", GOOD)
def test_units_that_may_be_named(unit: str) -> None:
    assert code(unit) == code(unit, reading=True) == ""


@pytest.mark.parametrize("unit", [*BAD, *WORSE])
def test_what_is_no_full_name_of_one_unit(unit: str) -> None:
    assert code(unit) == code(unit, reading=True) == "bad-parameters"


@pytest.mark.parametrize("unit", RESERVED)
def test_reserved_units_are_only_read(unit: str) -> None:
    assert (code(unit), code(unit, reading=True)) == ("unit-reserved", "")


@given(st.text())
def test_any_text_is_refused_or_a_plain_name(text: str) -> None:
    if code(text) == "":
        assert text.isascii()
        assert "/" not in text
        assert text.rpartition(".")[2] in {"service", "socket", "timer", "path"}
