"""The application over fakes: its paths, its refusals before the flow, and what no answer lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict
from web_scene import ORIGIN, PREFIX, Web, problem
from werkzeug.test import TestResponse

from ipa_tpi.errors import HTTP_STATUS, DirectoryUnavailableError, KerberosError, RefusedError
from ipa_tpi.flow import Event
from ipa_tpi.ports import NewEntry
from ipa_tpi.web.problems import HEADERS, from_error
from ipa_tpi.wire import DEFAULT_LISTED, encode
from tests.fakes import HOST, OTHER_HOST, REALM, new_id, person_dn

# Fixed, since names of cases must be the same in every worker.
SOME_ID = "952b367a-1f7f-42d6-bc99-b5e29fbfeb4f"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "ccache")


def told(answer: TestResponse, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.data
    assert answer.content_type == "application/json"
    value: dict[str, Any] = json.loads(answer.data)
    return value


class TestTheWay:
    def test_from_request_to_result(self, web: Web) -> None:
        body = web.scene.body(reason="it hangs")
        answer = web.post("/requests", body)
        view = told(answer, 201)
        assert answer.headers["Location"] == f"{PREFIX}/requests/{body.id}"
        assert (view["id"], view["requester"], view["state"]) == (
            body.id,
            f"alice@{REALM}",
            "awaiting-preview",
        )
        assert (view["mine"], view["approvable"]) == (True, False)
        assert "same user" in view["why_not"]
        assert view["digest"] == body.digest
        path = f"/requests/{body.id}"
        web.scene.executor.receipt(body.id, "request")
        web.scene.executor.preview(body.id, {"unit": "dirsrv@DS01"})
        seen = told(web.get(path, "bob"))
        assert (seen["state"], seen["approvable"], seen["why_not"]) == ("pending", True, "")
        assert json.loads(seen["preview"]["body"]) == {"shown": {"unit": "dirsrv@DS01"}, "precondition": {}}
        assert seen["seconds_left"] == 300
        assert seen["expires"].startswith("2026-01-02T03:09:05")
        voice = web.scene.voice("bob", body.id, "approve", comment="yes")
        after = told(web.post(path + "/approvals", voice, "bob"))
        assert after["approvals"][0] | {"who": f"bob@{REALM}", "comment": "yes"} == after["approvals"][0]
        assert (after["approvals"][0]["counts"], after["approvals"][0]["code"]) == (False, "proof-missing")
        web.scene.executor.receipt(body.id, "approve")
        assert told(web.get(path))["approvals"][0]["counts"] is True
        web.scene.executor.execution(body.id)
        assert told(web.get(path))["state"] == "executing"
        web.scene.executor.result(body.id)
        ended = told(web.get(path))
        assert (ended["state"], ended["expires"], ended["seconds_left"]) == ("executed", None, 0)
        assert ended["result"]["excerpt"] == "done"

    def test_the_other_verbs(self, web: Web) -> None:
        request_id = web.scene.approved()
        path = f"/requests/{request_id}"
        prove = web.scene.voice("bob", request_id, "approve").proof
        assert told(web.post(path + "/proofs", prove, "bob"))["state"] == "approved"
        withdraw = web.scene.voice("bob", request_id, "withdraw")
        view = told(web.post(path + "/withdrawal", withdraw, "bob"))
        assert (view["state"], view["withdrawals"][0]["counts"]) == ("pending", True)
        assert view["approvals"][0]["code"] == "withdrawn"
        deny = web.scene.voice("carol", request_id, "deny", comment="no")
        view = told(web.post(path + "/denials", deny, "carol"))
        assert (view["state"], view["denials"][0]["who"], view["denials"][0]["counts"]) == (
            "denied",
            f"carol@{REALM}",
            True,
        )
        other = web.scene.pending().subtree.request.id
        cancel = web.scene.voice("alice", other, "cancel")
        view = told(web.post(f"/requests/{other}/cancellation", cancel))
        assert (view["state"], view["cancellations"][0]["counts"]) == ("cancelled", True)

    def test_lists(self, web: Web) -> None:
        request_id = web.scene.pending().subtree.request.id
        for query, uid, count in (
            ("", "alice", 1),
            ("?state=pending", "bob", 1),
            ("?state=expired", "bob", 0),
            ("?mine=true", "bob", 0),
            ("?mine=true", "alice", 1),
            ("?approvable=true&state=pending", "bob", 1),
            ("?approvable=false", "bob", 1),
            (f"?host={HOST.upper()}&user=alice", "bob", 1),
            (f"?host={OTHER_HOST}", "bob", 0),
            ("?approver=carol", "bob", 0),
            ("?outcome=executed", "bob", 0),
            ("", "dave", 0),
        ):
            found = told(web.get("/requests" + query, uid))["requests"]
            assert [view["id"] for view in found] == [request_id] * count, (query, uid)

    def test_operations(self, web: Web) -> None:
        view = told(web.get("/operations"))
        assert view["malformed"] == {}
        (operation,) = view["operations"]
        assert operation["name"] == "dirsrv.restart"
        assert operation["interfaces"] == ["cli", "framework", "web"]
        assert operation["parameters"] == {
            "instance": {"pattern": "[A-Za-z0-9_-]{1,64}", "values": [], "lines": False}
        }
        assert operation["floor"] == {
            "required_approvals": 1,
            "proof": True,
            "values": {"instance": ["DS01", "TPI-TEST"]},
        }
        assert operation["pending_limit"] == 3
        assert (view["host"], view["hosts"]) == ("localhost", ["localhost", "other.tpi.test"])
        web.scene.floor(operations={})
        web.scene.realm.define(
            ipaTpiParameterSchema='{"mode":{"pattern":".*","values":["b","a"]}}', ipaTpiPendingLimit="2"
        )
        (operation,) = told(web.get("/operations"))["operations"]
        assert operation["parameters"] == {"mode": {"pattern": ".*", "values": ["a", "b"], "lines": False}}
        assert (operation["floor"], operation["pending_limit"]) == (None, 2)

    def test_x11_what_a_proofs_ticket_must_be_by_definition_and_floor(self, web: Web) -> None:
        """The stricter of both; another host's floor is not known here."""
        web.scene.realm.define(ipaTpiFreshSeconds="60", ipaTpiAuthIndicator="otp")
        floor = web.scene.site.floor.operations
        name = next(iter(floor))
        web.scene.floor(operations={name: replace(floor[name], fresh_seconds=20)})
        (operation,) = told(web.get("/operations"))["operations"]
        assert (operation["fresh_seconds"], operation["indicators"]) == (20, ["otp"])
        for target, seconds in ((HOST, 20), (OTHER_HOST, 60)):
            body = web.scene.body(target=target)
            view = told(web.post("/requests", body), 201)
            assert (view["fresh_seconds"], view["indicators"]) == (seconds, ["otp"]), target

    def test_a_list_has_an_end(self, web: Web) -> None:
        made = [web.scene.pending(uid).subtree.request.id for uid in ("alice", "bob", "carol")]
        whole = told(web.get("/requests", "frank"))
        assert (sorted(one["id"] for one in whole["requests"]), whole["more"]) == (sorted(made), False)
        first = told(web.get("/requests?limit=2", "frank"))
        assert (first["requests"], first["more"]) == (whole["requests"][:2], True)
        rest = told(web.get(f"/requests?before={first['requests'][1]['id']}", "frank"))
        assert (rest["requests"], rest["more"]) == (whole["requests"][2:], False)
        found = told(web.get(f"/requests?prefix={made[0][:8]}", "frank"))["requests"]
        assert [one["id"] for one in found] == made[:1]

    def test_a_list_without_a_limit_has_one(self, web: Web) -> None:
        web.scene.floor(pending_per_person=1000, pending_per_operation=1000)
        for _ in range(DEFAULT_LISTED + 1):
            web.scene.create()
        page = told(web.get("/requests"))
        assert (len(page["requests"]), page["more"]) == (DEFAULT_LISTED, True)
        assert not told(web.get(f"/requests?limit={DEFAULT_LISTED + 1}"))["more"]

    def test_r_k16_approvers(self, web: Web) -> None:
        request_id = web.scene.pending().subtree.request.id
        path = f"/requests/{request_id}/approvers"
        view = told(web.get(path))
        assert {name: view[name] for name in ("id", "state", "missing", "available", "enough")} == {
            "id": request_id,
            "state": "pending",
            "missing": 1,
            "available": 3,
            "enough": True,
        }
        assert [one["chance"] for one in view["candidates"]] == ["can"] * 4 + ["cannot"]
        assert view["candidates"][-1]["code"] == "self-approval"
        (bob,) = told(web.get(path + "?user=bob", "frank"))["candidates"]
        assert bob == {"principal": f"bob@{REALM}", "name": "Bob", "chance": "can", "code": "", "message": ""}
        problem(web.get(path, "dave"), "not-found", 404)

    def test_how_long_it_can_take(self, web: Web) -> None:
        scene = web.scene
        request_id = scene.pending().subtree.request.id

        def times() -> tuple[int, int, str | None]:
            view = told(web.get(f"/requests/{request_id}"))
            return view["seconds_left"], view["seconds_to_end"], view["begun"]

        assert times() == (300, 300 + 300 + 60, None)
        scene.clock.pass_seconds(100)
        scene.approve("bob", request_id)
        scene.executor.receipt(request_id, "approve")
        assert times() == (300, 300 + 300 + 60, None)
        scene.clock.pass_seconds(100)
        begun = scene.clock()
        scene.executor.execution(request_id)
        scene.clock.pass_seconds(10)
        assert times() == (190, 300 + 60 - 10, begun.isoformat().replace("+00:00", "Z"))
        scene.executor.result(request_id)
        assert times()[:2] == (0, 0)

    def test_every_connection_is_the_callers_and_is_closed(self, web: Web) -> None:
        web.get("/requests")
        web.get(f"/requests/{new_id()}", "bob")
        web.post("/requests", web.scene.body("grace", id="x"), "grace")
        assert [caller.principal for caller in web.callers] == [f"alice@{REALM}", f"bob@{REALM}"]
        assert {caller.ccache for caller in web.callers} == {f"FILE:{web.ccache}"}
        assert all(directory.closed for directory in web.opened)

    def test_the_health_needs_nobody_and_reaches_nothing(self, web: Web) -> None:
        web.scene.audit.broken.add("*")
        assert web.get("/healthz", None).data == b'{"status":"ok"}'
        assert web.callers == []

    def test_mounted_below_a_prefix_as_by_wsgi_script_alias(self, web: Web) -> None:
        for script, path in ((PREFIX, "/requests"), ("", PREFIX + "/requests"), ("/tpi", "/v1/requests")):
            overrides = web.environ("alice") | {"SCRIPT_NAME": script, "PATH_INFO": path}
            assert web.client.open("/", environ_overrides=overrides).status_code == 200


