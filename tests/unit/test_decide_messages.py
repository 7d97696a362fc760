"""What people are told, word for word: the decision core's refusals, where no other test looks at the whole text."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    APPROVE_PERMISSION,
    BOB,
    CAROL,
    FLOOR,
    HOST,
    OTHER_EXECUTOR,
    RESTART,
    T0,
    Entries,
    at,
    definition,
    facts,
    operation,
    person,
    policy,
    raw,
    raw_request,
    request,
    rule,
    setting,
)

from ipa_tpi.decide.authorization import (
    authorize,
    check_age,
    check_definition,
    check_floor_parameters,
    judge_requester,
    judge_voice,
)
from ipa_tpi.decide.definition import load_operation, load_rule
from ipa_tpi.decide.digest import approval_digest, mic_text, parse_canonical
from ipa_tpi.decide.identity import check_account
from ipa_tpi.decide.intake import (
    RawEntry,
    check_identifier,
    check_parameters,
    check_target,
    check_text,
    read_child,
    read_request,
)
from ipa_tpi.decide.policy import may
from ipa_tpi.decide.proof import Demands, expected_text, judge
from ipa_tpi.decide.quorum import Demand, check_satisfiable
from ipa_tpi.decide.units import check_unit
from ipa_tpi.model import FloorOperation, Purpose, Refuse, Right, Stage
from ipa_tpi.ports import AcceptedProof

MADE = Entries(request(), number=50)
LATE = at(1)
NO_ROLE = replace(BOB, member_of=BOB.member_of - {APPROVE_PERMISSION})
ACCEPTED = AcceptedProof(
    "bob@TPI.TEST", delegated=False, auth_time=None, initial=False, indicators=frozenset(), mic_valid=True
)
SECURITY = "cn=security,cn=groups,dc=tpi,dc=test"
OTHER = "cn=other,cn=groups,dc=tpi,dc=test"
CHOICE = operation(
    ipatpiparameterschema='{"mode":{"pattern":".*","values":["b","a"]},"name":{"pattern":"[a-z]+"}}'
)
BARE = operation(ipatpiparameterschema="{}")


def decided(*children: Any, stage: Any = "preview", **changes: Any) -> Any:
    """Give the decision about facts."""
    return authorize(facts(*children, **changes), stage).decision


def approved(*more: Any, **changes: Any) -> Any:
    """Give the decision before the intent about a request that was approved."""
    made = Entries(request())
    return decided(made.preview(), made.approval(BOB), *more, stage="dispatch", **changes)


def proof(**changes: Any) -> Any:
    """Give the answer to a proof by bob."""
    return judge(replace(ACCEPTED, **changes), BOB, "TPI.TEST", Demands(fresh_seconds=60), T0)


def request_with(**changes: Any) -> Any:
    """Give the answer to a request entry in which a text is not allowed."""
    return read_request(raw_request(**changes))


def child(classes: str, **attributes: Any) -> Any:
    """Give the answer to an entry below a request."""
    entry = raw(classes, ipatpientryid="00000001-0000-4000-8000-000000000000", **attributes)
    return read_child(RawEntry("cn=x", entry.creator, entry.created, entry.attributes))


def satisfied(demand: Demand, **people: frozenset[str]) -> Any:
    """Give the answer to the question whether people could approve."""
    return check_satisfiable(RESTART, demand, people)


HEX = "00" * 32
RULE: dict[str, tuple[bytes, ...]] = {
    "objectclass": (b"top", b"ipaAssociation", b"ipaTpiRule"),
    "cn": (b"r",),
    "ipaenabledflag": (b"TRUE",),
    "ipatpiright": (b"request",),
}
BAD_CHARACTER = "which is a control, formatting, invisible or line-break character; write it without"
NOBODY_CAN = "nobody can satisfy the operation cn=dirsrv.restart,cn=tpioperations,cn=tpi,dc=tpi,dc=test: "
SAID: dict[str, tuple[Callable[[], Any], str, str]] = {
    "floor": (
        lambda: decided(floor=replace(FLOOR, operations={})),
        "operation-not-on-floor",
        "the floor of ipa1.tpi.test does not allow dirsrv.restart; ask its administrator (ipa-tpi-floor(5))",
    ),
    "one instance": (
        lambda: decided(asked=request(parameters={"instance": "DS02"})),
        "below-floor",
        "ipa1.tpi.test allows dirsrv.restart only of: DS01 (its floor file, /etc/ipa/tpi/floor.toml), and not of 'DS02'; ask for one of them",
    ),
    "two instances": (
        lambda: check_floor_parameters(
            request(parameters={"instance": "DS02"}),
            FloorOperation(1, proof=True, instances=frozenset({"DS03", "DS01"})),
            HOST,
        ),
        "below-floor",
        (
            "ipa1.tpi.test allows dirsrv.restart only of: DS01, DS03 (its floor file, /etc/ipa/tpi/floor.toml), "
            "and not of 'DS02'; ask for one of them"
        ),
    ),
    "no instance": (
        lambda: check_floor_parameters(request(), FloorOperation(1, proof=True), HOST),
        "below-floor",
        "ipa1.tpi.test allows dirsrv.restart only of: none (its floor file, /etc/ipa/tpi/floor.toml), and not of 'DS01'; ask for one of them",
    ),
    "definition": (
        lambda: check_definition(request(operation_digest=bytes(32)), RESTART),
        "operation-changed",
        "the definition of dirsrv.restart is not the one that was asked for; make a new request",
    ),
    "interface": (
        lambda: check_definition(request(interface="jacket"), RESTART),
        "interface-not-allowed",
        "dirsrv.restart cannot be asked for through the interface 'jacket'; use another one",
    ),
    "reason": (
        lambda: check_definition(request(reason="\u202e"), RESTART),
        "text-not-allowed",
        f"the reason holds U+202E at character 1, {BAD_CHARACTER}",
    ),
    "ticket": (
        lambda: check_definition(request(ticket="\u202e"), RESTART),
        "text-not-allowed",
        f"the ticket holds U+202E at character 1, {BAD_CHARACTER}",
    ),
    "no requester": (
        lambda: judge_requester(request(), None, setting()),
        "requester-gone",
        "the requester's account is gone (renamed or deleted); make a new request",
    ),
    "no requester at all": (
        lambda: decided(accounts={}),
        "requester-gone",
        "the requester's account is gone (renamed or deleted); make a new request",
    ),
    "young requester": (
        lambda: judge_requester(request(), replace(ALICE, created=LATE), setting()),
        "account-too-young",
        "the account of alice@TPI.TEST is younger than the request; make a new request",
    ),
    "no voice": (
        lambda: judge_voice(None, request(), ALICE, setting()).refusal,
        "unknown-principal",
        "the directory has no account for ''; ask an administrator",
    ),
    "young voice": (
        lambda: judge_voice(replace(BOB, created=LATE), request(), ALICE, setting()).refusal,
        "account-too-young",
        "the account of bob@TPI.TEST is younger than the request; another person has to approve",
    ),
    "no role": (
        lambda: judge_voice(NO_ROLE, request(), ALICE, setting()).refusal,
        "no-rule",
        "bob@TPI.TEST lacks the role of an approver; ask an administrator for the role",
    ),
    "no rule, no age": (
        lambda: check_age(
            person("zoe", member_of=frozenset()),
            Right.APPROVE,
            setting(operation=replace(RESTART, minimum_age_seconds=60)),
        ),
        "membership-too-young",
        (
            "a group gives zoe@TPI.TEST the right and was changed less than 60 s ago; dirsrv.restart counts only "
            "older memberships. Wait, or ask somebody else"
        ),
    ),
    "place": (
        lambda: decided(me=OTHER_EXECUTOR),
        "wrong-target",
        "the request is for ipa1.tpi.test, and this is ipa1.tpi.test; make a new request",
    ),
    "journal": (
        lambda: decided(memory={"journal_started": LATE}),
        "older-than-journal",
        "the request is older than the journal of ipa1.tpi.test; make a new request",
    ),
    "ahead": (
        lambda: decided(now=-6),
        "clock",
        "an entry is stamped ahead of the clock of ipa1.tpi.test; mend the clocks, then make a new request",
    ),
    "before": (
        lambda: decided(MADE.proof(CAROL, seconds=-1)),
        "clock",
        "an entry is stamped before the request that it lies below; make a new request",
    ),
    "gone": (
        lambda: decided(memory={"seen": frozenset({"x"})}),
        "seen-entry-missing",
        "an entry that was there is gone; the directory was restored or changed. Make a new request.",
    ),
    "changed": (
        lambda: decided(memory={"fingerprints": {request().id: "x"}}),
        "seen-entry-changed",
        (
            "the entry ipatpirequestid=7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10,cn=requests,cn=tpi,dc=tpi,dc=test is "
            "not the one that was seen first; the directory was changed. Make a new request."
        ),
    ),
    "digest": (
        lambda: decided(asked=request(digest=bytes(32))),
        "digest-mismatch",
        "the digest that the request bears is not that of what it asks for; make a new request, and tell an auditor",
    ),
    "withdrawn": (
        lambda: decided(Entries(request()).preview(), stage="last"),
        "withdrawn",
        "an approval was withdrawn or no longer counts; make a new request",
    ),
    "cancelled": (
        lambda: approved(MADE.cancellation()),
        "cancelled",
        "cancelled by the requester; make a new request if it is still needed",
    ),
    "cancelled before": (
        lambda: approved(MADE.result("cancelled", excerpt="cancelled by alice")),
        "cancelled",
        "cancelled by alice",
    ),
    "expired": (
        lambda: approved(now=400),
        "expired",
        "the window ended at 2026-03-01 12:05:10 UTC; make a new request",
    ),
    "denied": (
        lambda: approved(MADE.denial(CAROL)),
        "denied-by-approver",
        "denied by carol@TPI.TEST; ask why before you make a new request",
    ),
    "executed": (
        lambda: approved(MADE.result()),
        "execution-exists",
        "the request was begun or ended already; look at the target, then make a new request if it is needed",
    ),
    "unit": (
        lambda: check_unit("sshd", reading=False),
        "bad-parameters",
        "'sshd' is no full name of a service, socket, timer or path; give it as: unit=NAME.service",
    ),
    "reserved": (
        lambda: check_unit("dbus.service", reading=False),
        "unit-reserved",
        (
            "dbus.service is never handled as a mere unit; where it has an operation of its own, use that (such "
            "as dirsrv.restart), see: ipa-tpi operations"
        ),
    ),
    "id": (
        lambda: check_identifier("x"),
        "bad-id",
        "this is no id; write a UUID in lower case, such as 7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10",
    ),
    "target": (
        lambda: check_target("X"),
        "bad-input",
        "this is no target; write a host name in lower case, such as ipa1.example.test",
    ),
    "text": (
        lambda: check_text("\n", "reason"),
        "text-not-allowed",
        f"the reason holds U+000A at character 1, {BAD_CHARACTER}",
    ),
    "no host": (
        lambda: may(policy(rule()), Right.REQUEST, ALICE, RESTART, None),
        "no-rule",
        (
            "alice@TPI.TEST may not request dirsrv.restart on a host that the directory does not know: the nearest rule "
            "'operators approve' gives another right and does not name this host. Ask an administrator for a rule."
        ),
    ),
    "category": (
        lambda: load_rule("cn=r", RULE | {"usercategory": (b"some",)}),
        "rule-malformed",
        "the rule cn=r cannot be used: usercategory is 'some', where only all is known; correct the entry",
    ),
    "entry id": (
        lambda: read_child(raw("top ipaTpiExecution", "cn=x", ipatpientryid="x", ipatpinonce="n")),
        "malformed-entry",
        "the entry cn=x is malformed: ipatpientryid is not a UUID in lower case. Make a new request.",
    ),
    "not canonical": (
        lambda: parse_canonical(b"{ }"),
        "malformed-entry",
        "stored JSON is not in canonical form; somebody wrote it by other means",
    ),
    "surplus": (
        lambda: check_parameters({"mode": "a", "name": "x", "z": "1"}, CHOICE),
        "bad-parameters",
        "dirsrv.restart has no parameter 'z'; leave it out (its parameters: mode, name)",
    ),
    "surplus of none": (
        lambda: check_parameters({"z": "1"}, BARE),
        "bad-parameters",
        "dirsrv.restart has no parameter 'z'; leave it out (its parameters: none)",
    ),
    "not listed": (
        lambda: check_parameters({"mode": "c", "name": "x"}, CHOICE),
        "bad-parameters",
        "mode='c' is not allowed by dirsrv.restart; give mode=VALUE, one of a, b",
    ),
    "not matching": (
        lambda: check_parameters({"mode": "a", "name": "1"}, CHOICE),
        "bad-parameters",
        "name='1' is not allowed by dirsrv.restart; give name=VALUE, the whole of it matching [a-z]+",
    ),
    "bad operation": (
        lambda: request_with(ipatpioperationname="\u202e"),
        "malformed-request",
        f"the request entry is not of the expected form: the operation holds U+202E at character 1, {BAD_CHARACTER}. Make a new request.",
    ),
    "bad interface": (
        lambda: request_with(ipatpiinterface="\u202e"),
        "malformed-request",
        f"the request entry is not of the expected form: the interface holds U+202E at character 1, {BAD_CHARACTER}. Make a new request.",
    ),
    "bad reason": (
        lambda: request_with(ipatpireason="\u202e"),
        "malformed-request",
        f"the request entry is not of the expected form: the reason holds U+202E at character 1, {BAD_CHARACTER}. Make a new request.",
    ),
    "bad ticket": (
        lambda: request_with(ipatpiticket="\u202e"),
        "malformed-request",
        f"the request entry is not of the expected form: the ticket holds U+202E at character 1, {BAD_CHARACTER}. Make a new request.",
    ),
    "bad name": (
        lambda: request_with(ipatpiparameters='{"\u202e":"x"}'),
        "malformed-request",
        (
            f"the request entry is not of the expected form: the name of a parameter holds U+202E at character 1, "
            f"{BAD_CHARACTER}. Make a new request."
        ),
    ),
    "bad value": (
        lambda: request_with(ipatpiparameters='{"x":"\u202e"}'),
        "malformed-request",
        (
            f"the request entry is not of the expected form: the value of a parameter holds U+202E at character "
            f"1, {BAD_CHARACTER}. Make a new request."
        ),
    ),
    "no object": (
        lambda: request_with(ipatpiparameters="[]"),
        "malformed-request",
        "the request entry is not of the expected form: ipatpiparameters is not a canonical JSON object. Make a new request.",
    ),
    "no strings": (
        lambda: request_with(ipatpiparameters='{"x":1}'),
        "malformed-request",
        "the request entry is not of the expected form: ipatpiparameters holds something else than strings. Make a new request.",
    ),
    "comment": (
        lambda: child("top ipaTpiVoice ipaTpiDenial", ipatpidigest=HEX, ipatpicomment="\u202e"),
        "malformed-entry",
        (
            f"the entry cn=x is malformed: ipatpicomment is not allowed: the comment holds U+202E at character 1, "
            f"{BAD_CHARACTER}. Make a new request."
        ),
    ),
    "outcome": (
        lambda: child("top ipaTpiResult", ipatpioutcome="maybe"),
        "malformed-entry",
        "the entry cn=x is malformed: ipatpioutcome is not a known outcome. Make a new request.",
    ),
    "other proof": (
        lambda: expected_text(MADE.proof(digest=b"x"), bytes(32), bytes(32)),
        "proof-wrong-digest",
        "the proof is about something else than what lies here; look again, then approve again",
    ),
    "signature": (
        lambda: proof(mic_valid=False),
        "proof-wrong-digest",
        "the proof's signature is not over this purpose and digest; run: ipa-tpi prove ID",
    ),
    "delegated": (
        lambda: proof(delegated=True),
        "proof-delegated",
        "the proof was made by delegation, not by the person; run: ipa-tpi prove ID",
    ),
    "stale": (
        proof,
        "proof-stale",
        "this operation needs a ticket got for it alone, with your factor, at most 60 s ago; run: ipa-tpi prove ID",
    ),
    "nameless": (
        lambda: check_account(replace(ALICE, principal="", disabled=True), "", T0, ""),
        "disabled",
        "the account of uid=alice,cn=users,cn=accounts,dc=tpi,dc=test is disabled; ask an administrator",
    ),
    "persons": (
        lambda: check_account(replace(ALICE, persons=("1", "2")), "", T0, "employeeNumber"),
        "no-person-attribute",
        "the account of alice@TPI.TEST has 2 values of employeeNumber, where exactly one is needed; ask an administrator to set it",
    ),
    "stage": (
        lambda: satisfied(Demand(1, stages=(Stage(1, 2, SECURITY),)), a=frozenset({SECURITY})),
        "policy-unsatisfiable",
        f"{NOBODY_CAN}ipaTpiStage: stage 1 needs 2 of security, and 1 could approve; ask an administrator to correct it",
    ),
    "stages": (
        lambda: satisfied(
            Demand(1, stages=(Stage(1, 1, SECURITY), Stage(2, 1, OTHER))), a=frozenset({SECURITY, OTHER})
        ),
        "policy-unsatisfiable",
        f"{NOBODY_CAN}ipaTpiStage: its stages need more different people than their groups have; ask an administrator to correct it",
    ),
    "group": (
        lambda: satisfied(Demand(1, frozenset({SECURITY})), a=frozenset({OTHER})),
        "policy-unsatisfiable",
        f"{NOBODY_CAN}ipaTpiRequiredGroup: nobody of security could approve; ask an administrator to correct it",
    ),
    "people": (
        lambda: satisfied(Demand(2), a=frozenset()),
        "policy-unsatisfiable",
        f"{NOBODY_CAN}ipaTpiRequiredApprovals: 2 must approve, and 1 could; ask an administrator to correct it",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_people_are_told(name: str) -> None:
    ask, code, message = SAID[name]
    answer = ask()
    assert isinstance(answer, Refuse), answer
    assert (answer.code, answer.message) == (code, message)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_a_proof_is_over_a_whole_digest(digest: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the digest must have 32 bytes$"):
        mic_text(Purpose.APPROVE, digest)
    for one, two in ((digest, bytes(32)), (bytes(32), digest)):
        with pytest.raises(ValueError, match=r"^both digests must have 32 bytes$"):
            approval_digest(one, two)


SCHEMA_OF = "ipaTpiParameterSchema, parameter 'a': "
FAULTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"objectclass": ["top", "x"]}, "objectClass is top, x"),
    ({"zz": "1", "yy": "1"}, "this version does not know yy"),
    ({"cn": "x"}, "cn is 'x', which is not of the form module.verb"),
    ({"cn": None}, "cn has 0 values, where exactly one is needed"),
    (
        {"cn": "dirsrv.status", "ipatpirequiredapprovals": "1"},
        "ipaTpiRequiredApprovals is not 0, and this operation only reads",
    ),
    (
        {"ipatpiinterface": "x"},
        "ipaTpiInterface holds a value that is none of cli, direct, framework, jacket, web",
    ),
    ({"ipaenabledflag": "x"}, "ipaenabledflag is neither TRUE nor FALSE"),
    ({"ipatpirequiredapprovals": None}, "ipatpirequiredapprovals has 0 values, where exactly one is needed"),
    ({"ipatpirequiredapprovals": "x"}, "ipatpirequiredapprovals is 'x', which is not a whole number"),
    ({"ipatpirequiredapprovals": "17"}, "ipatpirequiredapprovals is 17, which is not between 1 and 16"),
    ({"ipatpipendinglimit": "1209601"}, "ipatpipendinglimit is 1209601, which is not between 0 and 1209600"),
    ({"ipatpirequiredgroup": "x"}, "ipatpirequiredgroup is 'x', which is not a DN"),
    (
        {"ipatpistage": "x"},
        "ipatpistage is 'x', which is not ORDER:COUNT:DN with an order and a count from 1 to 99",
    ),
    (
        {"ipatpistage": ["1:1:cn=x", "1:2:cn=x"]},
        "ipatpistage names a group twice in one order; give it once, with the sum of the counts",
    ),
    ({"ipatpistage": "1:17:cn=x"}, "ipatpistage demands more than 16 approvals together"),
    ({"ipatpivalidationprogram": "/x"}, "ipatpivalidationprogram is '/x', which is no plain file name"),
    ({"ipatpiauthindicator": "a b"}, "ipatpiauthindicator is 'a b', which no KDC can set"),
    ({"ipatpiparameterschema": "[" * 99999}, "ipaTpiParameterSchema is nested too deeply"),
    ({"ipatpiparameterschema": "[]"}, "ipaTpiParameterSchema is not a JSON object"),
    ({"ipatpiparameterschema": '{"a":1,"a":2}'}, "ipaTpiParameterSchema holds a name twice"),
    (
        {"ipatpiparameterschema": '{"a":1}'},
        f"{SCHEMA_OF}expected an object with pattern, values, lines, description",
    ),
    (
        {"ipatpiparameterschema": '{"a":{"pattern":"x","lines":1}}'},
        f"{SCHEMA_OF}lines is neither true nor false",
    ),
    ({"ipatpiparameterschema": '{"a":{}}'}, f"{SCHEMA_OF}the pattern is missing or no string"),
    (
        {"ipatpiparameterschema": '{"a":{"pattern":"a","values":1}}'},
        f"{SCHEMA_OF}values is no list of strings",
    ),
    (
        {"ipatpiparameterschema": '{"a":{"pattern":"a","values":[]}}'},
        f"{SCHEMA_OF}values is empty; leave it out to allow all that the pattern allows",
    ),
    (
        {"ipatpiparameterschema": '{"a":{"pattern":"("}}'},
        f"{SCHEMA_OF}the pattern does not compile: missing ), unterminated subpattern at position 0",
    ),
    (
        {"ipatpireasonpattern": "("},
        "ipatpireasonpattern: the pattern does not compile: missing ), unterminated subpattern at position 0",
    ),
)


@pytest.mark.parametrize(("changes", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_what_is_told_of_a_definition(changes: dict[str, Any], fault: str) -> None:
    answer = load_operation(RESTART.dn, definition(**changes))
    told = f"the operation {RESTART.dn} cannot be used: {fault}; correct the entry"
    assert answer == Refuse("operation-malformed", told)
