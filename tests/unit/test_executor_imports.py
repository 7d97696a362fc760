"""What the executor's process does not load: nothing in it opens URLs (E20)."""

import importlib
import sys
from types import ModuleType

import pytest

from ipa_tpi import executor


def test_python_ldap_is_loaded_without_what_opens_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ModuleType]] = []
    monkeypatch.delitem(sys.modules, "ldap")
    monkeypatch.delitem(sys.modules, "urllib.request", raising=False)
    monkeypatch.setattr(
        importlib, "import_module", lambda name: seen.append((name, sys.modules["urllib.request"]))
    )
    executor._import_ldap_alone()
    ((name, stand_in),) = seen
    assert name == "ldap"
    with pytest.raises(OSError, match="opens no URL"):
        stand_in.urlopen("http://localhost/")  # type: ignore[attr-defined]
    assert "urllib.request" not in sys.modules


@pytest.mark.parametrize("there", ["ldap", "urllib.request"])
def test_what_is_loaded_already_is_left_alone(monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    for name in {"ldap", "urllib.request"} - {there}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, there, ModuleType(there))
    monkeypatch.setattr(importlib, "import_module", pytest.fail)
    executor._import_ldap_alone()
