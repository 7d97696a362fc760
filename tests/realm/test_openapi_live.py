"""The description of the interface against the service that runs: schemathesis with real tickets and real ids.

Every case is the same in every run. An answer that the description does not know, one that is not of the described
form, a 5xx, and bad input that is taken are failures; so is a problem document whose code is not of our table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gssapi
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from requests_gssapi import HTTPSPNEGOAuth
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from web_service import Service, told

from ipa_tpi.errors import HTTP_STATUS
from ipa_tpi.model import Purpose
from ipa_tpi.wire import encode
from lab.session import Session

SHIPPED = Path(__file__).resolve().parents[2] / "ipa_tpi" / "web" / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
OPERATIONS = [
    operation["operationId"]
    for path in DOCUMENT["paths"].values()
    for method, operation in path.items()
    if method != "parameters"
]
FED = [
    name for name in OPERATIONS if name not in {"operations", "openapi", "healthz"}
]  # which take something
VOICES = {
    "approve": Purpose.APPROVE,
    "deny": Purpose.DENY,
    "withdraw": Purpose.WITHDRAW,
    "cancel": Purpose.CANCEL,
}
REQUESTER, APPROVER = "grace", "bob"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
STATUSES = {200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 422}
EXAMPLES = settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)


class Live:
    """The service that runs, as schemathesis asks it."""

    def __init__(self, realm: Session) -> None:
        self.service = Service(realm)
        self._ca_file = realm.ca_file
        document = yaml.safe_load(self.service.get("/openapi.yaml").body)
        self.schema = schemathesis.openapi.from_dict(document)
        self._sessions: dict[str, requests.Session] = {"": requests.Session()}
        self._sessions[""].trust_env = False

    def operation(self, name: str) -> Any:
        """Give an operation by its id."""
        return self.schema.find_operation_by_id(name)

    def boundaries(self, name: str, *modes: GenerationMode) -> list[Any]:
        """Give the cases at each boundary of an operation's description."""
        operation = self.operation(name)
        configured = self.schema.config.generation_for(operation=operation)
        return list(
            self.schema.iter_coverage_cases(
                operation, generation_modes=list(modes), generation_config=configured
            )
        )

    def ask(self, case: Any, person: str) -> Any:
        """Send a case as a person, and judge the answer; without a ticket where the case is about that."""
        anonymous = self.schema.is_security_param_negated(case)
        session = self._session("" if anonymous else person)
        answer = case.call(base_url=self.service.origin, session=session, verify=self._ca_file)
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code in STATUSES, (answer.status_code, answer.text)
        if anonymous and case.operation.definition.raw.get("security") != []:
            assert answer.status_code == 401
        if answer.headers["content-type"][0] == "application/problem+json":
            problem = answer.json()
            assert HTTP_STATUS[problem["code"]] == problem["status"] == answer.status_code
        return answer

    def _session(self, person: str) -> requests.Session:
        if person not in self._sessions:
            credentials = gssapi.Credentials(usage="initiate", store={"ccache": self.service.ccache(person)})
            session = requests.Session()
            session.trust_env = False
            session.auth = HTTPSPNEGOAuth(creds=credentials, opportunistic_auth=True)
            self._sessions[person] = session
        return self._sessions[person]


def plain(value: object) -> Any:
    """Give a shape of the wire as JSON's own types."""
    return json.loads(encode(value))


@pytest.fixture(scope="module")
def live(realm: Session) -> Live:
    return Live(realm)


@pytest.fixture
def pending(live: Live) -> Iterator[str]:
    """A request of the requester that its target has previewed; it is over at the end."""
    service = live.service
    request_id = service.pending(REQUESTER)
    yield request_id
    for view in told(service.get("/requests?mine=true", REQUESTER))["requests"]:
        if view["state"] in {"awaiting-preview", "pending", "approved"}:
            body = service.voice(REQUESTER, view["id"], Purpose.CANCEL)
            told(service.post(f"/requests/{view['id']}/cancellation", body, REQUESTER))


def test_what_is_served_is_what_ships(live: Live) -> None:
    assert live.service.get("/openapi.yaml").body == SHIPPED.read_bytes()


