"""The web service behind the Apache that ships, with real tickets and the real directory."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from web_service import JSON, PREFIX, Service, problem, told

from ipa_tpi.client import TpiClient
from ipa_tpi.client.wish import Wish
from ipa_tpi.model import Approval, Proof, Purpose
from ipa_tpi.web.problems import HEADERS
from ipa_tpi.wire import encode
from lab.negotiate import negotiate
from lab.session import Session
from tests.fakes import new_id


@pytest.fixture(scope="module")
def service(realm: Session) -> Service:
    return Service(realm)


@pytest.fixture(autouse=True)
def _nothing_waits(service: Service) -> Iterator[None]:
    """Cancel what a test leaves behind: a person may have three requests waiting (R-K20)."""
    yield
    for person in ("alice", "bob", "erin", "grace"):
        for view in told(service.get("/requests?mine=true", person))["requests"]:
            if view["state"] in {"awaiting-preview", "pending", "approved"}:
                body = service.voice(person, view["id"], Purpose.CANCEL)
                told(service.post(f"/requests/{view['id']}/cancellation", body, person))


class TestTheWay:
    def test_r_k01_each_entry_is_its_writers_by_the_directorys_word(self, service: Service) -> None:
        people = service.realm.people
        request_id = service.pending()
        voice = service.voice("bob", request_id, Purpose.APPROVE, comment="go on")
        view = told(service.post(f"/requests/{request_id}/approvals", voice, "bob"))
        assert (view["state"], view["code"]) == ("pending", "proof-missing")
        service.executor.receipt(request_id, "approve")
        view = told(service.get(f"/requests/{request_id}"))
        assert (view["state"], view["approvals"][0]["who"]) == ("approved", people["bob"]["principal"])
        tree = service.directory("frank").load(request_id)
        assert tree is not None
        assert tree.request.creator == people["alice"]["dn"].lower()
        assert [one.creator for one in tree.of(Approval)] == [people["bob"]["dn"].lower()]
        proofs = {one.purpose: one.creator for one in tree.of(Proof)}
        assert proofs == {"request": people["alice"]["dn"].lower(), "approve": people["bob"]["dn"].lower()}
        events = [one["event"] for one in service.audit(request=request_id)]
        assert events == ["attempt", "request-created", "attempt", "approval-added"]

    def test_withdraw_deny_prove_and_cancel(self, service: Service) -> None:
        request_id = service.pending()
        path = f"/requests/{request_id}"
        told(service.post(path + "/approvals", service.voice("bob", request_id, Purpose.APPROVE), "bob"))
        digest = bytes.fromhex(told(service.get(path))["approval_digest"])
        told(service.post(path + "/proofs", service.proof("bob", Purpose.APPROVE, digest), "bob"))
        told(service.post(path + "/withdrawal", service.voice("bob", request_id, Purpose.WITHDRAW), "bob"))
        again = service.post(path + "/approvals", service.voice("bob", request_id, Purpose.APPROVE), "bob")
        problem(again, "already-voiced", 409)
        view = told(
            service.post(path + "/denials", service.voice("carol", request_id, Purpose.DENY), "carol")
        )
        assert (view["state"], view["denials"][0]["counts"]) == ("denied", True)
        other = service.pending()
        cancel = service.voice("alice", other, Purpose.CANCEL)
        assert told(service.post(f"/requests/{other}/cancellation", cancel))["state"] == "cancelled"

    def test_with_our_own_client(self, service: Service) -> None:
        realm = service.realm
        clients = {
            name: TpiClient(service.origin, realm.ca_file, f"FILE:{service.ccache(name)}")
            for name in ("alice", "bob")
        }
        wish = Wish("dirsrv.restart", realm.host, {"instance": "DS01"}, reason="it hangs", ticket="T-1")
        made = clients["alice"].create(wish)
        service.executor.receipt(made.id, "request")
        service.executor.preview(made.id)
        approved = clients["bob"].approve(clients["bob"].show(made.id), "yes")
        assert [voice.who for voice in approved.approvals] == [realm.people["bob"]["principal"]]
        assert [view.id for view in clients["alice"].list("pending", mine=True)] == [made.id]
        assert clients["alice"].cancel(clients["alice"].show(made.id)).state == "cancelled"

    def test_who_sees_what(self, service: Service) -> None:
        request_id = service.pending("grace")
        for person in ("grace", "alice", "bob", "frank"):
            assert told(service.get(f"/requests/{request_id}", person))["requester"] == "grace@TPI.TEST"
        for person in ("dave", "adam", "Heidi"):
            problem(service.get(f"/requests/{request_id}", person), "not-found", 404)
            assert told(service.get("/requests", person))["requests"] == []

    def test_what_the_caller_could_do(self, service: Service) -> None:
        request_id = service.pending("erin")
        views = {
            name: told(service.get(f"/requests/{request_id}", name)) for name in ("erin", "erin-admin", "bob")
        }
        assert [view["approvable"] for view in views.values()] == [False, False, True]
        assert "same user" in views["erin"]["why_not"]
        assert "same person" in views["erin-admin"]["why_not"]
        listed = told(service.get("/requests?approvable=true", "bob"))["requests"]
        assert request_id in [view["id"] for view in listed]
        assert told(service.get("/requests?approvable=true", "erin"))["requests"] == []


class TestRefusals:
    def test_r_a04_not_ones_own(self, service: Service) -> None:
        request_id = service.pending()
        answer = service.post(
            f"/requests/{request_id}/approvals", service.voice("alice", request_id, Purpose.APPROVE)
        )
        assert "same user cannot self-approve" in problem(answer, "self-approval", 403)["detail"]
        (record,) = service.audit(request=request_id, event="refused")
        assert (record["caller"], record["code"]) == ("alice@TPI.TEST", "self-approval")

    @pytest.mark.parametrize("alias", ["alice.smith@TPI.TEST", "ALICE@TPI.TEST"])
    def test_r_a04_not_by_an_alias(self, service: Service, alias: str) -> None:
        ccache = service.realm.kinit("alice", principal=alias)
        answer = service.get("/requests", "alice", ccache=ccache)
        if answer.status == 200:  # the KDC made the alias the canonical name
            assert {view["requester"] for view in told(answer)["requests"]} <= {"alice@TPI.TEST"}
        else:
            problem(answer, "not-canonical", 403)

    @pytest.mark.parametrize("person", ["dave", "adam", "frank", "Heidi"])
    def test_r_k03_no_rule(self, service: Service, person: str) -> None:
        body = service.body("alice")
        answer = service.post("/requests", body, person)
        assert answer.status in {403, 422}, answer.body
        tree = service.directory("frank").load(body.id)
        assert tree is None

    def test_r_k20_too_many(self, service: Service) -> None:
        for _ in range(3):
            service.create()
        problem(service.post("/requests", service.body()), "too-many-pending", 429)

    def test_an_id_twice(self, service: Service) -> None:
        request_id = service.create()
        problem(service.post("/requests", service.body("bob", id=request_id), "bob"), "id-taken", 409)

    def test_another_digest(self, service: Service) -> None:
        request_id = service.pending()
        voice = service.voice("bob", request_id, Purpose.APPROVE, digest="0" * 64)
        problem(service.post(f"/requests/{request_id}/approvals", voice, "bob"), "digest-mismatch", 409)

    @pytest.mark.parametrize(
        ("code", "status", "changes"),
        [
            ("target-not-served", 422, {"target": "nowhere.tpi.test", "proof": None}),
            ("below-floor", 403, {"parameters": {"instance": "OTHER"}}),
            ("bad-parameters", 422, {"parameters": {"instance": "a b"}}),
            ("unknown-operation", 422, {"operation": "dirsrv.erase"}),
            ("text-not-allowed", 422, {"reason": "\u202e"}),
            ("interface-not-allowed", 422, {"interface": "framework"}),
            ("operation-changed", 409, {"operation_digest": "0" * 64}),
        ],
    )
    def test_what_is_asked_for(
        self, service: Service, code: str, status: int, changes: dict[str, Any]
    ) -> None:
        body = service.body(**changes)
        problem(service.post("/requests", body), code, status)
        problem(service.get(f"/requests/{body.id}"), "not-found", 404)


class TestCallers:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Remote-User": "bob@TPI.TEST"},
            {"REMOTE_USER": "bob@TPI.TEST"},
            {"X-Remote-User": "bob@TPI.TEST"},
            {"Gss-Name": "bob@TPI.TEST"},
            {"GSS_NAME": "bob@TPI.TEST"},
            {"Krb5ccname": "FILE:/etc/passwd"},
            {"KRB5CCNAME": "FILE:/etc/passwd"},
            {"Auth-Type": "Basic"},
            {"X-Script-Name": "/elsewhere"},
            {"Cookie": "session=bob"},
        ],
    )
    def test_r_a07_a_header_names_nobody(self, service: Service, headers: dict[str, str]) -> None:
        request_id = service.create("grace")
        answer = service.get(f"/requests/{request_id}", "grace", headers=headers)
        assert told(answer)["mine"] is True
        assert "Set-Cookie" not in answer.headers
        assert service.get("/requests", None, headers=headers).status == 401

    @pytest.mark.parametrize(
        "path", ["/requests", "/operations", "/openapi.yaml", "/nothing", "/healthz/", "/healthz%0a"]
    )
    def test_nobody_without_a_ticket(self, service: Service, path: str) -> None:
        assert service.get(path, None).status == 401

    def test_a_ticket_that_cannot_be_forwarded(self, service: Service) -> None:
        ccache = service.realm.kinit("carol", arguments=["-F"])
        answer = service.get("/requests", "carol", ccache=ccache)
        problem(answer, "no-ticket", 403)

    def test_a_locked_account(self, service: Service) -> None:
        root = service.realm.ldap_root()
        dn = service.realm.people["carol"]["dn"]
        service.ccache("carol")
        root.modify_s(dn, [(0, "nsAccountLock", [b"TRUE"])])
        try:
            answer = service.get("/requests", "carol")
            assert answer.status == 403, answer.body
        finally:
            root.modify_s(dn, [(1, "nsAccountLock", None)])

    def test_many_callers_at_once_are_never_mixed_up(self, service: Service) -> None:
        people = ("alice", "bob", "grace", "erin")
        own = {person: service.create(person) for person in people}
        tickets = {person: service.ccache(person) for person in people}
        wrong: list[object] = []

        def look(person: str) -> None:
            for _ in range(10):
                answer = service.get("/requests?mine=true", person, ccache=tickets[person])
                views = told(answer)["requests"]
                if own[person] not in [view["id"] for view in views] or not all(
                    view["mine"] for view in views
                ):
                    wrong.append((person, views))

        threads = [threading.Thread(target=look, args=(person,)) for person in people * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_one_ccache_in_many_threads(self, service: Service) -> None:
        request_id = service.pending()
        voice = service.voice("bob", request_id, Purpose.APPROVE)
        statuses: list[int] = []

        def approve() -> None:
            statuses.append(service.post(f"/requests/{request_id}/approvals", voice, "bob").status)

        threads = [threading.Thread(target=approve) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [409] * 5
        tree = service.directory("frank").load(request_id)
        assert tree is not None
        assert len(tree.of(Approval)) == 1

    def test_no_ticket_stays_behind(self, service: Service) -> None:
        for _ in range(3):
            service.get("/requests")
        folder = service.realm.layout.httpd.ccaches
        assert _settles(lambda: not list(folder.iterdir())), list(folder.iterdir())


class TestHttp:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ],
    )
    def test_r_e22_another_sites_page(self, service: Service, headers: dict[str, str]) -> None:
        body = service.body()
        problem(service.post("/requests", body, headers=headers), "cross-origin", 403)
        problem(service.get(f"/requests/{body.id}"), "not-found", 404)

    def test_our_own_page(self, service: Service) -> None:
        headers = {"Origin": service.origin, "Sec-Fetch-Site": "same-origin"}
        told(service.post("/requests", service.body(), headers=headers), 201)

    def test_r_e22_no_preflight(self, service: Service) -> None:
        answer = service.ask(
            "OPTIONS",
            "/requests",
            None,
            headers={"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"},
        )
        assert answer.status == 405
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]

    def test_r_e03_a_body_that_is_too_large(self, service: Service) -> None:
        answer = service.post("/requests", encode(service.body()) + b" " * (1024 * 1024))
        assert answer.status == 413

    def test_r_e03_a_chunked_body_that_is_too_large(self, service: Service) -> None:
        status = _chunked(service, [b" " * 65536] * 20)
        assert status in {411, 413}, status

    @pytest.mark.parametrize(
        ("data", "code", "status"),
        [
            (b"{", "bad-json", 400),
            (b"", "bad-json", 400),
            (b"[" * 50_000, "bad-json", 400),
            (b"\xff", "bad-json", 400),
        ],
    )
    def test_what_is_no_json(self, service: Service, data: bytes, code: str, status: int) -> None:
        problem(service.post("/requests", data), code, status)

    def test_an_unknown_field(self, service: Service) -> None:
        data = encode(service.body()).replace(b"{", b'{"creator":"bob",', 1)
        assert "creator" in problem(service.post("/requests", data), "bad-json", 400)["detail"]

    def test_another_content_type(self, service: Service) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = service.post("/requests", service.body(), headers={"Content-Type": kind})
            problem(answer, "not-json", 415)

    @pytest.mark.parametrize(
        ("method", "path", "code", "status"),
        [
            ("GET", "/nothing", "not-found", 404),
            ("GET", "/requests/x", "bad-id", 400),
            ("GET", "/requests?order=1", "bad-input", 400),
            ("DELETE", "/requests", "method-not-allowed", 405),
            ("PUT", "/operations", "method-not-allowed", 405),
        ],
    )
    def test_paths_methods_and_queries(
        self, service: Service, method: str, path: str, code: str, status: int
    ) -> None:
        answer = service.ask(method, path, "alice")
        problem(answer, code, status)

    def test_the_headers_of_every_answer(self, service: Service) -> None:
        answers = [
            service.get("/requests"),
            service.get("/nothing"),
            service.get("/healthz", None),
            service.post("/requests", b"{"),
        ]
        for answer in answers:
            for name, value in HEADERS.items():
                assert answer.headers.get_all(name) == [value], (name, answer.headers.items())
            assert "Set-Cookie" not in answer.headers

    def test_the_health(self, service: Service) -> None:
        assert told(service.get("/healthz", None)) == {"status": "ok"}

    def test_the_description(self, service: Service) -> None:
        answer = service.get("/openapi.yaml")
        assert answer.headers["Content-Type"] == "application/yaml"
        shipped = Path(__file__).parents[2] / "ipa_tpi" / "web" / "openapi.yaml"
        assert yaml.safe_load(answer.body) == yaml.safe_load(shipped.read_bytes())


def _settles(condition: object) -> bool:
    for _ in range(100):
        if condition():  # type: ignore[operator]
            return True
        threading.Event().wait(0.02)
    return False


def _chunked(service: Service, chunks: list[bytes]) -> int:
    context = ssl.create_default_context(cafile=service.realm.ca_file)
    head = {**negotiate(service.ccache("alice"), service.realm.host), **JSON, "Transfer-Encoding": "chunked"}
    lines = [
        f"POST {PREFIX}/requests HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in head.items()),
    ]
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=service.realm.host) as connection,
    ):
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        try:
            for chunk in chunks:
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # the server had enough; its answer is there to be read
        return int(connection.recv(64).split()[1])


def test_an_id_that_nobody_has(service: Service) -> None:
    problem(service.get(f"/requests/{new_id()}"), "not-found", 404)
