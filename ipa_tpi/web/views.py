"""The table of what can be asked of the web service; each line calls one verb of the flow."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Request, Response

from ipa_tpi.errors import BadInputError
from ipa_tpi.flow import Flow, Question, RuleFilter, Seen, Selection
from ipa_tpi.model import Right
from ipa_tpi.web.incoming import (
    check_id,
    check_query,
    check_span,
    read_body,
    read_flag,
    read_groups,
    read_limit,
    read_moment,
    read_name,
    read_outcome,
    read_parameters,
    read_prefix,
    read_right,
    read_state,
    read_user,
)
from ipa_tpi.web.present import approvers_view, operation_list, request_view
from ipa_tpi.web.present_policy import policy_view, rule_list
from ipa_tpi.web.problems import json_answer
from ipa_tpi.wire import ProofBody, RequestBody, RequestList, VoiceBody

PREFIX: Final = "/tpi/v1"
_ID: Final = "<request_id>"

Act = Callable[[Flow, str], Response]


@dataclass(frozen=True, slots=True)
class View:
    """One line of the table.

    Attributes:
        method: GET or POST.
        path: Below the prefix, in Flask's notation.
        name: For the audit.
        parse: Takes the request and its id (empty where the path has none) and gives what is to be
            done; it raises `BadInputError` before anything is.
        query: The query parameters that are known here.
        several: Those of them that may be given several times.
    """

    method: str
    path: str
    name: str
    parse: Callable[[Request, str], Act]
    query: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()

    def read(self, request: Request, request_id: str) -> Act:
        """Take a request as this line's, strictly.

        Args:
            request: Any.
            request_id: From the path.

        Returns:
            What is to be done with a flow and the caller's principal.

        Raises:
            BadInputError: It does not have the demanded form.
        """
        if _ID in self.path:
            check_id(request_id)
        check_query(request, self.query, self.several)
        return self.parse(request, request_id)


def _create(request: Request, _: str) -> Act:
    body = read_body(request, RequestBody)

    def act(flow: Flow, caller: str) -> Response:
        answer = _one(flow.create(caller, body), HTTPStatus.CREATED)
        answer.headers["Location"] = f"{PREFIX}/requests/{body.id}"
        return answer

    return act


def _list(request: Request, _: str) -> Act:
    before = request.args.get("before")
    if before is not None:
        check_id(before)
    selection = Selection(
        state=read_state(request),
        mine=read_flag(request, "mine"),
        approvable=read_flag(request, "approvable"),
        prefix=read_prefix(request),
        before=before or "",
        limit=read_limit(request),
        operation=read_name(request, "operation"),
        user=read_user(request),
        since=read_moment(request, "since"),
        until=read_moment(request, "until"),
        approver=read_user(request, "approver"),
        host=read_name(request, "host").lower(),
        outcome=read_outcome(request),
    )
    check_span(selection.since, selection.until)

    def act(flow: Flow, caller: str) -> Response:
        page = flow.listing(caller, selection)
        return json_answer(RequestList(requests=[request_view(seen) for seen in page.found], more=page.more))

    return act


def _show(_: Request, request_id: str) -> Act:
    return lambda flow, caller: _one(flow.show(caller, request_id))


def _approvers(request: Request, request_id: str) -> Act:
    user = read_user(request)
    return lambda flow, caller: json_answer(approvers_view(flow.approvers(caller, request_id, user)))


def _approve(request: Request, request_id: str) -> Act:
    body = read_body(request, VoiceBody)
    return lambda flow, caller: _one(flow.approve(caller, request_id, body))


def _deny(request: Request, request_id: str) -> Act:
    body = read_body(request, VoiceBody)
    return lambda flow, caller: _one(flow.deny(caller, request_id, body))


def _withdraw(request: Request, request_id: str) -> Act:
    body = read_body(request, VoiceBody)
    return lambda flow, caller: _one(flow.withdraw(caller, request_id, body))


def _cancel(request: Request, request_id: str) -> Act:
    body = read_body(request, VoiceBody)
    return lambda flow, caller: _one(flow.cancel(caller, request_id, body))


def _prove(request: Request, request_id: str) -> Act:
    body = read_body(request, ProofBody)
    return lambda flow, caller: _one(flow.prove(caller, request_id, body))


def _operations(_: Request, __: str) -> Act:
    return lambda flow, caller: json_answer(operation_list(flow.operations(caller)))


def _policy(request: Request, _: str) -> Act:
    right = read_right(request)
    question = Question(
        operation=read_name(request, "operation"),
        host=read_name(request, "host"),
        user=read_user(request),
        rights=(right,) if right is not None else tuple(Right),
        parameters=read_parameters(request),
        groups=read_groups(request),
    )
    if not question.operation:
        raise BadInputError("the query parameter operation is missing; give the name of an operation")
    return lambda flow, caller: json_answer(policy_view(flow.policy(caller, question)))


def _rules(request: Request, _: str) -> Act:
    wanted = RuleFilter(read_name(request, "operation"), read_user(request), read_right(request))
    return lambda flow, caller: json_answer(rule_list(flow.rules(caller, wanted)))


def _one(seen: Seen, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return json_answer(request_view(seen), status)


VIEWS: Final = (
    View("POST", "/requests", "create", _create),
    View(
        "GET",
        "/requests",
        "list",
        _list,
        frozenset(
            {
                "state",
                "mine",
                "approvable",
                "prefix",
                "before",
                "limit",
                "operation",
                "user",
                "since",
                "until",
                "approver",
                "host",
                "outcome",
            }
        ),
    ),
    View("GET", "/requests/<request_id>", "show", _show),
    View("GET", "/requests/<request_id>/approvers", "approvers", _approvers, frozenset({"user"})),
    View("POST", "/requests/<request_id>/approvals", "approve", _approve),
    View("POST", "/requests/<request_id>/denials", "deny", _deny),
    View("POST", "/requests/<request_id>/withdrawal", "withdraw", _withdraw),
    View("POST", "/requests/<request_id>/cancellation", "cancel", _cancel),
    View("POST", "/requests/<request_id>/proofs", "prove", _prove),
    View("GET", "/operations", "operations", _operations),
    View(
        "GET",
        "/policy",
        "policy",
        _policy,
        frozenset({"operation", "host", "user", "right", "parameter", "member_of"}),
        several=frozenset({"parameter", "member_of"}),
    ),
    View("GET", "/rules", "rules", _rules, frozenset({"operation", "user", "right"})),
)
