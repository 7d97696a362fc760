"""The LDAP schema of ipa-tpi (DESIGN.md section 3).

Two tables, ATTRIBUTES and CLASSES. A number in them is the last arc of an OID and is never used for anything
else; later versions add lines and alter none. FreeIPA's own definitions (ipaAssociation, ipaUniqueID,
ipaEnabledFlag, memberUser, ...) are used by name and not repeated.

Choice of matching rules:
  - an identifier that is an RDN compares without regard to case, because 389-ds compares DNs so: two names
    that differ in case alone must be one value in filters and one entry in the tree;
  - digests, nonces and keywords are ASCII and compare exactly: a digest in upper case is none of ours;
  - bytes that are digested or verified (parameters, preview body, token, MIC) are octet strings, so the
    server neither checks nor normalises them;
  - text written by people is a directory string, so the server refuses what is not UTF-8.
"""

import uuid
from dataclasses import dataclass
from enum import Enum

ARC = f"2.25.{uuid.UUID('a629cc44-cb2e-436e-b8cd-259352753b2d').int}"
ATTRIBUTE_ARC = f"{ARC}.1"
CLASS_ARC = f"{ARC}.2"
ORIGIN = "ipa-tpi"
SCHEMA_FILE = "75ipatpi.ldif"

_SYNTAX = "1.3.6.1.4.1.1466.115.121.1"


class Form(Enum):
    """A syntax (last arc of its OID, RFC 4517 section 3.3) with the matching rules that go with it."""

    IDENTIFIER = (15, "caseIgnoreMatch", None, "caseIgnoreSubstringsMatch")
    TEXT = (15, "caseExactMatch", None, "caseExactSubstringsMatch")
    KEYWORD = (26, "caseExactIA5Match", None, None)
    NUMBER = (27, "integerMatch", "integerOrderingMatch", None)
    FLAG = (7, "booleanMatch", None, None)
    NAME = (12, "distinguishedNameMatch", None, None)
    TIME = (24, "generalizedTimeMatch", "generalizedTimeOrderingMatch", None)
    OCTETS = (40, "octetStringMatch", None, None)


@dataclass(frozen=True)
class Attribute:
    """One attribute type: its number below ATTRIBUTE_ARC, name, form, and whether it may have many values."""

    number: int
    name: str
    form: Form
    meaning: str
    many: bool = False

    @property
    def oid(self) -> str:
        """The attribute type's object identifier."""
        return f"{ATTRIBUTE_ARC}.{self.number}"

    def definition(self) -> str:
        """Return the AttributeTypeDescription of RFC 4512 section 4.1.2."""
        syntax, equality, ordering, substring = self.form.value
        parts = [f"( {self.oid} NAME '{self.name}' DESC '{self.meaning}' EQUALITY {equality}"]
        parts += [f"ORDERING {ordering}"] if ordering else []
        parts += [f"SUBSTR {substring}"] if substring else []
        parts += [f"SYNTAX {_SYNTAX}.{syntax}"]
        parts += [] if self.many else ["SINGLE-VALUE"]
        return " ".join([*parts, f"X-ORIGIN '{ORIGIN}' )"])


@dataclass(frozen=True)
class ObjectClass:
    """One object class: its number below CLASS_ARC, name, superior, and the attributes of its entries."""

    number: int
    name: str
    meaning: str
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    superior: str = "top"
    kind: str = "STRUCTURAL"

    @property
    def oid(self) -> str:
        """The object class's object identifier."""
        return f"{CLASS_ARC}.{self.number}"

    def definition(self) -> str:
        """Return the ObjectClassDescription of RFC 4512 section 4.1.1."""
        parts = [f"( {self.oid} NAME '{self.name}' DESC '{self.meaning}' SUP {self.superior} {self.kind}"]
        parts += [f"MUST ( {' $ '.join(self.must)} )"] if self.must else []
        parts += [f"MAY ( {' $ '.join(self.may)} )"] if self.may else []
        return " ".join([*parts, f"X-ORIGIN '{ORIGIN}' )"])


