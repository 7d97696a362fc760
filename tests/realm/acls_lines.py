"""What each ACI, each part of one and each setting is needed for: the table behind docs/access-drop-one.md.

One line for each: what is taken out, who can then do what, and what he gains. Where several cover each other they
stand in one line: taking out one of them helps nobody, taking out all does. Lines of `LOST` say of an allow who
could no longer do what he has to.
"""

from dataclasses import dataclass

from acls_attempts import (
    ANSWER,
    FOR_HIM,
    OWN,
    RETAINED,
    THEIRS,
    Attempt,
    add,
    change,
    compare,
    delete,
    impersonate,
    move_in,
    read,
    renew,
)
from acls_cast import HERE, OTHER, POLICY_EXECUTOR
from acls_disguises import DOOR

# What an administrator may do outside cn=tpi, and does before the attempt.
OPENED = "an administrator let everybody do everything at the suffix"
DISMISSED = "tpi/localhost was dismissed from cn=executors"
APPOINTED = "an administrator gave tpi/localhost the approvers' role"


@dataclass(frozen=True)
class Line:
    """What is taken out, the attempt that then succeeds, what it gains, and what was done before."""

    parts: tuple[str, ...]
    attempt: Attempt
    gain: str
    before: tuple[str, ...] = ()


def line(parts: str | tuple[str, ...], attempt: Attempt, gain: str, *before: str) -> Line:
    """Return a line."""
    return Line((parts,) if isinstance(parts, str) else parts, attempt, gain, before)


WRITES = "tpi: only policy executors write or delete"
ROOT = "tpi: only root changes containers, anchors and who changes policy"
ONE_KIND = "tpi: of one kind only"
MOVES = "tpi: nobody moves in or out, nobody acts for another"
PLANTED = "tpi: nothing planted"
FORM = "requests: only entries of our form"
REQUEST_PLACE = "requests: a request lies directly below"
ANSWER_PLACE = "requests: an answer lies directly below a request"
ASKS, OTHERS_ASK = "requests: who adds request", "requests: nobody else adds request"
_VOICES, _EXECUTOR = "approval, denial, withdrawal", "preview, receipt, execution, result"
VOICES, OTHER_VOICES = f"requests: who adds {_VOICES}", f"requests: nobody else adds {_VOICES}"
CANCELS, PROVES = "requests: who adds cancellation", "requests: who adds proof"
EXECUTES, OTHERS_EXECUTE = f"requests: who adds {_EXECUTOR}", f"requests: nobody else adds {_EXECUTOR}"
READ = "requests: read by nobody else"
EXECUTOR_READS = "requests: read by the named executor"
ANCHORS = "anchors: executors"

ALONE = "policy by one person"
FORGED = "an answer that nobody gave who may"
NO_FORM = "an entry that readers of one kind take, or miss, and readers of another kind do not"
STRANGE = "classes that no reader expects"
MISPLACED = "an entry where it counts for another request, or for none"
SECRET = "what others ask for, who does not take part"

_person = {"objectClass": "inetUser"}

