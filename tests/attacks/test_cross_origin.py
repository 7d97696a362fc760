"""A page of another site lets a person's browser ask: it adds the ticket by itself, and the page gains a vote.

What a browser sends with such a request, and a page cannot unsay, is refused; what a page cannot send unasked it is
never allowed to.
"""

from __future__ import annotations

import json

import pytest
from front import JSON, Answer, ask
from straight import subtree
from world import HOST, World

from ipa_tpi.client import Wish
from ipa_tpi.model import Denial
from ipa_tpi.wire import VoiceBody, encode

FOREIGN = (
    "https://evil.test",
    "null",
    "",
    f"https://{HOST}.evil.test",
    f"https://{HOST}:444",
    f"http://{HOST}",
    f"https://x.{HOST}",
    f"https://{HOST}/",
    f"https://{HOST} https://evil.test",
    f"https://evil.test https://{HOST}",
)
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; x=application/json", "")  # fmt: skip


@pytest.fixture
def request_id(world: World) -> str:
    """A request that bob may deny."""
    return world.request("alice")


def veto(world: World, request_id: str, headers: dict[str, str]) -> Answer:
    """Let bob's browser deny a request, as a page asks it to."""
    about = world.api("bob").show(request_id).approval_digest
    body = encode(VoiceBody(digest=about, comment="cross"))
    return ask(world, "POST", f"/requests/{request_id}/denials", "bob", headers=headers, body=body)


def refused(world: World, answer: Answer, request_id: str, code: str) -> None:
    """Demand a refusal, its record, nothing added, and nothing that a page could read."""
    assert json.loads(answer.body)["code"] == code
    assert answer.cors == []
    assert subtree(world, request_id).of(Denial) == ()
    records = world.audit(request_id, "refused")
    assert records
    assert (records[-1]["code"], records[-1]["caller"]) == (code, "bob@TPI.TEST")


def test_r_e22_another_origin_votes_for_nobody(world: World, request_id: str) -> None:
    for origin in FOREIGN:
        answer = veto(world, request_id, JSON | {"Origin": origin})
        assert answer.status == 403, origin
        refused(world, answer, request_id, "cross-origin")
    assert veto(world, request_id, JSON | {"Origin": f"https://{HOST}"}).status == 200


def test_r_e22_what_the_browser_says_of_the_site_counts(world: World, request_id: str) -> None:
    for site in ("cross-site", "same-site", "", "anything"):
        answer = veto(world, request_id, JSON | {"Sec-Fetch-Site": site, "Origin": f"https://{HOST}"})
        refused(world, answer, request_id, "cross-origin")
    for referer in ("https://evil.test/", f"https://{HOST}.evil.test/", f"http://{HOST}/", "about:blank"):
        answer = veto(world, request_id, JSON | {"Referer": referer})
        refused(world, answer, request_id, "cross-origin")
    own = {"Sec-Fetch-Site": "same-origin", "Referer": f"https://{HOST}/tpi/ui"}
    assert veto(world, request_id, JSON | own).status == 200


def test_r_e22_what_a_form_can_send_is_not_taken(world: World, request_id: str) -> None:
    """Of browsers that tell nothing of where they are: forms and simple requests cannot be JSON."""
    for kind in FORMS:
        answer = veto(world, request_id, {"Content-Type": kind})
        refused(world, answer, request_id, "not-json")
    assert veto(world, request_id, JSON).status == 200


def test_r_e22_nobody_answers_a_preflight(world: World, request_id: str) -> None:
    for person in ("", "bob"):
        for path in ("/requests", f"/requests/{request_id}/denials", "/healthz", "/openapi.yaml"):
            asked = {
                "Origin": "https://evil.test",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            }
            answer = ask(world, "OPTIONS", path, person, headers=asked)
            assert answer.status == 405
            assert answer.cors == []


def test_r_e22_no_answer_may_be_read_by_another_origin(world: World) -> None:
    for origin in ("https://evil.test", f"https://{HOST}", "null"):
        for path, person in (("/requests", "bob"), ("/requests", ""), ("/healthz", ""), ("/nothing", "bob")):
            answer = ask(world, "GET", path, person, headers={"Origin": origin})
            assert answer.cors == []
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert "Set-Cookie" not in answer.headers


def test_r_e22_a_request_is_made_by_no_page(world: World) -> None:
    """Not even the reading that comes before: what a page learns of its answer is nothing, and it is refused."""
    made = world.api("alice").create(Wish("dirsrv.restart", HOST, {"instance": "DS01"}))
    answer = ask(world, "GET", f"/requests/{made.id}", "alice", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "cross-origin")
    assert made.id.encode() not in answer.body.replace(
        b'"instance":"/tpi/v1/requests/' + made.id.encode(), b""
    )
