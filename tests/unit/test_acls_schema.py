"""The schema's text says what DESIGN.md section 3 says."""

import re

import ldap.schema
import pytest

from ipa_tpi_acls.schema import ARC, ATTRIBUTES, CLASSES, Form, schema_ldif

# DESIGN.md section 3, "Schema": what an entry of each class may hold beside cn and description.
DESIGN = {
    "ipaTpiRule": "ipaTpiRight ipaTpiRequestingPrincipal ipaTpiMemberOperation ipaTpiOperationCategory",
    "ipaTpiOperation": (
        "ipaTpiParameterSchema ipaTpiRequiredApprovals ipaTpiRequiredGroup ipaTpiStage ipaTpiApprovalSeconds"
        " ipaTpiExecutionSeconds ipaTpiTimeoutSeconds ipaTpiValidationProgram ipaTpiAuthIndicator"
        " ipaTpiFreshSeconds ipaTpiMinimumAgeSeconds ipaTpiInterface ipaTpiReasonPattern ipaTpiTicketPattern"
        " ipaTpiPendingLimit ipaTpiDestructive"
    ),
    "ipaTpiOperationGroup": "",
    "ipaTpiRequest": (
        "ipaTpiRequestId ipaTpiOperationName ipaTpiOperationDigest ipaTpiTarget ipaTpiExecutor ipaTpiParameters"
        " ipaTpiReason ipaTpiTicket ipaTpiInterface ipaTpiDigest"
    ),
    "ipaTpiPreview": "ipaTpiEntryId ipaTpiBody ipaTpiDigest",
    "ipaTpiApproval": "ipaTpiEntryId ipaTpiDigest ipaTpiComment",
    "ipaTpiDenial": "ipaTpiEntryId ipaTpiDigest ipaTpiComment",
    "ipaTpiWithdrawal": "ipaTpiEntryId ipaTpiDigest ipaTpiComment",
    "ipaTpiCancellation": "ipaTpiEntryId ipaTpiDigest ipaTpiComment",
    "ipaTpiProof": "ipaTpiEntryId ipaTpiProofKind ipaTpiPurpose ipaTpiDigest ipaTpiToken ipaTpiMic",
    "ipaTpiReceipt": "ipaTpiEntryId ipaTpiRefersTo ipaTpiOutcome",
    "ipaTpiExecution": "ipaTpiEntryId ipaTpiNonce",
    "ipaTpiResult": ("ipaTpiEntryId ipaTpiOutcome ipaTpiExitStatus ipaTpiStarted ipaTpiEnded ipaTpiExcerpt"),
    "ipaTpiAnchor": "ipaTpiEntryId ipaTpiExecutor ipaTpiSequence ipaTpiHead",
    "ipaTpiVoice": "",
}

# OIDs are for ever: what was released under a number stays there.
FIRST_NAMES = {1: "ipaTpiRequestId", 6: "ipaTpiExecutor", 11: "ipaTpiDigest", 45: "ipaTpiDestructive"}
FIRST_CLASSES = {1: "ipaTpiVoice", 2: "ipaTpiRequest", 4: "ipaTpiApproval", 15: "ipaTpiRule"}


def _parsed(kind: str, parse: type) -> dict[str, object]:
    lines = [line for line in schema_ldif().splitlines() if line.startswith(f"{kind}: ")]
    definitions = [parse(line.partition(": ")[2]) for line in lines]
    return {definition.names[0]: definition for definition in definitions}


def test_classes_hold_what_the_design_lists() -> None:
    classes = _parsed("objectClasses", ldap.schema.ObjectClass)
    assert set(classes) == set(DESIGN)
    for name, attributes in DESIGN.items():
        held = {held for held in (*classes[name].must, *classes[name].may) if held.startswith("ipaTpi")}
        assert held == set(attributes.split()), name


def test_every_attribute_of_a_class_is_defined() -> None:
    defined = set(_parsed("attributeTypes", ldap.schema.AttributeType))
    used = {name for one in CLASSES for name in (*one.must, *one.may) if name.startswith("ipaTpi")}
    assert used == defined


@pytest.mark.parametrize(
    ("name", "superior"),
    [
        ("ipaTpiRequest", "ipaTpiVoice"),
        ("ipaTpiApproval", "ipaTpiVoice"),
        ("ipaTpiDenial", "ipaTpiVoice"),
        ("ipaTpiWithdrawal", "top"),
        ("ipaTpiRule", "ipaAssociation"),
    ],
)
def test_superiors(name: str, superior: str) -> None:
    parsed = _parsed("objectClasses", ldap.schema.ObjectClass)[name]
    assert parsed.sup == (superior,)
    assert parsed.kind == 0  # structural


def test_the_voice_is_abstract() -> None:
    assert _parsed("objectClasses", ldap.schema.ObjectClass)["ipaTpiVoice"].kind == 1


def test_numbers_are_unique_and_below_one_arc() -> None:
    for table, arc in ((ATTRIBUTES, 1), (CLASSES, 2)):
        numbers = [one.number for one in table]
        assert len(numbers) == len(set(numbers))
        assert {one.oid for one in table} == {f"{ARC}.{arc}.{number}" for number in numbers}
    assert re.fullmatch(r"2\.25\.\d{39}", ARC)


def test_released_numbers_stay() -> None:
    assert ARC == "2.25.220868874533451544767991027211611487021"
    assert {one.number: one.name for one in ATTRIBUTES if one.number in FIRST_NAMES} == FIRST_NAMES
    assert {one.number: one.name for one in CLASSES if one.number in FIRST_CLASSES} == FIRST_CLASSES


def test_bytes_that_are_digested_are_octet_strings() -> None:
    octets = {one.name for one in ATTRIBUTES if one.form is Form.OCTETS}
    assert octets == {"ipaTpiParameters", "ipaTpiBody", "ipaTpiToken", "ipaTpiMic"}


def test_what_a_request_says_is_said_once() -> None:
    many = {one.name for one in ATTRIBUTES if one.many}
    request = next(one for one in CLASSES if one.name == "ipaTpiRequest")
    # ipaTpiInterface has many values in an operation; of a request the reader demands exactly one.
    assert many & {*request.must, *request.may} == {"ipaTpiInterface"}


def test_the_text_is_one_entry_of_plain_lines() -> None:
    text = schema_ldif()
    assert text.isascii()
    assert text.startswith("dn: cn=schema\nattributeTypes: ")
    assert text.endswith(")\n")
    assert "\n\n" not in text