GUARDS = (
    line(WRITES, change("adam", "ipaTpiOperation", "description", "changed"), ALONE),
    line(f"{WRITES}: write", change("adam", "ipaTpiRule", "memberUser", "@adam"), ALONE),
    line(
        f"{WRITES}: selfwrite",
        change("adam", "cn=executors", "member", "@adam"),
        "the executors' rights",
        OPENED,
    ),
    line(f"{WRITES}: delete", delete("adam", "ipaTpiRule"), ALONE),
    line(f"{WRITES}: targetattr", change("adam", "ipaTpiOperation", "description", "changed"), ALONE),
    line(
        ROOT,
        change("ivan", "cn=policy-executors", "member", "@dave"),
        "a further policy executor, without root",
    ),
    line(f"{ROOT}: write", change("ivan", "cn=policy-executors", "member", "@dave"), "the same"),
    line(
        f"{ROOT}: selfwrite",
        change("ivan", "cn=policy-executors", "member", "@ivan", delete=True),
        "the last one leaves, and nobody can change policy",
        OPENED,
    ),
    line(f"{ROOT}: delete", delete("ivan", "cn=policy-executors"), "nobody can change policy"),
    line(f"{ROOT}: targetattr", change("ivan", "cn=policy-executors", "member", "@dave"), "the same"),
    line(
        f"{ROOT}: nsContainer",
        change("ivan", "cn=tpirules", "objectClass", "ldapSubEntry"),
        "the rules are hidden",
    ),
    line(f"{ROOT}: ipaTpiAnchor", delete("ivan", "ipaTpiAnchor"), "a witness of an audit chain less"),
    line(
        f"{ROOT}: cn=policy-executors",
        change("ivan", "cn=policy-executors", "member", "@dave"),
        "a further policy executor, without root",
    ),
    line("tpi: only policy executors add policy", add("adam", "ipaTpiRule"), ALONE),
    line("tpi: anchors lie below cn=anchors", add(HERE, "ipaTpiAnchor", "cn=tpirules"), MISPLACED, OPENED),
    line(ONE_KIND, add(HERE, "ipaTpiAnchor", also="ipaTpiResult"), NO_FORM, OPENED),
    line(
        f"{ONE_KIND}: ipaTpiAnchor and another", add(HERE, "ipaTpiAnchor", also="ipaTpiRule"), NO_FORM, OPENED
    ),
    *(
        line(f"{ONE_KIND}: {kind} and another", add(POLICY_EXECUTOR, kind, also=also), NO_FORM, OPENED)
        for kind, also in (
            ("ipaTpiOperation", "ipaTpiRule"),
            ("ipaTpiOperationGroup", "ipaTpiRule"),
            ("ipaTpiRule", "ipaTpiApproval"),
        )
    ),
    line(
        "tpi: nobody writes an ACI",
        change(POLICY_EXECUTOR, "ipaTpiOperation", "aci", DOOR, words="writes an ACI into an operation"),
        "rights below cn=tpi, for whom he likes",
    ),
    line(MOVES, impersonate("adam", "bob", "ipaTpiApproval", THEIRS), "another's approval", OPENED),
    line(f"{MOVES}: moddn", move_in("adam", "ipaTpiOperation"), ALONE, OPENED),
    line(f"{MOVES}: proxy", impersonate("adam", HERE, "ipaTpiResult", THEIRS), "a forged result", OPENED),
)

_PLANTS = {
    "aci=*": {"aci": DOOR},
    "nsRoleDN=*": {"nsRoleDN": "cn=x"},
    "nsAccountLock=*": {"nsAccountLock": "true"},
    "nsds5ReplConflict=*": {"nsds5ReplConflict": "naming"},
    "krbPrincipalName=*": {"objectClass": "krbPrincipalAux", "krbPrincipalName": "x@TPI.TEST"},
    "krbCanonicalName=*": {"objectClass": "krbPrincipalAux", "krbCanonicalName": "x@TPI.TEST"},
    "krbPrincipalAliases=*": {"objectClass": "krbPrincipalAux", "krbPrincipalAliases": "x@TPI.TEST"},
    "krbPrincipalKey=*": {"objectClass": "krbPrincipalAux", "krbPrincipalKey": "x"},
    "userPassword=*": {"objectClass": "simpleSecurityObject", "userPassword": "Secret.1-of-two"},
    "extensibleObject": {"objectClass": "extensibleObject"},
    "ldapSubEntry": {"objectClass": "ldapSubEntry"},
    "nsTombstone": {"objectClass": "nsTombstone"},
    "referral": {"objectClass": "referral", "ref": "ldap://elsewhere/"},
    "glue": {"objectClass": "glue"},
    "nsContainer": {"objectClass": "nsContainer", "cn": "x"},
    "0.*": {"objectClass": "0.9.2342.19200300.100.4.5", "uid": "x"},
    "1.*": {"objectClass": "1.3.6.1.4.1.1466.101.120.111"},
    "2.*": {"objectClass": "2.16.840.1.113730.3.2.104", "cn": "x"},
}
_PLANTED_GAIN = "an entry that grants, hides, or can bind"
PLANTS = (
    line(
        PLANTED,
        add("erin-admin", "ipaTpiApproval", THEIRS, words="adds an approval with an ACI in it", aci=DOOR),
        "rights",
    ),
    *(
        line(
            f"{PLANTED}: {name}",
            add("erin-admin", "ipaTpiProof", OWN, words=f"adds a proof with {name} in it", **plant),
            _PLANTED_GAIN,
        )
        for name, plant in _PLANTS.items()
    ),
)