ATTRIBUTES = (
    Attribute(1, "ipaTpiRequestId", Form.IDENTIFIER, "UUID of a request"),
    Attribute(2, "ipaTpiEntryId", Form.IDENTIFIER, "UUID of an entry below a request or of an anchor"),
    Attribute(3, "ipaTpiOperationName", Form.KEYWORD, "Operation asked for, module.verb"),
    Attribute(4, "ipaTpiOperationDigest", Form.KEYWORD, "SHA-256 of the operation as defined at the request"),
    Attribute(5, "ipaTpiTarget", Form.IDENTIFIER, "Fully qualified name of the host that is to act"),
    Attribute(6, "ipaTpiExecutor", Form.NAME, "Service entry of the executor that is to act"),
    Attribute(7, "ipaTpiParameters", Form.OCTETS, "Parameters as canonical JSON"),
    Attribute(8, "ipaTpiReason", Form.TEXT, "Why the requester asks"),
    Attribute(9, "ipaTpiTicket", Form.TEXT, "Ticket number of the case"),
    Attribute(10, "ipaTpiInterface", Form.KEYWORD, "Ways in: cli web framework jacket direct", many=True),
    Attribute(11, "ipaTpiDigest", Form.KEYWORD, "SHA-256 in lower-case hexadecimal"),
    Attribute(12, "ipaTpiBody", Form.OCTETS, "What the target would do, as canonical JSON"),
    Attribute(13, "ipaTpiComment", Form.TEXT, "What the person says to a decision"),
    Attribute(14, "ipaTpiProofKind", Form.KEYWORD, "Kind of a proof: gss sshsig"),
    Attribute(15, "ipaTpiPurpose", Form.KEYWORD, "What a proof is for: request approve deny withdraw cancel"),
    Attribute(16, "ipaTpiToken", Form.OCTETS, "GSS token for the executor, or a signature"),
    Attribute(17, "ipaTpiMic", Form.OCTETS, "GSS MIC over purpose and digest"),
    Attribute(18, "ipaTpiRefersTo", Form.IDENTIFIER, "UUID of the entry that this one is about"),
    Attribute(19, "ipaTpiOutcome", Form.KEYWORD, "How it ended"),
    Attribute(20, "ipaTpiNonce", Form.KEYWORD, "Random value journalled before the entry was added"),
    Attribute(21, "ipaTpiExitStatus", Form.NUMBER, "Exit status of the act"),
    Attribute(22, "ipaTpiStarted", Form.TIME, "Start of the act"),
    Attribute(23, "ipaTpiEnded", Form.TIME, "End of the act"),
    Attribute(24, "ipaTpiExcerpt", Form.TEXT, "Reason code or excerpt of the output"),
    Attribute(25, "ipaTpiSequence", Form.NUMBER, "Length of an audit chain"),
    Attribute(26, "ipaTpiHead", Form.KEYWORD, "Head of an audit chain"),
    Attribute(27, "ipaTpiRight", Form.KEYWORD, "What a rule allows: request approve", many=True),
    Attribute(
        28, "ipaTpiRequestingPrincipal", Form.NAME, "Host, host group, service that may ask", many=True
    ),
    Attribute(29, "ipaTpiMemberOperation", Form.NAME, "Operation or operation group of a rule", many=True),
    Attribute(30, "ipaTpiOperationCategory", Form.IDENTIFIER, "all: the rule is about every operation"),
    Attribute(31, "ipaTpiParameterSchema", Form.TEXT, "Parameters of an operation and their form, as JSON"),
    Attribute(32, "ipaTpiRequiredApprovals", Form.NUMBER, "Approvals needed beside the requester"),
    Attribute(33, "ipaTpiRequiredGroup", Form.NAME, "Group that must be among the approvers", many=True),
    Attribute(34, "ipaTpiStage", Form.IDENTIFIER, "Stage of approval, order:count:DN", many=True),
    Attribute(35, "ipaTpiApprovalSeconds", Form.NUMBER, "Approval window in seconds"),
    Attribute(36, "ipaTpiExecutionSeconds", Form.NUMBER, "Execution window in seconds"),
    Attribute(37, "ipaTpiTimeoutSeconds", Form.NUMBER, "Longest time that the act may take in seconds"),
    Attribute(38, "ipaTpiValidationProgram", Form.TEXT, "Program that has a say before the act", many=True),
    Attribute(39, "ipaTpiAuthIndicator", Form.KEYWORD, "Authentication indicator demanded", many=True),
    Attribute(40, "ipaTpiFreshSeconds", Form.NUMBER, "Greatest age of the authentication in seconds"),
    Attribute(41, "ipaTpiMinimumAgeSeconds", Form.NUMBER, "Least age of accounts and memberships in seconds"),
    Attribute(42, "ipaTpiReasonPattern", Form.TEXT, "Regular expression for the reason"),
    Attribute(43, "ipaTpiTicketPattern", Form.TEXT, "Regular expression for the ticket"),
    Attribute(44, "ipaTpiPendingLimit", Form.NUMBER, "Most requests of one person that may wait"),
    Attribute(45, "ipaTpiDestructive", Form.FLAG, "TRUE: the act cannot be undone"),
)