# Denial, withdrawal and cancellation take the very body that an approval is.
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in {"deny", "withdraw", "cancel"}])
def test_r_e03_each_boundary_of_the_description(live: Live, name: str) -> None:
    """Least, largest and just too large values, missing, surplus and doubled ones, other methods and types."""
    cases = live.boundaries(name, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    assert cases
    # Where no id is there to be found a person says no more than another.
    for number, case in enumerate(cases):
        live.ask(case, (REQUESTER, APPROVER)[number % 2])


@pytest.mark.parametrize("person", [REQUESTER, APPROVER])
@pytest.mark.parametrize("name", FED)
def test_what_fits_the_description(live: Live, pending: str, name: str, person: str) -> None:
    """About a request that is there; half of the voices are about what it really shows."""
    operation = live.operation(name)
    real = {"request_id": pending} if "{request_id}" in operation.path else {}
    said = live.service.voice(person, pending, VOICES[name]) if name in VOICES else None
    asked: list[Any] = []

    @EXAMPLES
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=real))
    def ask(case: Any) -> None:
        if said is not None and len(asked) % 2:
            case.body |= {"digest": said.digest, "proof": plain(said.proof)}
        asked.append(live.ask(case, person))

    ask()
    assert asked
    if (name, person) in {("deny", APPROVER), ("cancel", REQUESTER), ("approve", APPROVER)}:
        assert 200 in {answer.status_code for answer in asked}


@pytest.mark.parametrize("name", FED)
def test_r_e03_what_does_not_fit_the_description(live: Live, name: str) -> None:
    asked: list[Any] = []

    @EXAMPLES
    @given(live.operation(name).as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        asked.append(live.ask(case, REQUESTER))

    ask()
    assert {answer.status_code for answer in asked} <= STATUSES - {200, 201}


@pytest.mark.parametrize(("name", "person"), [("create", REQUESTER), ("deny", APPROVER)])
def test_r_e03_it_is_the_fault_itself_that_is_refused(
    live: Live, pending: str, name: str, person: str
) -> None:
    """Each fault put into a body that would be taken without it."""
    service = live.service
    said = service.body(REQUESTER) if name == "create" else service.voice(person, pending, Purpose.DENY)
    good = plain(said)
    plainest = live.boundaries(name, GenerationMode.POSITIVE)[0].body
    bad = [case for case in live.boundaries(name, GenerationMode.NEGATIVE) if isinstance(case.body, dict)]
    sent = 0
    for case in bad:
        changed = {key: value for key, value in case.body.items() if plainest.get(key) != value}
        missing = plainest.keys() - case.body.keys()
        if case.method != "POST" or not (changed or missing):
            continue
        case.body = {key: value for key, value in (good | changed).items() if key not in missing}
        case.path_parameters = {"request_id": pending} if name == "deny" else {}
        answer = live.ask(case, person)
        assert answer.status_code in {400, 415, 422}, (case.body, answer.text)
        sent += 1
    assert sent > 10
    assert told(service.get(f"/requests/{pending}"))["state"] == "pending"
    status = service.post("/requests" if name == "create" else f"/requests/{pending}/denials", good, person)
    assert status.status in {200, 201}, "the good body would have been taken"


def test_the_way_of_a_request(live: Live) -> None:
    """From the request to its end, each answer as described."""
    service = live.service

    def do(name: str, person: str, status: int = 200, **parts: Any) -> dict[str, Any]:
        answer = live.ask(live.operation(name).Case(**parts), person)
        assert answer.status_code == status, answer.text
        value: dict[str, Any] = answer.json()
        return value

    made = service.body(REQUESTER, reason="it hangs", ticket="T-1")
    where = {"path_parameters": {"request_id": made.id}}
    do("create", REQUESTER, 201, body=plain(made), media_type="application/json")
    service.executor.receipt(made.id, "request")
    service.executor.preview(made.id, {"unit": "dirsrv@DS01.service"})
    for query in ({}, {"mine": "true"}, {"state": "pending"}, {"approvable": "true", "mine": "false"}):
        for person in (REQUESTER, APPROVER):
            do("list", person, query=query)

    def speak(name: str, person: str, status: int = 200) -> dict[str, Any]:
        voice = service.voice(person, made.id, VOICES[name], comment="so be it")
        return do(name, person, status, **where, body=plain(voice), media_type="application/json")

    assert do("show", APPROVER, **where)["approvable"] is True
    speak("approve", REQUESTER, 403)
    speak("approve", APPROVER)
    speak("approve", APPROVER, 409)
    proof = service.proof(
        APPROVER, Purpose.APPROVE, bytes.fromhex(do("show", APPROVER, **where)["approval_digest"])
    )
    do("prove", APPROVER, **where, body=plain(proof), media_type="application/json")
    service.executor.receipt(made.id, "approve")
    assert do("show", REQUESTER, **where)["state"] == "approved"
    speak("withdraw", APPROVER)
    speak("cancel", APPROVER, 403)
    assert speak("deny", "carol")["state"] == "denied"
    speak("cancel", REQUESTER, 409)
    assert do("list", REQUESTER, query={"state": "denied"})["requests"]
    for name in ("operations", "healthz"):
        assert do(name, REQUESTER)