PLACES = (
    line(FORM, add("adam", "groupOfNames", "cn=requests"), NO_FORM),
    line(f"{FORM}: none of our classes", add("adam", "groupOfNames", "cn=requests"), NO_FORM),
    line(
        f"{FORM}: ipaTpiVoice without its classes",
        add("erin-admin", "ipaTpiProof", THEIRS, objectClass="ipaTpiVoice"),
        "a proof that counts as her voice, and hides it",
    ),
    line(
        f"{FORM}: ipaTpiRequest without ipaTpiExecutor",
        add("alice", "ipaTpiRequest", executor="HTTP/localhost"),
        "a request for a service that is no executor",
    ),
    line(
        (f"{FORM}: ipaTpiRequest and another", ANSWER_PLACE),
        add("erin-admin", "ipaTpiRequest", also="ipaTpiProof"),
        NO_FORM,
    ),
    line(
        f"{FORM}: ipaTpiApproval and another",
        add("erin-admin", "ipaTpiApproval", THEIRS, also="ipaTpiWithdrawal"),
        NO_FORM,
    ),
    line(
        f"{FORM}: ipaTpiDenial and another",
        add("erin-admin", "ipaTpiDenial", THEIRS, also="ipaTpiProof"),
        NO_FORM,
    ),
    line(
        f"{FORM}: ipaTpiWithdrawal and another",
        add("erin-admin", "ipaTpiWithdrawal", THEIRS, also="ipaTpiProof"),
        NO_FORM,
    ),
    line(
        f"{FORM}: ipaTpiCancellation and another",
        add("erin-admin", "ipaTpiCancellation", OWN, also="ipaTpiProof"),
        NO_FORM,
    ),
    line(
        f"{FORM}: ipaTpiProof and another",
        add(HERE, "ipaTpiProof", THEIRS, also="ipaTpiPreview"),
        NO_FORM,
        OPENED,
        APPOINTED,
    ),
    *(
        line(f"{FORM}: {kind} and another", add(HERE, kind, THEIRS, also="ipaTpiResult"), NO_FORM, OPENED)
        for kind in ("ipaTpiPreview", "ipaTpiReceipt")
    ),
    line(
        f"{FORM}: ipaTpiExecution and another",
        add(HERE, "ipaTpiExecution", THEIRS, also="ipaTpiResult"),
        NO_FORM,
        OPENED,
    ),
    line(REQUEST_PLACE, add("erin-admin", "ipaTpiRequest", rdn="ipaTpiDigest"), MISPLACED),
    line(ANSWER_PLACE, add("erin-admin", "ipaTpiApproval", THEIRS, rdn="ipaTpiDigest"), MISPLACED),
    *(
        line(f"{ANSWER_PLACE}: {kind}", add("erin-admin", kind, place, rdn=rdn), MISPLACED)
        for kind, place, rdn in (
            ("ipaTpiApproval", THEIRS, "ipaTpiDigest"),
            ("ipaTpiDenial", THEIRS, "ipaTpiDigest"),
            ("ipaTpiWithdrawal", THEIRS, "ipaTpiDigest"),
            ("ipaTpiCancellation", OWN, "ipaTpiDigest"),
            ("ipaTpiProof", THEIRS, "ipaTpiDigest"),
        )
    ),
    *(
        line(f"{ANSWER_PLACE}: {kind}", add(HERE, kind, THEIRS, rdn=rdn), MISPLACED, OPENED)
        for kind, rdn in (
            ("ipaTpiPreview", "ipaTpiDigest"),
            ("ipaTpiReceipt", "ipaTpiOutcome"),
            ("ipaTpiExecution", "ipaTpiNonce"),
            ("ipaTpiResult", "ipaTpiOutcome"),
        )
    ),
    line(
        "requests: a name is one value", add("bob", "ipaTpiApproval", THEIRS, rdn="+ipaTpiDigest"), MISPLACED
    ),
    line("requests: nothing below an answer", add("carol", "ipaTpiApproval", ANSWER), MISPLACED),
    line("requests: no request below a request", add("alice", "ipaTpiRequest", THEIRS), MISPLACED),
)

