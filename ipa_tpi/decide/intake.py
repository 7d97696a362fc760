"""What may come in: texts, identifiers, parameters, and the entries of the directory.

Rules:

1. A text that people will read has no control, format (bidirectional, zero-width), invisible,
   surrogate, private-use or unassigned characters and no line breaks (K11).
2. A parameter is named by the operation's definition, matches the whole of its pattern, and all
   of them are there.  Where the definition says ``lines`` it may hold line feeds, and be long.
3. An entry is read only if its set of classes is exactly a known one and none of its attributes
   bears an option (``creatorsName;lang-en``, which a client can set, counts as creatorsName in the
   directory's filters); only named attributes are read; a single-valued attribute has exactly one
   value (DESIGN section 3).
4. Parameters are stored as canonical JSON and compared with their own re-encoding.
5. Whatever does not fit is named as malformed with its reason; it is never skipped in silence.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from ipa_tpi.decide.digest import DIGEST_BYTES, parse_canonical, sha256
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Operation,
    Outcome,
    ParameterRule,
    Preview,
    Proof,
    Receipt,
    Refuse,
    Request,
    Result,
    Withdrawal,
)

MAX_TEXT: Final = 1024
MAX_LINES: Final = 65536
_MOST_TOLD: Final = 80
_BAD_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks without width that Unicode lists as ignorable on display (UAX 44, Default_Ignorable_Code_Point).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class RawEntry:
    """An entry as an adapter read it, its DNs already in normal form.

    Attributes:
        dn: Its DN.
        creator: creatorsName.
        created: createTimestamp.
        attributes: By lower-case name; values of DN syntax are in normal form.
        conflict: It bears nsds5ReplConflict.
    """

    dn: str
    creator: str
    created: datetime
    attributes: Mapping[str, Sequence[bytes]]
    conflict: bool = False


class _MalformedError(Exception):
    """Raised and caught in this module only."""


def check_text(text: str, what: str) -> Refuse | None:
    """Refuse text that could show as something else than it is (K11).

    Args:
        text: What somebody wrote.
        what: Its name, for the message.

    Returns:
        None, or a refusal ``text-not-allowed``.
    """
    return _check_characters(text, what, MAX_TEXT, "")


def check_lines(text: str, what: str) -> Refuse | None:
    """Refuse what `check_text` refuses, but for line feeds, and only beyond a greater length.

    Args:
        text: What somebody wrote, for a parameter that may have several lines.
        what: Its name, for the message.

    Returns:
        None, or a refusal ``text-not-allowed``.
    """
    return _check_characters(text, what, MAX_LINES, "\n")


def _check_characters(text: str, what: str, most: int, allowed: str) -> Refuse | None:
    if len(text) > most:
        return Refuse("text-not-allowed", f"the {what} has more than {most} characters; shorten it")
    for position, character in enumerate(text, start=1):
        if character.isascii() and (character.isprintable() or character in allowed):
            continue
        if unicodedata.category(character) in _BAD_CATEGORIES or _INVISIBLE.match(character):
            return Refuse(
                "text-not-allowed",
                f"the {what} holds U+{ord(character):04X} at character {position}, which is a control, "
                "formatting, invisible or line-break character; write it without",
            )
    return None


def check_identifier(text: str) -> Refuse | None:
    """Refuse an id that is not a lower-case UUID.

    Args:
        text: The id.

    Returns:
        None, or a refusal ``bad-id``.
    """
    if _IDENTIFIER.fullmatch(text) is None:
        return Refuse(
            "bad-id",
            "this is no id; write a UUID in lower case, such as 7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10",
        )
    return None


def check_target(text: str) -> Refuse | None:
    """Refuse a target that is not a fully spelled lower-case host name.

    Args:
        text: The host.

    Returns:
        None, or a refusal ``bad-input``.
    """
    if _HOST.fullmatch(text) is None:
        return Refuse(
            "bad-input", "this is no target; write a host name in lower case, such as ipa1.example.test"
        )
    return None


def check_parameters(parameters: Mapping[str, str], operation: Operation) -> Refuse | None:
    """Compare parameters with what the operation's definition allows.

    Args:
        parameters: As asked for.
        operation: The definition.

    Returns:
        None, or a refusal ``bad-parameters`` that names the parameter.
    """
    missing = sorted(operation.parameters.keys() - parameters.keys())
    surplus = sorted(parameters.keys() - operation.parameters.keys())
    if missing:
        name = missing[0]
        return Refuse(
            "bad-parameters",
            f"{operation.name} needs the parameter {name}; give {name}=VALUE, {_allowed(operation.parameters[name])}",
        )
    if surplus:
        known = ", ".join(sorted(operation.parameters)) or "none"
        return Refuse(
            "bad-parameters",
            f"{operation.name} has no parameter {surplus[0]!a}; leave it out (its parameters: {known})",
        )
    for name, rule in operation.parameters.items():
        value = parameters[name]
        listed = not rule.values or value in rule.values
        most = MAX_LINES if rule.lines else MAX_TEXT
        if len(value) > most or not listed or re.fullmatch(rule.pattern, value) is None:
            told = f"{value[:_MOST_TOLD]!a}{'…' if len(value) > _MOST_TOLD else ''}"
            return Refuse(
                "bad-parameters",
                f"{name}={told} is not allowed by {operation.name}; give {name}=VALUE, {_allowed(rule)}",
            )
        check = check_lines if rule.lines else check_text
        refusal = check(value, f"value of {name}")
        if refusal is not None:
            return refusal
    return None


def _allowed(rule: ParameterRule) -> str:
    if rule.values:
        return f"one of {', '.join(sorted(rule.values))}"
    return f"the whole of it matching {rule.pattern}"


def read_request(raw: RawEntry) -> Request | Refuse:
    """Read a request entry.

    Args:
        raw: The entry as it lies in the directory; whoever wrote it may have meant harm.

    Returns:
        The request, or a refusal ``malformed-request`` that says which attribute is at fault.
    """
    try:
        _demand_classes(raw, {"top", "ipatpivoice", "ipatpirequest"})
        _demand_no_options(raw)
        request = Request(
            id=_text(raw, "ipatpirequestid"),
            operation=_text(raw, "ipatpioperationname"),
            operation_digest=_digest(raw, "ipatpioperationdigest"),
            target=_text(raw, "ipatpitarget"),
            executor=_text(raw, "ipatpiexecutor"),
            parameters=_parameters(raw),
            reason=_text(raw, "ipatpireason", default=""),
            ticket=_text(raw, "ipatpiticket", default=""),
            interface=_text(raw, "ipatpiinterface"),
            digest=_digest(raw, "ipatpidigest"),
            dn=raw.dn,
            creator=raw.creator,
            created=raw.created,
        )
    except _MalformedError as error:
        return Refuse(
            "malformed-request",
            f"the request entry is not of the expected form: {error}. Make a new request.",
        )
    if raw.conflict:
        return Refuse("malformed-request", "the request entry is a replication conflict; make a new request")
    fault = check_identifier(request.id) or check_target(request.target) or _check_texts(request)
    if fault is not None:
        return Refuse(
            "malformed-request",
            f"the request entry is not of the expected form: {fault.message}. Make a new request.",
        )
    return request


def read_child(raw: RawEntry) -> Child | Refuse:
    """Read an entry below a request.

    Args:
        raw: The entry.

    Returns:
        Exactly one of the classes of `ipa_tpi.model`, or a refusal ``malformed-entry``.
    """
    reader = _READERS.get(_classes(raw))
    if reader is None:
        names = ", ".join(sorted(_classes(raw)))
        return Refuse(
            "malformed-entry",
            f"the entry {raw.dn} has the unknown set of classes {names!a}; make a new request",
        )
    try:
        _demand_no_options(raw)
        return reader(raw)
    except _MalformedError as error:
        return Refuse("malformed-entry", f"the entry {raw.dn} is malformed: {error}. Make a new request.")


def _check_texts(request: Request) -> Refuse | None:
    texts = [
        ("operation", request.operation),
        ("interface", request.interface),
        ("reason", request.reason),
        ("ticket", request.ticket),
    ]
    texts += [("name of a parameter", name) for name in request.parameters]
    found = [check_text(text, what) for what, text in texts]
    # Which of them may have several lines, the definition says (`check_parameters`).
    found += [check_lines(value, "value of a parameter") for value in request.parameters.values()]
    return next((refusal for refusal in found if refusal is not None), None)


def fingerprint(entry: Child | Request) -> str:
    """Tell an entry from every other that could bear its id.

    Args:
        entry: As read.

    Returns:
        SHA-256, in hex, over its class and all its values, writer and stamp included.
    """
    values = [(one.name, getattr(entry, one.name)) for one in fields(entry)]
    plain = [(name, sorted(value.items()) if isinstance(value, Mapping) else value) for name, value in values]
    return sha256(repr((type(entry).__name__, plain)).encode()).hex()  # repr writes surrogates as escapes


def _classes(raw: RawEntry) -> frozenset[str]:
    return frozenset(
        value.decode("utf-8", "replace").lower() for value in raw.attributes.get("objectclass", ())
    )


def _demand_classes(raw: RawEntry, expected: set[str]) -> None:
    if _classes(raw) != expected:
        raise _MalformedError(f"its classes are {', '.join(sorted(_classes(raw)))}")


def _demand_no_options(raw: RawEntry) -> None:
    options = sorted(name for name in raw.attributes if ";" in name)
    if options:  # R-X02
        raise _MalformedError(f"{options[0]} is an attribute with an option")


def _one(raw: RawEntry, name: str) -> bytes | None:
    values = raw.attributes.get(name, ())
    if len(values) > 1:
        raise _MalformedError(f"{name} has {len(values)} values")
    return values[0] if values else None


def _text(raw: RawEntry, name: str, default: str | None = None) -> str:
    value = _one(raw, name)
    if value is None:
        if default is None:
            raise _MalformedError(f"{name} is missing")
        return default
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise _MalformedError(f"{name} is not UTF-8") from None


def _octets(raw: RawEntry, name: str) -> bytes:
    value = _one(raw, name)
    if value is None:
        raise _MalformedError(f"{name} is missing")
    return value


def _digest(raw: RawEntry, name: str) -> bytes:
    text = _text(raw, name)
    if re.fullmatch(f"[0-9a-f]{{{2 * DIGEST_BYTES}}}", text) is None:
        raise _MalformedError(f"{name} is not a SHA-256 in lower-case hex")
    return bytes.fromhex(text)


def _parameters(raw: RawEntry) -> Mapping[str, str]:
    value = parse_canonical(_octets(raw, "ipatpiparameters"))
    if not isinstance(value, dict):
        raise _MalformedError("ipatpiparameters is not a canonical JSON object")
    strings = {key: item for key, item in value.items() if isinstance(item, str)}
    if len(strings) != len(value):
        raise _MalformedError("ipatpiparameters holds something else than strings")
    return strings


def _number(raw: RawEntry, name: str) -> int | None:
    value = _one(raw, name)
    if value is None:
        return None
    if re.fullmatch(rb"-?[0-9]{1,9}", value) is None:
        raise _MalformedError(f"{name} is not a number")
    return int(value)


def _comment(raw: RawEntry) -> str:
    text = _text(raw, "ipatpicomment", default="")
    refusal = check_text(text, "comment")
    if refusal is not None:
        raise _MalformedError(f"ipatpicomment is not allowed: {refusal.message}")
    return text


def _entry_id(raw: RawEntry) -> str:
    text = _text(raw, "ipatpientryid")
    if _IDENTIFIER.fullmatch(text) is None:
        raise _MalformedError("ipatpientryid is not a UUID in lower case")
    return text


def _common(raw: RawEntry) -> tuple[str, str, str, datetime, bool]:
    return _entry_id(raw), raw.dn, raw.creator, raw.created, raw.conflict


def _preview(raw: RawEntry) -> Preview:
    return Preview(*_common(raw), body=_octets(raw, "ipatpibody"), digest=_digest(raw, "ipatpidigest"))


def _approval(raw: RawEntry) -> Approval:
    return Approval(*_common(raw), digest=_digest(raw, "ipatpidigest"), comment=_comment(raw))


def _denial(raw: RawEntry) -> Denial:
    return Denial(*_common(raw), digest=_digest(raw, "ipatpidigest"), comment=_comment(raw))


def _withdrawal(raw: RawEntry) -> Withdrawal:
    return Withdrawal(*_common(raw), digest=_digest(raw, "ipatpidigest"), comment=_comment(raw))


def _cancellation(raw: RawEntry) -> Cancellation:
    return Cancellation(*_common(raw), digest=_digest(raw, "ipatpidigest"), comment=_comment(raw))


def _proof(raw: RawEntry) -> Proof:
    return Proof(
        *_common(raw),
        kind=_text(raw, "ipatpiproofkind"),
        purpose=_text(raw, "ipatpipurpose"),
        digest=_digest(raw, "ipatpidigest"),
        token=_octets(raw, "ipatpitoken"),
        mic=_octets(raw, "ipatpimic"),
    )


def _receipt(raw: RawEntry) -> Receipt:
    return Receipt(*_common(raw), refers_to=_text(raw, "ipatpirefersto"), outcome=_text(raw, "ipatpioutcome"))


def _execution(raw: RawEntry) -> Execution:
    return Execution(*_common(raw), nonce=_text(raw, "ipatpinonce"))


def _result(raw: RawEntry) -> Result:
    return Result(
        *_common(raw),
        outcome=_outcome(raw),
        exit_status=_number(raw, "ipatpiexitstatus"),
        started=_time(raw, "ipatpistarted"),
        ended=_time(raw, "ipatpiended"),
        excerpt=_text(raw, "ipatpiexcerpt", default=""),
    )


def _outcome(raw: RawEntry) -> Outcome:
    try:
        return Outcome(_text(raw, "ipatpioutcome"))
    except ValueError:
        raise _MalformedError("ipatpioutcome is not a known outcome") from None


def _time(raw: RawEntry, name: str) -> datetime | None:
    value = _one(raw, name)
    if value is None:
        return None
    try:
        return datetime.strptime(value.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (ValueError, UnicodeDecodeError):
        raise _MalformedError(f"{name} is not a time in UTC") from None


_TOP: Final = "top"
_READERS: Final[Mapping[frozenset[str], Callable[[RawEntry], Child]]] = {
    frozenset({_TOP, "ipatpipreview"}): _preview,
    frozenset({_TOP, "ipatpivoice", "ipatpiapproval"}): _approval,
    frozenset({_TOP, "ipatpivoice", "ipatpidenial"}): _denial,
    frozenset({_TOP, "ipatpiwithdrawal"}): _withdrawal,
    frozenset({_TOP, "ipatpicancellation"}): _cancellation,
    frozenset({_TOP, "ipatpiproof"}): _proof,
    frozenset({_TOP, "ipatpireceipt"}): _receipt,
    frozenset({_TOP, "ipatpiexecution"}): _execution,
    frozenset({_TOP, "ipatpiresult"}): _result,
}
