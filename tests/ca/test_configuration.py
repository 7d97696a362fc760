"""Profiles and sub-CAs of the real CA, by the executor's own operations and way, as alice (D16, R-D18, K01)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import ca_operator
import pytest
from ca_guarded import guarded_text
from ca_host import TLS_AUTHORITY, CaHost, certificate_request

from ipa_tpi.adapters.dogtag import Dogtag, OperatorLocation, ProxyTicket
from ipa_tpi.decide.profile_text import told_configuration
from ipa_tpi.errors import ActionFailedError, AuthorityUnavailableError, RefusedError
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.operations import operation
from lab.layout import CA_HOST

PLACE = OperatorLocation(CA_HOST, ca_operator.PORT, TLS_AUTHORITY)


def means(ca: CaHost, person: str = "alice") -> Means:
    authority = Dogtag(ProxyTicket(PLACE, ca_operator.evidence(ca.ccache(person))))
    return Means(None, authority)  # type: ignore[arg-type]


def run(name: str, with_: Means, /, **parameters: str) -> str:
    """Let an operation go its way: show, compare, act; give what it told in the end."""
    wanted = operation(name)
    _, precondition = wanted.preview(parameters, with_)
    assert wanted.precondition(parameters, with_) == precondition
    return wanted.act(parameters, with_, 60).excerpt


def new_name() -> str:
    return f"cfg{uuid.uuid4().hex[:8]}"


def names(ca: CaHost) -> set[str]:
    authority = means(ca).authority
    assert authority is not None
    return set(authority.profiles.names())


@pytest.fixture(scope="module")
def profile(ca: CaHost) -> str:
    """A guarded profile, imported and enabled; nobody sees it at Dogtag, as with FreeIPA's own."""
    name = new_name()
    as_alice = means(ca)
    imported = run("dogtag.profile.import", as_alice, profile=name, configuration=guarded_text(name))
    assert imported == f"imported {name}: it is disabled"
    assert run("dogtag.profile.enable", as_alice, profile=name) == f"enabled {name}: it is enabled"
    return name


def enrolled(ca: CaHost, profile: str) -> str:
    answer = ca.enroll("alice", profile, certificate_request("alice"))
    entries = answer.json.get("entries") if answer.json else None
    return f"{answer.status} {entries[0]['requestStatus'] if entries else answer.text}"


def test_a(ca, profile):
    print(enrolled(ca, profile), len(names(ca)), profile in names(ca))
    print(
        run("dogtag.profile.modify", means(ca), profile=profile, configuration=guarded_text(profile, days=20))
    )
    print(
        operation("dogtag.profile.modify").preview(
            {"profile": profile, "configuration": guarded_text(profile, days=10)}, means(ca)
        )
    )
    print(run("dogtag.profile.disable", means(ca), profile=profile))
    print(means(ca).authority.profiles.read(profile))
    print(run("dogtag.ca.create", means(ca), name="sub1", subject="CN=Sub " + profile + ", O=TPI.TEST"))
    for a in means(ca).authority.authorities.known():
        print(a)
    print(run("dogtag.ca.disable", means(ca), authority=a.id))
    print(run("dogtag.ca.enable", means(ca), authority=a.id))
