"""What the executor's process loads: nothing that opens URLs, and no part of a web server or a shell (E23)."""

import subprocess
import sys

from ipa_tpi import executor

_NEVER = {
    "http.client",
    "email.parser",
    "ssl",
    "urllib.request",
    "flask",
    "werkzeug",
    "requests",
    "pickle",
    "rich",
}


def _printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_loads_no_http_client() -> None:
    modules = set(_printed("import sys, ipa_tpi.executor.daemon; print(*sys.modules)").split())
    assert {"ldap", "ipa_tpi.adapters.directory"} <= modules
    assert not _NEVER & modules


def test_what_ldap_would_open_urls_with_refuses_and_is_nobody_elses() -> None:
    code = (
        "import ipa_tpi.executor, ldap.schema.subentry as subentry, urllib.request\n"
        "print(urllib.request.urlopen is subentry.urlopen, callable(urllib.request.build_opener))\n"
        "try:\n subentry.urlopen('file:///etc/hostname')\n"
        "except OSError as error:\n print(error)"
    )
    assert _printed(code) == "False True\nthe executor opens no URL"


def test_who_has_loaded_it_already_keeps_it() -> None:
    code = (
        "import urllib.request, ipa_tpi.executor, ldap.schema.subentry as subentry\n"
        "print(urllib.request.urlopen is subentry.urlopen)"
    )
    assert _printed(code) == "True"
    executor._import_ldap_alone()  # once more does nothing