_NOT_CREATOR = (f"{VOICES}: not creatorsName", f"{OTHER_VOICES}: creatorsName")
ADDS = (
    line((f"{ASKS}: target", REQUEST_PLACE), add("alice", "ipaTpiRequest", rdn="ipaTpiDigest"), MISPLACED),
    line(f"{ASKS}: targattrfilters", add("alice", "ipaTpiRequest", **_person), STRANGE),
    line(OTHERS_ASK, add("adam", "ipaTpiRequest"), "a request by who may not ask"),
    line(
        (f"{VOICES}: target", ANSWER_PLACE),
        add("bob", "ipaTpiApproval", THEIRS, rdn="ipaTpiDigest"),
        MISPLACED,
    ),
    line(f"{VOICES}: targattrfilters", add("bob", "ipaTpiApproval", THEIRS, **_person), STRANGE),
    line(_NOT_CREATOR, add("alice", "ipaTpiWithdrawal", OWN), "a voice in her own cause"),
    line(
        (f"{VOICES}: groupdn", f"{OTHER_VOICES}: not groupdn"), add("dave", "ipaTpiApproval", THEIRS), FORGED
    ),
    line(OTHER_VOICES, add("adam", "ipaTpiApproval", THEIRS), FORGED),
    *(
        line(f"{OTHER_VOICES}: {kind}", add("adam", kind, THEIRS), FORGED)
        for kind in ("ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal")
    ),
    line(
        f"{OTHER_VOICES}: creatorsName",
        add("erin-admin", "ipaTpiWithdrawal", OWN),
        "a voice in her own cause",
    ),
    line(f"{OTHER_VOICES}: not groupdn", add("adam", "ipaTpiApproval", THEIRS), FORGED),
    line(
        (f"{CANCELS}: target", ANSWER_PLACE),
        add("alice", "ipaTpiCancellation", OWN, rdn="ipaTpiDigest"),
        MISPLACED,
    ),
    line(f"{CANCELS}: targattrfilters", add("alice", "ipaTpiCancellation", OWN, **_person), STRANGE),
    line(
        "requests: nobody else adds cancellation",
        add("adam", "ipaTpiCancellation", THEIRS),
        "another's request is taken back",
    ),
    line(
        (f"{PROVES}: target", ANSWER_PLACE), add("alice", "ipaTpiProof", OWN, rdn="ipaTpiDigest"), MISPLACED
    ),
    line(f"{PROVES}: targattrfilters", add("alice", "ipaTpiProof", OWN, **_person), STRANGE),
    line(
        "requests: nobody else adds proof",
        add("adam", "ipaTpiProof", THEIRS),
        "work for the executor, by who takes no part",
    ),
    line(
        (f"{EXECUTES}: target", ANSWER_PLACE),
        add(HERE, "ipaTpiPreview", THEIRS, rdn="ipaTpiDigest"),
        MISPLACED,
    ),
    line(f"{EXECUTES}: targattrfilters", add(HERE, "ipaTpiPreview", THEIRS, **_person), STRANGE),
    line(
        (f"{EXECUTES}: ipaTpiExecutor", f"{OTHERS_EXECUTE}: not ipaTpiExecutor"),
        add(OTHER, "ipaTpiResult", THEIRS),
        "the result of another host's request",
    ),
    line(
        (f"{EXECUTES}: groupdn", f"{OTHERS_EXECUTE}: not groupdn"),
        add(HERE, "ipaTpiResult", THEIRS),
        "a result by who is no executor any more",
        DISMISSED,
    ),
    line(OTHERS_EXECUTE, add("adam", "ipaTpiResult", THEIRS), "a forged result"),
    *(
        line(
            f"{OTHERS_EXECUTE}: {kind}",
            add("adam", kind, THEIRS),
            f"a forged {kind.removeprefix('ipaTpi').lower()}",
        )
        for kind in ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult")
    ),
    line(
        f"{OTHERS_EXECUTE}: not ipaTpiExecutor",
        add(OTHER, "ipaTpiResult", THEIRS),
        "the result of another host's request",
        OPENED,
    ),
    line(
        f"{OTHERS_EXECUTE}: not groupdn",
        add(HERE, "ipaTpiResult", THEIRS),
        "a result by who is no executor any more",
        OPENED,
        DISMISSED,
    ),
    line(
        "requests: nothing changes",
        change("ivan", THEIRS, "ipaTpiReason", "a reason", delete=True),
        "another request than was approved",
    ),
    line(
        "requests: nothing changes: write",
        change("ivan", THEIRS, "ipaTpiReason", "a reason", delete=True),
        "the same",
    ),
    line(
        "requests: nothing changes: selfwrite",
        renew(POLICY_EXECUTOR, FOR_HIM, "ipaTpiExecutor"),
        "whose request it is",
        OPENED,
    ),
    line(
        "requests: nothing changes: targetattr",
        change("ivan", THEIRS, "ipaTpiReason", "a reason", delete=True),
        "the same",
    ),
)