class TestCallers:
    @pytest.mark.parametrize(
        ("changes", "code", "status"),
        [
            ({"REMOTE_USER": ""}, "unauthenticated", 401),
            ({"GSS_NAME": ""}, "unauthenticated", 401),
            ({"AUTH_TYPE": "Basic"}, "unauthenticated", 401),
            ({"AUTH_TYPE": ""}, "unauthenticated", 401),
            ({"GSS_NAME": f"bob@{REALM}"}, "caller-mismatch", 403),
            ({"REMOTE_USER": "alice"}, "caller-mismatch", 403),
            ({"KRB5CCNAME": ""}, "no-ticket", 403),
            ({"KRB5CCNAME": "KEYRING:persistent:0"}, "no-ticket", 403),
            ({"KRB5CCNAME": "FILE:/nowhere/ccache"}, "no-ticket", 403),
            ({"KRB5CCNAME": "FILE:ccache"}, "no-ticket", 403),
            ({"KRB5CCNAME": "FILE:/"}, "no-ticket", 403),
        ],
    )
    def test_only_what_apache_says(self, web: Web, changes: dict[str, str], code: str, status: int) -> None:
        answer = web.get("/requests", environ=changes)
        problem(answer, code, status)
        assert (answer.headers.get("WWW-Authenticate") == "Negotiate") is (status == 401)
        assert web.callers == []
        assert web.scene.audit.codes() == [code]

    def test_a_refusal_is_recorded_with_whom_apache_named(self, web: Web) -> None:
        web.get("/requests", environ={"KRB5CCNAME": ""})
        web.get("/requests", None)
        web.get("/nothing")
        assert [record["caller"] for record in web.scene.audit.records] == [
            f"alice@{REALM}",
            "",
            f"alice@{REALM}",
        ]

    def test_only_a_whole_path_of_a_file(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(web.ccache.parent)
        for name in (str(web.ccache), f"FILE:{web.ccache.name}", f"DIR:{web.ccache}", f"file:{web.ccache}"):
            problem(web.get("/requests", environ={"KRB5CCNAME": name}), "no-ticket", 403)
        assert web.callers == []

    def test_a_path_that_climbs_or_a_link(self, web: Web) -> None:
        link = web.ccache.parent / "link"
        link.symlink_to(web.ccache)
        (web.ccache.parent / "below").mkdir()
        for path in (link, web.ccache.parent / "below" / ".." / "ccache"):
            problem(web.get("/requests", environ={"KRB5CCNAME": f"FILE:{path}"}), "no-ticket", 403)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Remote-User": "bob@TPI.TEST"},
            {"Gss-Name": "bob@TPI.TEST"},
            {"X-Remote-User": "bob@TPI.TEST"},
            {"X-Forwarded-User": "bob@TPI.TEST"},
            {"Krb5ccname": "FILE:/etc/passwd"},
        ],
    )
    def test_never_a_header(self, web: Web, headers: dict[str, str]) -> None:
        problem(web.get("/requests", None, headers=headers), "unauthenticated", 401)
        web.get("/requests", "alice", headers=headers)
        assert [caller.principal for caller in web.callers] == [f"alice@{REALM}"]

    @pytest.mark.parametrize("path", ["/requests", f"/requests/{SOME_ID}", "/operations", "/openapi.yaml"])
    def test_everything_but_the_health_needs_one(self, web: Web, path: str) -> None:
        problem(web.get(path, None), "unauthenticated", 401)

    def test_a_ticket_that_is_not_the_callers(self, web: Web) -> None:
        web.refusing = [RefusedError("no", code="caller-mismatch")]
        problem(web.get("/requests"), "caller-mismatch", 403)
        web.refusing = [KerberosError("no")]
        problem(web.get("/requests"), "kerberos", 503)
        web.refusing = [DirectoryUnavailableError("no")]
        problem(web.get("/requests"), "directory-unavailable", 503)
        assert web.scene.audit.events() == ["refused", "failed", "failed"]


