"""What a change looks like to people: no secret in it, and nothing that a terminal would obey."""

import pytest

from ipa_tpi_upgrade.difference import redact_attributes, redact_lines, unified


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ldap_default_authtok = x y", "ldap_default_authtok = (not shown)"),
        ("a=1\ntokenPassword.internal=x\nb=2", "a=1\ntokenPassword.internal=(not shown)\nb=2"),
        ("# old_password = x", "# old_password = (not shown)"),
        ("p11_pin=1234", "p11_pin=(not shown)"),
        ("pin = 1234", "pin = (not shown)"),
        ("ldap_id_mapping = True", "ldap_id_mapping = True"),
        ("services = nss, pam", "services = nss, pam"),
    ],
)
def test_secrets_of_lines_are_not_shown(text: str, shown: str) -> None:
    assert redact_lines(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('<C secret="x" a="1"/>', '<C secret="(not shown)" a="1"/>'),
        ("<C requiredSecret =\n 'x\"y'/>", '<C requiredSecret =\n "(not shown)"/>'),
        ('<!-- <C keystorePass="x"/> -->', '<!-- <C keystorePass="(not shown)"/> -->'),
        (
            '<C secretRequired="true" passwordFile="/f" port="1"/>',
            '<C secretRequired="true" passwordFile="/f" port="1"/>',
        ),
    ],
)
def test_secrets_of_attributes_are_not_shown(text: str, shown: str) -> None:
    assert redact_attributes(text) == shown


def test_control_and_invisible_characters_are_escaped() -> None:
    before = "a\x1b[2Jb\r\n\u202ec\xad\n".encode() + b"\xff\n"
    shown = unified("f", before, before + b"new\n", redact_lines)
    assert "\\x1b[2Jb\\r" in shown
    assert "\\u202ec" in shown
    assert "\\xff" in shown
    assert "+new\n" in shown
    assert "\x1b" not in shown


def test_nothing_is_shown_where_nothing_differs() -> None:
    assert unified("f", b"a\n", b"a\n", redact_lines) == ""