READS = (
    line(("tpi: who takes part reads policy and anchors: target", READ), read("grace", THEIRS), SECRET),
    line((f"{EXECUTOR_READS}: ipaTpiExecutor", READ), read(OTHER, THEIRS), SECRET),
    line(f"{EXECUTOR_READS}: groupdn", read(HERE, THEIRS), SECRET, DISMISSED),
    line(READ, read("adam", THEIRS), SECRET),
    line((f"{READ}: read", f"{READ}: search"), read("adam", THEIRS), SECRET),
    line(f"{READ}: compare", compare("adam", THEIRS, "ipaTpiReason", "a reason"), SECRET),
    line(
        ("requests: retention: targetfilter", f"{ROOT}: nsContainer"),
        delete(POLICY_EXECUTOR, "cn=requests"),
        "the container of requests goes with the last request",
    ),
    line(
        "requests: only the named executor removes",
        delete(POLICY_EXECUTOR, ANSWER),
        "a veto that the executor of another host has not seen yet",
    ),
    line(f"{ANCHORS}: target", add(HERE, "ipaTpiAnchor", rdn="ipaTpiHead"), MISPLACED),
    line(f"{ANCHORS}: targattrfilters", add(HERE, "ipaTpiAnchor", **_person), STRANGE),
    line("anchors: only executors", add("adam", "ipaTpiAnchor"), "a forged head of an audit chain"),
    line(
        "executors: policy executors: targetattr",
        change(POLICY_EXECUTOR, "cn=executors", "description", "x"),
        "more of the group than who is in it",
    ),
    *(
        found
        for container, kind in (
            ("tpioperations", "ipaTpiOperation"),
            ("tpioperationgroups", "ipaTpiOperationGroup"),
            ("tpirules", "ipaTpiRule"),
        )
        for found in (
            line(
                (f"{container}: policy executors: targetfilter", f"{ROOT}: nsContainer"),
                change(POLICY_EXECUTOR, f"cn={container}", "nsRoleDN", "cn=x"),
                "the container itself",
            ),
            line(
                f"{container}: policy executors: targattrfilters",
                add(POLICY_EXECUTOR, kind, **_person),
                STRANGE,
            ),
        )
    ),
)

LINES = (*GUARDS, *PLANTS, *PLACES, *ADDS, *READS)

LOST = (
    line(
        "tpi: who takes part reads policy and anchors", read("alice", "ipaTpiRule"), "what may be asked for"
    ),
    line(ASKS, add("alice", "ipaTpiRequest"), "requests"),
    line(VOICES, add("bob", "ipaTpiApproval", THEIRS), "approvals, denials, withdrawals"),
    line(CANCELS, add("alice", "ipaTpiCancellation", OWN), "cancellations"),
    line(PROVES, add("alice", "ipaTpiProof", OWN), "proofs"),
    line(EXECUTES, add(HERE, "ipaTpiResult", THEIRS), "everything that an executor says"),
    line(
        "requests: read by approvers, auditors, retention",
        read("frank", THEIRS),
        "what approvers decide about",
    ),
    line("requests: read by the requester", read("grace", OWN), "what became of a request"),
    line(EXECUTOR_READS, read(HERE, THEIRS), "requests, vetoes: nothing runs"),
    line("requests: retention", delete(POLICY_EXECUTOR, RETAINED), "retention"),
    line(ANCHORS, add(HERE, "ipaTpiAnchor"), "witnesses of audit chains"),
    line(
        "executors: policy executors",
        change(POLICY_EXECUTOR, "cn=executors", "member", "@dave"),
        "enrolment of executors",
    ),
    line(
        "tpioperations: policy executors",
        add(POLICY_EXECUTOR, "ipaTpiOperation"),
        "maintenance of operations",
    ),
    line(
        "tpioperationgroups: policy executors",
        add(POLICY_EXECUTOR, "ipaTpiOperationGroup"),
        "maintenance of their groups",
    ),
    line("tpirules: policy executors", add(POLICY_EXECUTOR, "ipaTpiRule"), "maintenance of rules"),
)