class TestOrigin:
    """R-E22."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": ORIGIN + "/"},
            {"Origin": ORIGIN.upper()},
            {"Origin": ORIGIN + ".evil.test"},
            {"Origin": "http://localhost:8443"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": ""},
            {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
            {"Referer": "https://evil.test/"},
            {"Referer": ORIGIN + ".evil.test/"},
            {"Referer": ""},
            {"Origin": ORIGIN, "Referer": "https://evil.test/"},
        ],
    )
    def test_another_sites_page(self, web: Web, headers: dict[str, str]) -> None:
        body = web.scene.body()
        for answer in (
            web.post("/requests", body, headers=headers),
            web.get("/requests", headers=headers),
            web.get("/openapi.yaml", headers=headers),
        ):
            problem(answer, "cross-origin", 403)
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert web.scene.realm.entries == []

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": ORIGIN},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Referer": ORIGIN},
            {"Referer": ORIGIN + "/tpi/ui"},
        ],
    )
    def test_our_own_or_no_browser(self, web: Web, headers: dict[str, str]) -> None:
        told(web.post("/requests", web.scene.body(), headers=headers), 201)

    def test_no_preflight_is_answered(self, web: Web) -> None:
        headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
        answer = web.ask("OPTIONS", "/requests", "alice", headers=headers)
        problem(answer, "method-not-allowed", 405)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


class TestBodies:
    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""],
    )
    def test_only_json(self, web: Web, kind: str) -> None:
        problem(web.post("/requests", web.scene.body(), content_type=kind), "not-json", 415)

    def test_json_with_a_charset(self, web: Web) -> None:
        told(web.post("/requests", web.scene.body(), content_type="application/json; charset=utf-8"), 201)

    def test_no_compression(self, web: Web) -> None:
        headers = {"Content-Encoding": "gzip"}
        problem(web.post("/requests", web.scene.body(), headers=headers), "not-json", 415)

    @pytest.mark.parametrize(
        "data", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff", b"[" * 100_000, b'{"id":1}', b"{} {}"]
    )
    def test_what_is_no_request(self, web: Web, data: bytes) -> None:
        problem(web.post("/requests", data), "bad-json", 400)
        problem(web.post(f"/requests/{new_id()}/approvals", data), "bad-json", 400)
        problem(web.post(f"/requests/{new_id()}/proofs", data), "bad-json", 400)
        assert web.callers == []

    @pytest.mark.parametrize("name", ["requester", "executor", "creator", "state", "created"])
    def test_an_unknown_field(self, web: Web, name: str) -> None:
        data = encode(asdict(web.scene.body()) | {name: "bob"})
        assert name in problem(web.post("/requests", data), "bad-json", 400)["detail"]

    def test_more_than_a_megabyte(self, web: Web) -> None:
        data = encode(web.scene.body()) + b" " * (1024 * 1024)
        problem(web.post("/requests", data), "too-large", 413)
        assert web.scene.audit.codes() == ["too-large"]

    def test_more_than_a_megabyte_of_unknown_length(self, web: Web) -> None:
        """As a chunked body comes: no length, and an input that ends."""
        data = encode(web.scene.body()) + b" " * (1024 * 1024)
        environ: dict[str, Any] = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        problem(web.post("/requests", data, environ=environ), "too-large", 413)

    def test_a_length_that_lies(self, web: Web) -> None:
        body = encode(web.scene.body())
        problem(web.post("/requests", body, environ={"CONTENT_LENGTH": str(len(body) - 1)}), "bad-json", 400)
        problem(web.post("/requests", body, environ={"CONTENT_LENGTH": "x"}), "bad-json", 400)
        problem(web.post("/requests", body, environ={"CONTENT_LENGTH": "-1"}), "bad-json", 400)


class TestPathsAndQueries:
    @pytest.mark.parametrize(
        "text", ["x", "7D7A2A9E-5D2E-4F34-9C55-0F6A3A3B7A10", "%2e%2e", SOME_ID + "%0a", "*"]
    )
    def test_an_id_that_is_none(self, web: Web, text: str) -> None:
        problem(web.get(f"/requests/{text}"), "bad-id", 400)
        problem(web.get(f"/requests/{text}/approvers"), "bad-id", 400)
        for part in ("approvals", "denials", "withdrawal", "cancellation", "proofs"):
            problem(web.post(f"/requests/{text}/{part}", {}), "bad-id", 400)

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            ("/requests", "?size=3"),
            ("/requests", "?limit="),
            ("/requests", "?limit=0"),
            ("/requests", "?limit=-1"),
            ("/requests", "?limit=501"),
            ("/requests", "?limit=%D9%A3"),
            ("/requests", "?limit=3&limit=3"),
            (f"/requests/{SOME_ID}/approvers", "?user="),
            (f"/requests/{SOME_ID}/approvers", "?user=a%0ab"),
            (f"/requests/{SOME_ID}/approvers", "?user=" + "a" * 256),
            (f"/requests/{SOME_ID}/approvers", "?who=bob"),
            ("/requests", "?state=waiting"),
            ("/requests", "?state="),
            ("/requests", "?state=pending&state=approved"),
            ("/requests", "?mine=1"),
            ("/requests", "?mine=True"),
            ("/requests", "?mine="),
            ("/requests", "?operation="),
            ("/requests", "?user=a%0ab"),
            ("/requests", "?approver=a%0ab"),
            ("/requests", "?approver="),
            ("/requests", "?host="),
            ("/requests", "?outcome="),
            ("/requests", "?outcome=pending"),
            ("/requests", "?since=2026-01-02"),
            ("/requests", "?since=2026-01-02T03:04:05%2b01:00"),
            ("/requests", "?until=2026-02-30T03:04:05Z"),
            ("/requests", "?until="),
            ("/requests", "?since=2026-01-02T03:04:06Z&until=2026-01-02T03:04:05Z"),
            ("/operations", "?mine=true"),
            ("/policy", ""),
            ("/policy", "?operation="),
            ("/policy", "?operation=dirsrv.restart&right=all"),
            ("/policy", "?operation=dirsrv.restart&operation=dirsrv.restart"),
            ("/policy", "?operation=dirsrv.restart&parameter=instance"),
            ("/policy", "?operation=dirsrv.restart&parameter=%3dDS01"),
            ("/policy", "?operation=dirsrv.restart&parameter=a%3db&parameter=a%3dc"),
            ("/policy", "?operation=dirsrv.restart" + "&member_of=x" * 9),
            ("/policy", "?operation=dirsrv.restart&user=alice&member_of="),
            ("/rules", "?right="),
            ("/rules", "?host=localhost"),
            ("/openapi.yaml", "?x=1"),
            (f"/requests/{SOME_ID}", "?x=1"),
        ],
    )
    def test_a_query_that_is_unknown(self, web: Web, path: str, query: str) -> None:
        problem(web.get(path + query), "bad-input", 400)

    @pytest.mark.parametrize("query", ["?prefix=*", "?prefix=7D7A2A9E", "?before=", "?before=7d7a2a9e"])
    def test_a_query_that_names_no_request(self, web: Web, query: str) -> None:
        problem(web.get("/requests" + query), "bad-id", 400)

    def test_a_query_beside_a_body(self, web: Web) -> None:
        problem(web.post("/requests?interface=cli", web.scene.body()), "bad-input", 400)

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "/request",
            "/requests/",
            f"/requests/{SOME_ID}/",
            f"/requests/{SOME_ID}/executions",
            "//requests",
        ],
    )
    def test_a_path_that_is_unknown(self, web: Web, path: str) -> None:
        problem(web.get(path), "not-found", 404)

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("DELETE", "/requests", "GET, HEAD, POST"),
            ("PUT", "/requests/952b367a-1f7f-42d6-bc99-b5e29fbfeb4f", "GET, HEAD"),
            ("GET", "/requests/952b367a-1f7f-42d6-bc99-b5e29fbfeb4f/approvals", "POST"),
            ("PATCH", "/requests/952b367a-1f7f-42d6-bc99-b5e29fbfeb4f/denials", "POST"),
            ("POST", "/operations", "GET, HEAD"),
            ("POST", "/healthz", "GET, HEAD"),
            ("TRACE", "/healthz", "GET, HEAD"),
        ],
    )
    def test_a_method_that_is_unknown(self, web: Web, method: str, path: str, allowed: str) -> None:
        answer = web.ask(method, path, "alice")
        problem(answer, "method-not-allowed", 405)
        assert ", ".join(sorted(answer.headers["Allow"].split(", "))) == allowed

    def test_an_unknown_request(self, web: Web) -> None:
        request_id = new_id()
        answer = problem(web.get(f"/requests/{request_id}"), "not-found", 404)
        assert answer["instance"] == f"{PREFIX}/requests/{request_id}"
        assert web.scene.audit.codes() == ["not-found"]


class TestRefusalsOfTheFlow:
    def test_each_is_a_problem_with_its_code(self, web: Web) -> None:
        request_id = web.scene.pending().subtree.request.id
        voice = web.scene.voice("alice", request_id, "approve")
        answer = web.post(f"/requests/{request_id}/approvals", voice)
        assert "same user cannot self-approve" in problem(answer, "self-approval", 403)["detail"]
        assert web.scene.audit.codes() == ["self-approval"]
        problem(web.post("/requests", web.scene.body("dave"), "dave"), "no-rule", 403)
        problem(web.post("/requests", web.scene.body(target="x.test")), "target-not-served", 422)
        problem(web.post("/requests", web.scene.body(interface="direct")), "interface-not-allowed", 422)

    def test_no_audit_no_answer_but_that(self, web: Web) -> None:
        web.scene.audit.broken.add("*")
        problem(web.post("/requests", web.scene.body()), "audit-unavailable", 503)
        problem(web.get("/nothing"), "audit-unavailable", 503)
        problem(web.get("/requests", None), "audit-unavailable", 503)
        assert web.scene.realm.entries == []

    @pytest.mark.parametrize("call", ["account", "whoami", "headings", "policy"])
    def test_a_fault_of_our_own_tells_nothing(self, web: Web, call: str) -> None:
        web.scene.realm.failing[call] = [ZeroDivisionError("secret words")]
        answer = web.post("/requests", web.scene.body())
        problem(answer, "error", 500)
        assert b"secret" not in answer.data
        assert b"ZeroDivision" not in answer.data
        assert web.scene.audit.events() == [Event.ERROR.value]
        assert web.scene.audit.records[0]["kind"] == "ZeroDivisionError"
        assert "secret" not in str(web.scene.audit.records)
        assert web.opened[0].closed

    def test_a_fault_without_an_audit(self, web: Web) -> None:
        web.scene.audit.broken.add("*")
        web.scene.realm.failing["account"] = [ZeroDivisionError("secret words")]
        problem(web.post("/requests", web.scene.body()), "error", 500)

    def test_the_target_elsewhere(self, web: Web) -> None:
        body = web.scene.body(target=OTHER_HOST, parameters={"instance": "ANY"})
        told(web.post("/requests", body), 201)
        assert web.scene.nudger.ids == []


def test_words_that_should_not_be_there_are_shown_as_such(web: Web) -> None:
    request_id = web.scene.pending().subtree.request.id
    for name in ("Withdrawal", "Cancellation"):
        word = NewEntry(new_id(), f"ipaTpi{name}", {"ipaTpiDigest": [b"0" * 64]})
        web.scene.realm.plant(person_dn("dave"), request_id, word)
    view = told(web.get(f"/requests/{request_id}"))
    assert (view["state"], view["code"]) == ("denied", "forged-veto")
    assert (view["withdrawals"][0]["counts"], view["withdrawals"][0]["code"]) == (
        False,
        "nothing-to-withdraw",
    )
    assert (view["cancellations"][0]["counts"], view["cancellations"][0]["code"]) == (False, "not-requester")
    assert view["cancellations"][0]["who"] == f"dave@{REALM}"


def test_the_requesters_account_is_gone(web: Web) -> None:
    request_id = web.scene.pending("grace").subtree.request.id
    del web.scene.realm.accounts[person_dn("grace")]
    view = told(web.get(f"/requests/{request_id}"))
    assert (view["state"], view["code"], view["requester"]) == (
        "denied",
        "requester-gone",
        person_dn("grace"),
    )


def test_a_result_by_somebody_else_is_not_shown(web: Web) -> None:
    request_id = web.scene.pending().subtree.request.id
    forged = NewEntry(new_id(), "ipaTpiResult", {"ipaTpiOutcome": [b"executed"]})
    web.scene.realm.plant(person_dn("dave"), request_id, forged)
    view = told(web.get(f"/requests/{request_id}"))
    assert (view["state"], view["code"], view["result"]) == ("denied", "forged-entry", None)


def test_a_code_that_has_no_status_is_a_fault(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.refusing = [RefusedError("no", code="never-heard-of")]
    problem(web.get("/requests"), "never-heard-of", 500)
    assert "never-heard-of" in caplog.text


ANSWERS: tuple[Callable[[Web], TestResponse], ...] = (
    lambda web: web.get("/requests"),
    lambda web: web.get("/requests", None),
    lambda web: web.get("/nothing"),
    lambda web: web.get("/healthz", None),
    lambda web: web.get("/openapi.yaml"),
    lambda web: web.post("/requests", b"{"),
    lambda web: web.post("/requests", web.scene.body()),
    lambda web: web.ask("DELETE", "/requests", "alice"),
)


@pytest.mark.parametrize("ask", ANSWERS)
def test_what_no_answer_lacks(web: Web, ask: Callable[[Web], TestResponse]) -> None:
    answer = ask(web)
    for name, value in HEADERS.items():
        assert answer.headers.getlist(name) == [value]
    assert "Set-Cookie" not in answer.headers
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("code", [*HTTP_STATUS, "a-code-that-nobody-knows"])
def test_no_refusal_is_a_success(code: str) -> None:
    answer = from_error(RefusedError("no", code=code), "/")
    assert answer.status_code >= 400
    if HTTP_STATUS.get(code, 500) >= 400:
        assert answer.status_code == HTTP_STATUS.get(code, 500)


def test_a_head_has_no_body(web: Web) -> None:
    answer = web.ask("HEAD", "/requests", "alice")
    assert (answer.status_code, answer.data) == (200, b"")