_ID = "ipaTpiEntryId"
_WORD_MUST = (_ID, "ipaTpiDigest")
_WORD_MAY = ("ipaTpiComment",)

CLASSES = (
    # R-K02: every voice of a person has this class, and the uniqueness plugin counts voices by creator.
    # Abstract, so the server adds it to its subclasses by itself and no client can leave it out.
    ObjectClass(1, "ipaTpiVoice", "Counts once a person and request", kind="ABSTRACT"),
    ObjectClass(
        2,
        "ipaTpiRequest",
        "A request",
        superior="ipaTpiVoice",
        must=(
            "ipaTpiRequestId",
            "ipaTpiOperationName",
            "ipaTpiOperationDigest",
            "ipaTpiTarget",
            "ipaTpiExecutor",
            "ipaTpiParameters",
            "ipaTpiInterface",
            "ipaTpiDigest",
        ),
        may=("ipaTpiReason", "ipaTpiTicket"),
    ),
    ObjectClass(3, "ipaTpiPreview", "What the target would do", must=(_ID, "ipaTpiBody", "ipaTpiDigest")),
    ObjectClass(4, "ipaTpiApproval", "Yes of a person", _WORD_MUST, _WORD_MAY, superior="ipaTpiVoice"),
    ObjectClass(5, "ipaTpiDenial", "No of a person", _WORD_MUST, _WORD_MAY, superior="ipaTpiVoice"),
    ObjectClass(6, "ipaTpiWithdrawal", "An approver takes his approval back", _WORD_MUST, _WORD_MAY),
    ObjectClass(7, "ipaTpiCancellation", "The requester takes the request back", _WORD_MUST, _WORD_MAY),
    ObjectClass(
        8,
        "ipaTpiProof",
        "Proof that the person was there",
        must=(_ID, "ipaTpiProofKind", "ipaTpiPurpose", "ipaTpiDigest", "ipaTpiToken"),
        may=("ipaTpiMic",),
    ),
    ObjectClass(9, "ipaTpiReceipt", "A proof was verified", must=(_ID, "ipaTpiRefersTo", "ipaTpiOutcome")),
    ObjectClass(10, "ipaTpiExecution", "The executor is about to act", must=(_ID, "ipaTpiNonce")),
    ObjectClass(
        11,
        "ipaTpiResult",
        "How a request ended",
        must=(_ID, "ipaTpiOutcome"),
        may=("ipaTpiExitStatus", "ipaTpiStarted", "ipaTpiEnded", "ipaTpiExcerpt"),
    ),
    ObjectClass(
        12,
        "ipaTpiAnchor",
        "Head of a host audit chain",
        must=(_ID, "ipaTpiExecutor", "ipaTpiSequence", "ipaTpiHead"),
    ),
    ObjectClass(
        13,
        "ipaTpiOperation",
        "Something that can be asked for",
        must=("cn",),
        # memberOf: without it the memberOf plugin adds a class of its own to a member of an operation group.
        may=(
            "description",
            "memberOf",
            "ipaEnabledFlag",
            "ipaTpiParameterSchema",
            "ipaTpiRequiredApprovals",
            "ipaTpiRequiredGroup",
            "ipaTpiStage",
            "ipaTpiApprovalSeconds",
            "ipaTpiExecutionSeconds",
            "ipaTpiTimeoutSeconds",
            "ipaTpiValidationProgram",
            "ipaTpiAuthIndicator",
            "ipaTpiFreshSeconds",
            "ipaTpiMinimumAgeSeconds",
            "ipaTpiInterface",
            "ipaTpiReasonPattern",
            "ipaTpiTicketPattern",
            "ipaTpiPendingLimit",
            "ipaTpiDestructive",
        ),
    ),
    ObjectClass(
        14,
        "ipaTpiOperationGroup",
        "Operations under one name",
        must=("cn",),
        may=("description", "member", "memberOf"),
    ),
    ObjectClass(
        15,
        "ipaTpiRule",
        "Who may request or approve what and where",
        superior="ipaAssociation",
        must=("ipaTpiRight",),
        may=("ipaTpiRequestingPrincipal", "ipaTpiMemberOperation", "ipaTpiOperationCategory"),
    ),
)


def schema_ldif() -> str:
    """Return the text of a schema file for an instance's schema folder.

    Returns:
        LDIF of one entry, cn=schema. It needs FreeIPA's classes from files that sort before SCHEMA_FILE.
    """
    lines = ["dn: cn=schema"]
    lines += [f"attributeTypes: {attribute.definition()}" for attribute in ATTRIBUTES]
    lines += [f"objectClasses: {object_class.definition()}" for object_class in CLASSES]
    return "\n".join(lines) + "\n"
