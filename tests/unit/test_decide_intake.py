"""What may come in: texts, ids, parameters, entries (DESIGN section 3; K11, E03)."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from decide_builders import (
    BODY,
    EXECUTOR,
    REQUEST_DN,
    REQUEST_ID,
    T0,
    Entries,
    an_id,
    operation,
    raw,
    raw_request,
    refused_with,
    request,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ipa_tpi.decide.digest import sha256
from ipa_tpi.decide.intake import (
    MAX_LINES,
    MAX_TEXT,
    RawEntry,
    check_identifier,
    check_lines,
    check_parameters,
    check_target,
    check_text,
    fingerprint,
    read_child,
    read_request,
)
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Outcome,
    Preview,
    Proof,
    Receipt,
    Refuse,
    Request,
    Result,
    Withdrawal,
)

HEX = sha256(b"x").hex()
CHILD = {"dn": f"ipatpientryid={an_id(1)},{REQUEST_DN}", "ipatpientryid": an_id(1)}


@pytest.mark.parametrize(
    "text", ["", "plain", "Größe 5 μm — «naïve»", "日本語 العربية", "a" * MAX_TEXT, "<b>&amp;'\""]
)
def test_a_text_for_people_passes(text: str) -> None:
    assert check_text(text, "reason") is None


@pytest.mark.parametrize(
    "character",
    [
        "\0",
        "\n",
        "\r",
        "\t",
        "\x1b",
        "\x7f",
        "\x85",
        "\x9b",
        "\u2028",
        "\u2029",
        "\u200b",  # zero-width space
        "\u200c",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u00ad",  # soft hyphen
        "\u061c",  # bidirectional, as the next
        "\u200e",
        "\u202a",
        "\u202e",
        "\u2066",
        "\u2069",
        "\u180e",
        "\U000e0041",  # a tag
        "\ud800",
        "\ue000",  # private use
        "\ufffe",
        "\U0010ffff",
        "\u0378",  # unassigned
        "\u034f",  # these have no width either, though they are letters and marks
        "\u115f",
        "\u1160",
        "\u17b4",
        "\u180b",
        "\u3164",
        "\ufe0f",
        "\uffa0",
        "\U000e0100",
    ],
)
def test_what_could_show_as_something_else_is_refused(character: str) -> None:
    refused_with(
        check_text(f"restart{character} it", "reason"),
        "text-not-allowed",
        f"the reason holds U+{ord(character):04X} at character 8",
        "write it without",
    )


def test_a_long_text_is_refused() -> None:
    assert MAX_TEXT == 1024
    refused_with(check_text("a" * (MAX_TEXT + 1), "ticket"), "text-not-allowed", "ticket", "shorten it")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        REQUEST_ID.upper(),
        REQUEST_ID + "\n",
        REQUEST_ID + " ",
        "{" + REQUEST_ID + "}",
        REQUEST_ID.replace("-", ""),
        REQUEST_ID[:-1],
        REQUEST_ID + "0",
        "../" + REQUEST_ID,
        REQUEST_ID.replace("7", "\u0667"),
    ],
)
def test_an_id_is_a_uuid_in_one_spelling(text: str) -> None:
    refused_with(check_identifier(text), "bad-id", "UUID")
    assert check_identifier(REQUEST_ID) is None


@pytest.mark.parametrize("text", ["a", "ipa1.tpi.test", "1.2.3", "a-b.c-d", "a" * 63 + ".test"])
def test_a_host_name_passes(text: str) -> None:
    assert check_target(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "IPA1.tpi.test",
        "ipa1.tpi.test.",
        ".tpi",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "a b",
        "a\n",
        "a/b",
        "a@b",
        "ä.test",
        "a" * 64,
        ".".join(["a" * 63] * 4),
        "a*",
        "a,cn=x",
    ],
)
def test_anything_else_is_no_target(text: str) -> None:
    refused_with(check_target(text), "bad-input", "lower case")


RESTART = operation()
CHOICE = operation(
    ipatpiparameterschema='{"mode":{"pattern":".*","values":["a","b"]},"name":{"pattern":"[a-z\\u200b]+"}}'
)


def test_parameters_as_defined_pass() -> None:
    assert check_parameters({"instance": "DS01"}, RESTART) is None
    assert check_parameters({"mode": "a", "name": "x"}, CHOICE) is None
    assert check_parameters({}, operation(ipatpiparameterschema="{}")) is None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, ("needs the parameter instance", "give instance=VALUE")),
        ({"instance": "DS01", "other": "x"}, ("has no parameter 'other'", "leave it out")),
        ({"instance": "DS01", "\u202e": "x"}, ("\\u202e", "leave it out")),
        ({"instance": ""}, ("instance", "''")),
        ({"instance": "DS01\n"}, ("DS01\\n",)),  # the whole value must match
        ({"instance": "x DS01"}, ("x DS01",)),
        ({"instance": "DS01; reboot"}, ("not allowed",)),
        ({"instance": "a" * 65}, ("not allowed",)),
        ({"instance": "DS\uff10\uff11"}, ("not allowed",)),
    ],
)
def test_other_parameters_are_refused(parameters: dict[str, str], words: tuple[str, ...]) -> None:
    refused_with(check_parameters(parameters, RESTART), "bad-parameters", *words)


def test_a_value_that_is_not_listed_is_refused() -> None:
    refused_with(check_parameters({"mode": "c", "name": "x"}, CHOICE), "bad-parameters", "mode")


def test_a_pattern_cannot_allow_what_no_text_may_hold() -> None:
    refused_with(
        check_parameters({"mode": "a", "name": "x\u200b"}, CHOICE), "text-not-allowed", "value of name"
    )


def test_a_value_has_a_limit_whatever_the_pattern_says() -> None:
    wide = operation(ipatpiparameterschema='{"name":{"pattern":".*"}}')
    assert check_parameters({"name": "a" * 1024}, wide) is None
    refused_with(check_parameters({"name": "a" * 1025}, wide), "bad-parameters")


def test_a_request_is_read_as_it_was_written() -> None:
    assert read_request(raw_request()) == request()
    full = request(reason="", ticket="T-1", parameters={})
    assert read_request(raw_request(full)) == full


@pytest.mark.parametrize("classes", ["TOP ipatpivoice IPATPIREQUEST", "ipaTpiRequest top ipaTpiVoice"])
def test_classes_are_compared_without_letter_case(classes: str) -> None:
    assert isinstance(read_request(raw_request(classes=classes)), Request)


@pytest.mark.parametrize(
    "classes",
    [
        "",
        "top",
        "top ipaTpiRequest",
        "top ipaTpiVoice ipaTpiApproval",
        "top ipaTpiVoice ipaTpiRequest extensibleObject",
        "top ipaTpiVoice ipaTpiRequest krbPrincipalAux",
        "top ipaTpiVoice ipaTpiRequest nsAccountLock",
        "top ipaTpiVoice ipaTpiRequest ipaTpiApproval",
        "top ipaTpiVoice ipaTpiRequest ipaTpiOperation",
        "ipaTpiVoice ipaTpiRequest",
    ],
)
def test_a_request_has_exactly_the_classes_of_a_request(classes: str) -> None:
    refused_with(read_request(raw_request(classes=classes)), "malformed-request", "classes")


BAD_REQUESTS: tuple[tuple[dict[str, Any], str], ...] = (
    *(
        ({name: None}, name)
        for name in (
            "ipatpirequestid",
            "ipatpioperationname",
            "ipatpioperationdigest",
            "ipatpitarget",
            "ipatpiexecutor",
            "ipatpiparameters",
            "ipatpiinterface",
            "ipatpidigest",
        )
    ),
    *(
        ({name: ["a", "b"]}, name)
        for name in (
            "ipatpirequestid",
            "ipatpioperationname",
            "ipatpioperationdigest",
            "ipatpitarget",
            "ipatpiexecutor",
            "ipatpiparameters",
            "ipatpireason",
            "ipatpiticket",
            "ipatpiinterface",
            "ipatpidigest",
        )
    ),
    *(
        ({name: b"\xff\xfe"}, name)
        for name in ("ipatpioperationname", "ipatpitarget", "ipatpireason", "ipatpiticket", "ipatpidigest")
    ),
    ({"ipatpioperationdigest": HEX.upper()}, "ipatpioperationdigest"),
    ({"ipatpioperationdigest": HEX[:-1]}, "ipatpioperationdigest"),
    ({"ipatpidigest": HEX + "00"}, "ipatpidigest"),
    ({"ipatpidigest": HEX + "\n"}, "ipatpidigest"),
    ({"ipatpidigest": "g" * 64}, "ipatpidigest"),
    ({"ipatpiparameters": '{"instance": "DS01"}'}, "canonical"),
    ({"ipatpiparameters": '{"b":"1","a":"2"}'}, "canonical"),
    ({"ipatpiparameters": '{"a":"1","a":"2"}'}, "canonical"),
    ({"ipatpiparameters": "[]"}, "canonical JSON object"),
    ({"ipatpiparameters": '"x"'}, "canonical JSON object"),
    ({"ipatpiparameters": "null"}, "canonical JSON object"),
    ({"ipatpiparameters": b"\xff"}, "canonical"),
    ({"ipatpiparameters": b"[" * 50_000}, "canonical"),
    ({"ipatpiparameters": '{"a":1}'}, "strings"),
    ({"ipatpiparameters": '{"a":{"b":"c"}}'}, "strings"),
    ({"ipatpiparameters": '{"a":null}'}, "strings"),
    ({"ipatpirequestid": "x"}, "UUID"),
    ({"ipatpitarget": "IPA1"}, "host name"),
    ({"ipatpireason": "a\u202eb"}, "U+202E"),
    ({"ipatpiticket": "a\u200bb"}, "U+200B"),
    ({"ipatpioperationname": "dirsrv.\u202erestart"}, "U+202E"),
    ({"ipatpiinterface": "cli\u200b"}, "U+200B"),
    ({"ipatpiparameters": '{"instance":"DS\u202e01"}'}, "U+202E"),
    ({"ipatpiparameters": '{"inst\u200bance":"DS01"}'}, "U+200B"),
)


@pytest.mark.parametrize(("changes", "word"), BAD_REQUESTS)
def test_a_request_of_another_form_is_malformed(changes: dict[str, Any], word: str) -> None:
    """One code for all, because `ports.Directory.load` promises it and the executor ends such a request by it."""
    refused_with(read_request(raw_request(**changes)), "malformed-request", word)


def test_a_request_that_is_a_conflict_is_malformed() -> None:
    there = raw_request()
    conflict = RawEntry(there.dn, there.creator, there.created, there.attributes, conflict=True)
    told = "the request entry is a replication conflict; make a new request"
    assert read_request(conflict) == Refuse("malformed-request", told)


def test_an_attribute_with_an_option_makes_a_request_malformed() -> None:
    planted = {"creatorsname;lang-en": "uid=bob"}
    refused_with(read_request(raw_request(**planted)), "malformed-request", "creatorsname;lang-en", "option")


def test_planted_attributes_are_not_read() -> None:
    asked = read_request(raw_request(nsroledn="cn=x", creatorsname="uid=mallory", ipatpioutcome="executed"))
    assert asked == request()


CHILDREN: tuple[tuple[str, dict[str, Any], type[Child], dict[str, Any]], ...] = (
    (
        "top ipaTpiPreview",
        {"ipatpibody": BODY, "ipatpidigest": HEX},
        Preview,
        {"body": BODY, "digest": sha256(b"x")},
    ),
    (
        "top ipaTpiVoice ipaTpiApproval",
        {"ipatpidigest": HEX, "ipatpicomment": "ok"},
        Approval,
        {"comment": "ok"},
    ),
    ("top ipaTpiVoice ipaTpiDenial", {"ipatpidigest": HEX}, Denial, {"comment": ""}),
    (
        "top ipaTpiWithdrawal",
        {"ipatpidigest": HEX, "ipatpicomment": "ok"},
        Withdrawal,
        {"digest": sha256(b"x"), "comment": "ok"},
    ),
    (
        "top ipaTpiCancellation",
        {"ipatpidigest": HEX, "ipatpicomment": "ok"},
        Cancellation,
        {"digest": sha256(b"x"), "comment": "ok"},
    ),
    (
        "top ipaTpiProof",
        {
            "ipatpiproofkind": "gss",
            "ipatpipurpose": "approve",
            "ipatpidigest": HEX,
            "ipatpitoken": b"\0\xff",
            "ipatpimic": b"\xfe",
        },
        Proof,
        {"kind": "gss", "purpose": "approve", "token": b"\0\xff", "mic": b"\xfe"},
    ),
    (
        "top ipaTpiReceipt",
        {"ipatpirefersto": an_id(2), "ipatpioutcome": "verified"},
        Receipt,
        {"refers_to": an_id(2), "outcome": "verified"},
    ),
    ("top ipaTpiExecution", {"ipatpinonce": "aa"}, Execution, {"nonce": "aa"}),
    (
        "top ipaTpiResult",
        {
            "ipatpioutcome": "executed",
            "ipatpiexitstatus": "-1",
            "ipatpistarted": "20260301120000Z",
            "ipatpiended": "20260301120001Z",
            "ipatpiexcerpt": "done",
        },
        Result,
        {
            "outcome": Outcome.EXECUTED,
            "exit_status": -1,
            "started": T0,
            "excerpt": "done",
            "ended": datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC),
        },
    ),
    (
        "top ipaTpiResult",
        {"ipatpioutcome": "denied"},
        Result,
        {"outcome": Outcome.DENIED, "exit_status": None, "started": None, "ended": None, "excerpt": ""},
    ),
)


@pytest.mark.parametrize(("classes", "attributes", "kind", "expected"), CHILDREN)
def test_each_class_of_entry_is_read(
    classes: str, attributes: dict[str, Any], kind: type[Child], expected: dict[str, Any]
) -> None:
    child = read_child(raw(classes, creator=EXECUTOR, **CHILD, **attributes))
    assert type(child) is kind
    assert (child.entry_id, child.dn, child.creator, child.created) == (an_id(1), CHILD["dn"], EXECUTOR, T0)
    assert {name: getattr(child, name) for name in expected} == expected
    assert child.conflict is False


@pytest.mark.parametrize(("classes", "attributes", "kind", "_expected"), CHILDREN)
def test_no_class_is_read_with_another_beside_it(
    classes: str, attributes: dict[str, Any], kind: type[Child], _expected: dict[str, Any]
) -> None:
    for more in ("extensibleObject", "ipaTpiReceipt", "ipaTpiApproval", "nsTombstone", "krbPrincipalAux"):
        if more not in classes:
            refused_with(
                read_child(raw(f"{classes} {more}", **CHILD, **attributes)), "malformed-entry", CHILD["dn"]
            )
    refused_with(read_child(raw(classes.removeprefix("top "), **CHILD, **attributes)), "malformed-entry")
    assert kind.__name__.lower() in classes.lower()


@pytest.mark.parametrize(("classes", "attributes", "_kind", "_expected"), CHILDREN)
def test_an_attribute_with_an_option_makes_an_entry_malformed(
    classes: str, attributes: dict[str, Any], _kind: type[Child], _expected: dict[str, Any]
) -> None:
    for name in ("creatorsname;lang-en", "createtimestamp;x-y"):
        read = read_child(raw(classes, **CHILD, **attributes, **{name: "x"}))
        refused_with(read, "malformed-entry", CHILD["dn"], name)


@pytest.mark.parametrize(("classes", "attributes", "_kind", "_expected"), CHILDREN)
def test_no_attribute_of_an_entry_may_be_missing_or_doubled(
    classes: str, attributes: dict[str, Any], _kind: type[Child], _expected: dict[str, Any]
) -> None:
    optional = {"ipatpicomment", "ipatpiexitstatus", "ipatpistarted", "ipatpiended", "ipatpiexcerpt"}
    for name in ["ipatpientryid", *attributes]:
        values = CHILD | attributes
        doubled = read_child(raw(classes, **(values | {name: [values[name], values[name]]})))
        refused_with(doubled, "malformed-entry", f"{name} has 2 values")
        if name not in optional:
            refused_with(
                read_child(raw(classes, **(values | {name: None}))), "malformed-entry", f"{name} is missing"
            )


def test_a_fingerprint_tells_every_value_and_the_class_and_no_order() -> None:
    """R-K13: what was seen first is known again, and nothing else is taken for it."""
    made = Entries(request())
    approval = made.approval()
    others = [
        replace(approval, **{name: value})
        for name, value in (
            ("entry_id", an_id(9)),
            ("dn", "cn=x"),
            ("creator", "cn=x"),
            ("created", T0),
            ("conflict", True),
            ("digest", b"x"),
            ("comment", "\ud800"),
        )
    ]
    denial = Denial(**{one.name: getattr(approval, one.name) for one in fields(approval)})
    every: list[Child | Request] = [approval, denial, request(), request(parameters={}), *others]
    assert len({fingerprint(entry) for entry in every}) == len(every)
    one, two = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert fingerprint(request(parameters=one)) == fingerprint(request(parameters=two))
    assert fingerprint(made.approval()) != fingerprint(approval) == fingerprint(replace(approval))


@pytest.mark.parametrize(
    "classes",
    ["", "top", "top ipaTpiVoice", "top ipaTpiRequest", "top ipaTpiAnchor", "top \u202e", "top groupOfNames"],
)
def test_an_unknown_class_is_malformed(classes: str) -> None:
    refused_with(read_child(raw(classes, **CHILD)), "malformed-entry", "unknown set of classes")


def test_a_class_that_is_not_utf8_is_malformed() -> None:
    there = RawEntry("cn=x", "cn=y", T0, {"objectclass": [b"top", b"\xff"]})
    refused_with(read_child(there), "malformed-entry")


@pytest.mark.parametrize(
    ("classes", "changes", "word"),
    [
        ("top ipaTpiDenial ipaTpiVoice", {"ipatpidigest": HEX, "ipatpicomment": "\u202e"}, "ipatpicomment"),
        ("top ipaTpiDenial ipaTpiVoice", {"ipatpidigest": HEX, "ipatpicomment": "a" * 1025}, "ipatpicomment"),
        ("top ipaTpiDenial ipaTpiVoice", {"ipatpidigest": "zz"}, "ipatpidigest"),
        ("top ipaTpiResult", {"ipatpioutcome": "approved"}, "ipatpioutcome"),
        ("top ipaTpiResult", {"ipatpioutcome": "EXECUTED"}, "ipatpioutcome"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpiexitstatus": "1x"}, "ipatpiexitstatus"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpiexitstatus": "1" * 10}, "ipatpiexitstatus"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpiexitstatus": "1\n"}, "ipatpiexitstatus"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpistarted": "yesterday"}, "ipatpistarted"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpiended": b"\xff"}, "ipatpiended"),
        ("top ipaTpiResult", {"ipatpioutcome": "failed", "ipatpiended": "20261301000000Z"}, "ipatpiended"),
        ("top ipaTpiReceipt", {"ipatpirefersto": b"\xff", "ipatpioutcome": "verified"}, "ipatpirefersto"),
        (
            "top ipaTpiExecution",
            {"ipatpinonce": "a", "ipatpientryid": an_id(1).upper() + "A"},
            "ipatpientryid",
        ),
        ("top ipaTpiExecution", {"ipatpinonce": "a", "ipatpientryid": b"\xff"}, "ipatpientryid"),
    ],
)
def test_a_wrong_value_makes_an_entry_malformed(classes: str, changes: dict[str, Any], word: str) -> None:
    refused_with(read_child(raw(classes, **(CHILD | changes))), "malformed-entry", CHILD["dn"], word)


def test_a_conflict_is_marked() -> None:
    there = raw("top ipaTpiExecution", **CHILD, ipatpinonce="a")
    child = read_child(RawEntry(there.dn, there.creator, there.created, there.attributes, conflict=True))
    assert isinstance(child, Execution)
    assert child.conflict


VALUES = st.binary(max_size=12) | st.sampled_from(
    [
        HEX.encode(),
        an_id(1).encode(),
        b"executed",
        b"gss",
        b"{}",
        b"1",
        b"20260301120000Z",
        REQUEST_ID.encode(),
        b"localhost",
    ]
)
NAMES = st.sampled_from(
    [
        "ipatpientryid",
        "ipatpirequestid",
        "ipatpidigest",
        "ipatpioperationdigest",
        "ipatpicomment",
        "ipatpibody",
        "ipatpitoken",
        "ipatpimic",
        "ipatpiproofkind",
        "ipatpipurpose",
        "ipatpirefersto",
        "ipatpioutcome",
        "ipatpinonce",
        "ipatpiexitstatus",
        "ipatpistarted",
        "ipatpiended",
        "ipatpiexcerpt",
        "ipatpiparameters",
        "ipatpitarget",
        "ipatpiexecutor",
        "ipatpiinterface",
        "ipatpioperationname",
        "ipatpireason",
        "ipatpiticket",
    ]
)
CLASS_SETS = st.sampled_from(
    [classes for classes, _, _, _ in CHILDREN] + ["top ipaTpiVoice ipaTpiRequest", "top"]
)
ENTRIES = st.builds(
    lambda classes, attributes, conflict: RawEntry(
        "cn=x",
        "cn=y",
        T0,
        {**attributes, "objectclass": [name.encode() for name in classes.split()]},
        conflict=conflict,
    ),
    CLASS_SETS,
    st.dictionaries(NAMES, st.lists(VALUES, max_size=2), max_size=12),
    st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(ENTRIES)
def test_no_entry_makes_a_reader_raise(there: RawEntry) -> None:
    assert isinstance(read_child(there), Child | Refuse)
    assert isinstance(read_request(there), Request | Refuse)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=20))
def test_no_text_makes_a_check_raise(text: str) -> None:
    for answer in (
        check_text(text, "x"),
        check_identifier(text),
        check_target(text),
        check_parameters({text: text}, RESTART),
    ):
        assert answer is None or answer.message.isascii()


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=4),
        st.text(st.characters(codec="utf-8"), max_size=4),
        max_size=3,
    )
)
def test_parameters_are_read_as_what_was_stored(parameters: dict[str, str]) -> None:
    stored = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    there = read_request(raw_request(ipatpiparameters=stored))
    if isinstance(there, Request):
        assert there.parameters == parameters


LINES = operation(
    ipatpiparameterschema='{"text":{"pattern":"(?s)[^x]*","lines":true},"name":{"pattern":"(?s).*"}}'
)


def test_several_lines_only_where_the_definition_says_so() -> None:
    text = "-----BEGIN-----\nGröße\n"
    assert check_parameters({"text": text, "name": "a"}, LINES) is None
    refused_with(check_parameters({"text": "a", "name": text}, LINES), "text-not-allowed", "U+000A")
    assert check_parameters({"text": "a" * MAX_LINES, "name": "a"}, LINES) is None
    refused_with(check_parameters({"text": "a" * (MAX_LINES + 1), "name": "a"}, LINES), "bad-parameters")
    refused_with(check_parameters({"text": "a", "name": "a" * (MAX_TEXT + 1)}, LINES), "bad-parameters")


@pytest.mark.parametrize(
    "character",
    [
        "\r",
        "\t",
        "\0",
        "\x0b",
        "\x0c",
        "\x1b",
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u200b",
        "\ufe0f",
    ],
)
def test_r_k11_several_lines_hide_nothing(character: str) -> None:
    refused_with(check_lines(f"a\n{character}", "text"), "text-not-allowed", "at character 3")
    refused_with(
        check_parameters({"text": f"a\n{character}", "name": "a"}, LINES), "text-not-allowed", "value of text"
    )


def test_no_more_of_a_long_value_is_told_than_helps() -> None:
    refusal = check_parameters({"text": "x" * 81, "name": "a"}, LINES)
    refused_with(refusal, "bad-parameters", f"text='{'x' * 80}'…")
    assert isinstance(refusal, Refuse)
    assert f"text='{'x' * 80}' is" in str(check_parameters({"text": "x" * 80, "name": "a"}, LINES))


def test_a_request_with_several_lines_is_read_and_one_with_less_is_not() -> None:
    read = read_request(raw_request(request(parameters={"text": "a\nb"})))
    assert isinstance(read, Request)
    assert read.parameters == {"text": "a\nb"}
    refused_with(
        read_request(raw_request(request(parameters={"text": "a\rb"}))), "malformed-request", "U+000D"
    )
    refused_with(read_request(raw_request(request(parameters={"a\nb": "a"}))), "malformed-request", "U+000A")
