"""Text that shows as something else than it is: escape sequences, reversed and invisible characters.

An approver would read "DS02" where "DS01" stands, or not see the reason at all.
"""

from __future__ import annotations

import json

import pytest
from straight import (
    add_request,
    add_voice,
    digests,
    draft,
    ended,
    never_intended,
    prove,
    refused_by_web,
    settle,
)
from world import HOST, World

from ipa_tpi.client import Wish
from ipa_tpi.decide.digest import request_digest
from ipa_tpi.model import Purpose
from ipa_tpi.wire import RequestBody, VoiceBody

TEXTS = {
    "escape sequence": "harmless\x1b[2K\x1b[1Gapproved",
    "8-bit escape": "harmless\x9b2K",
    "right to left": "restart \u202e10SD",
    "isolate": "\u2066DS02\u2069",
    "zero width": "DS\u200b01",
    "byte order mark": "\ufeffDS01",
    "soft hyphen": "DS\u00ad01",
    "tags": "DS01\U000e0041",
    "new line": "fine\nrequester: bob@TPI.TEST",
    "line separator": "fine\u2028requester: bob",
    "bell": "\x07",
    "delete": "DS0\x7f1",
    "private": "\ue000",
}  # fmt: skip


def body(world: World, **changes: str) -> RequestBody:
    """Make what a hostile client posts."""
    wanted = draft(world, "alice", **changes)
    return RequestBody(
        id=wanted.id,
        operation=wanted.operation,
        operation_digest=wanted.operation_digest.hex(),
        target=HOST,
        parameters=dict(wanted.parameters),
        digest=wanted.digest.hex(),
        reason=wanted.reason,
        ticket=wanted.ticket,
        interface="cli",
    )


def test_the_web_service_takes_no_such_text(world: World) -> None:
    api = world.api("alice")
    for text in TEXTS.values():
        for field in ("reason", "ticket"):
            with refused_by_web("text-not-allowed"):
                api._post("/requests", body(world, **{field: text}))
        with refused_by_web("bad-parameters"):
            api._post("/requests", body(world, parameters={"instance": text}))
        with refused_by_web("text-not-allowed"):
            api.create(Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason=text))


def test_the_web_service_takes_no_such_comment(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    for text in TEXTS.values():
        with refused_by_web("text-not-allowed"):
            world.api("bob")._post(
                f"/requests/{request_id}/denials", VoiceBody(digest=about.hex(), comment=text)
            )


@pytest.mark.parametrize("name", TEXTS)
def test_the_executor_runs_nothing_with_such_a_text(world: World, name: str) -> None:
    """Straight to the directory, which stores what it gets; with a right digest and a right proof."""
    wanted = draft(world, "alice", reason=TEXTS[name])
    add_request(world.ldap("alice"), wanted)
    prove(world, "alice", wanted.id, Purpose.REQUEST, wanted.digest)
    assert ended(world, wanted.id) == ("denied", "malformed-request")
    never_intended(world, wanted.id)


def test_the_executor_takes_no_such_parameter(world: World) -> None:
    texts = {
        "DS01\n": "bad-parameters",  # some operations take several lines, and this one does not
        "DS01\r": "malformed-request",
        "\u202eDS01": "malformed-request",
        "DS01\x00": "malformed-request",
    }
    texts |= dict.fromkeys(
        ("../DS01", "DS01 DS02", "", "D" * 65, "DS01.service", "dirsrv@DS01"), "bad-parameters"
    )
    for text, code in texts.items():
        wanted = draft(world, "alice", parameters={"instance": text})
        add_request(world.ldap("alice"), wanted)
        prove(world, "alice", wanted.id, Purpose.REQUEST, wanted.digest)
        assert ended(world, wanted.id) == ("denied", code)
        never_intended(world, wanted.id)


def test_such_a_comment_denies_and_is_shown_escaped(world: World) -> None:
    request_id = world.request("alice")
    add_voice(
        world.ldap("bob"),
        request_id,
        "ipaTpiApproval",
        digests(world, request_id).approval,
        ipaTpiComment="looks\x1b[2Kgood\u202e".encode(),
    )
    assert ended(world, request_id) == ("denied", "malformed-entry")
    done = world.cli("carol", "show", request_id)
    assert "\x1b" not in done.out + done.err
    assert "\u202e" not in done.out + done.err


def test_the_cli_shows_it_escaped(world: World) -> None:
    """What a hostile server, or an older one, sends: the last line of defence is the terminal's."""
    request_id = world.request("alice", reason="plain")
    from ipa_tpi.cli.render import safe  # noqa: PLC0415

    for text in TEXTS.values():
        shown = safe(text)
        assert shown.isprintable()
        assert all(ord(character) >= 0x20 for character in shown)
    assert json.loads(world.cli("bob", "show", request_id, "--json").out)["reason"] == "plain"
    settle(world, request_id, "alice")


def test_what_lies_there_malformed_harms_no_list(world: World) -> None:
    """One hostile request does not hide the others, nor take the list down."""
    good = world.request("bob")
    wanted = draft(world, "alice", reason=TEXTS["escape sequence"])
    add_request(world.ldap("alice"), wanted)
    done = world.cli("carol", "list")
    assert done.status == 0
    assert good[:8] in done.out
    assert "\x1b" not in done.out + done.err
    done = world.cli("carol", "show", wanted.id)
    assert done.status != 0
    assert "\x1b" not in done.out + done.err
    assert request_digest(wanted, "alice@TPI.TEST") == wanted.digest
