"""What every transport to Dogtag does, whoever calls by it: one set of cases for the fake CA and for the real one (D12).

`tests/unit/test_adapters_dogtag_transport.py` runs them on a fake, `tests/ca/test_transports.py` on the real CA: an
answer that the fake gives is one that Dogtag 10.10.2 or Apache gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from ipa_tpi.errors import AuthorityUnavailableError
from ipa_tpi.ports import DogtagTransport

LARGEST = 1024 * 1024


class Scene(Protocol):
    """Somebody who may call, and a CA."""

    def transport(self, *, ca_file: str = "", port: int = 0) -> DogtagTransport:
        """Give a transport; to another port, or believing another authority, where that is said."""

    def foreign_authority(self) -> str:
        """Give the PEM file of an authority that has not signed for the CA's host."""


Case = Callable[[Scene], None]


def reads(scene: Scene) -> None:
    status, told = scene.transport().call("GET", "/info")
    assert (status, told["Attributes"]) == (200, {"Attribute": []})


def sends_json(scene: Scene) -> None:
    status, told = scene.transport().call("POST", "/certs/search", {})
    assert status == 200
    assert told["total"] >= 1


def sends_text_as_it_is(scene: Scene) -> None:
    status, told = scene.transport().call("POST", "/profiles/raw", "nonsense=1\n")
    assert (status, told["Message"]) == (400, "Unable to create profile: Missing profile ID")


def gives_a_refusal_with_its_words(scene: Scene) -> None:
    status, told = scene.transport().call("GET", "/certs/0xfffffff")
    assert (status, told["Message"]) == (404, "Certificate ID 0xfffffff not found")


def gives_an_answer_without_json(scene: Scene) -> None:
    assert scene.transport().call("GET", "/nothing") == (404, None)


def gives_the_text_of_a_success_that_has_no_json(scene: Scene) -> None:
    status, told = scene.transport().call("GET", "/profiles/caUserCert/raw")
    assert (status, type(told)) == (200, str)
    assert "\nprofileId=caUserCert\n" in told


def calls_again(scene: Scene) -> None:
    transport = scene.transport()
    assert [transport.call("GET", "/info")[0] for _ in range(2)] == [200, 200]


def is_refused_what_is_too_large(scene: Scene) -> None:
    assert scene.transport().call("POST", "/certs/search", "x" * (LARGEST + 1)) == (403, None)


def is_refused_another_method(scene: Scene) -> None:
    assert scene.transport().call("OPTIONS", "/info") == (403, None)


def says_that_nobody_listens(scene: Scene) -> None:
    with pytest.raises(AuthorityUnavailableError, match="systemctl status"):
        scene.transport(port=9).call("GET", "/info")


def believes_no_other_authority(scene: Scene) -> None:
    with pytest.raises(AuthorityUnavailableError, match="certificate verify failed"):
        scene.transport(ca_file=scene.foreign_authority()).call("GET", "/info")


def asks_nobody_without_an_authority(scene: Scene) -> None:
    with pytest.raises(AuthorityUnavailableError, match="cannot be read"):
        scene.transport(ca_file="/nowhere/ca.crt").call("GET", "/info")


CASES: tuple[Case, ...] = (
    reads,
    sends_json,
    sends_text_as_it_is,
    gives_a_refusal_with_its_words,
    gives_an_answer_without_json,
    gives_the_text_of_a_success_that_has_no_json,
    calls_again,
    is_refused_what_is_too_large,
    is_refused_another_method,
    says_that_nobody_listens,
    believes_no_other_authority,
    asks_nobody_without_an_authority,
)
