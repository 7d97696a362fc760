"""Who may request and who may approve what, on which host (K03), and the loading of its definitions.

Rules:

1. Default deny.  A right comes from one enabled rule whose right, people, hosts and operations
   all match; nothing is added up across rules.
2. A dimension that names nobody and has no category matches nobody.
3. An operation is loaded strictly: a value that is missing, unknown, doubled, zero or negative
   where it may not be makes the whole definition unusable, with a message that names entry and
   attribute.  An unusable or disabled operation can be neither requested nor approved nor run.
4. Every answer has a reason: the rule that allowed, or the nearest miss and what it lacked.
5. Reading operations are a class fixed here, and not in LDAP: they change nothing, need a rule, a
   floor and a proof as all others, and no approval.  Their definition says so (0 required approvals),
   and no other definition may.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from ipa_tpi.decide.digest import operation_digest
from ipa_tpi.model import (
    Account,
    Allow,
    HostEntry,
    Kind,
    Operation,
    ParameterRule,
    Policy,
    Refuse,
    Right,
    Rule,
)

Attributes = Mapping[str, Sequence[bytes]]

READING: Final = frozenset({"dirsrv.status", "systemd.unit.status"})  # R-K02: fixed in code
INTERFACES: Final = frozenset({"cli", "web", "framework", "jacket", "direct"})
_OPERATION_NAME: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")
_MAX_SECONDS: Final = 14 * 86400
_MAX_APPROVALS: Final = 16
_CLASSES: Final = frozenset({"top", "ipatpioperation"})
_KNOWN: Final = frozenset(
    {
        "objectclass",
        "cn",
        "description",
        "ipaenabledflag",
        "ipatpiparameterschema",
        "ipatpirequiredapprovals",
        "ipatpiapprovalseconds",
        "ipatpiexecutionseconds",
        "ipatpitimeoutseconds",
        "ipatpiinterface",
        "ipatpireasonpattern",
        "ipatpiticketpattern",
        "ipatpipendinglimit",
        "ipatpidestructive",
        "memberof",
    },
)


_RULE_CLASSES: Final = frozenset({"top", "ipaassociation", "ipatpirule"})
_RULE_KNOWN: Final = frozenset(
    {
        "objectclass",
        "ipauniqueid",
        "cn",
        "description",
        "ipaenabledflag",
        "ipatpiright",
        "memberuser",
        "usercategory",
        "ipatpirequestingprincipal",
        "memberhost",
        "hostcategory",
        "ipatpimemberoperation",
        "ipatpioperationcategory",
    },
)


class _BadError(Exception):
    """Raised and caught in this module only."""


def load_operation(dn: str, attributes: Attributes) -> Operation | Refuse:
    """Load an operation's definition strictly.

    Args:
        dn: Its normal DN.
        attributes: Its user attributes, by lower-case name.

    Returns:
        The operation, or a refusal ``operation-malformed`` that names entry and attribute.
    """
    try:
        return _operation(dn, attributes)
    except (_BadError, ValueError) as error:
        return Refuse("operation-malformed", f"the operation {dn} cannot be used: {error}; correct the entry")


def load_rule(dn: str, attributes: Attributes) -> Rule | Refuse:
    """Load a rule.

    Args:
        dn: Its normal DN.
        attributes: Its user attributes by lower-case name; DNs in normal form.

    Returns:
        The rule, or a refusal ``rule-malformed``: a rule that is not understood gives nothing.
    """
    try:
        _demand_form(attributes, _RULE_CLASSES, _RULE_KNOWN)
        rights = frozenset(Right(text.lower()) for text in _texts(attributes, "ipatpiright"))
        return Rule(
            dn=dn,
            name=_text(attributes, "cn"),
            enabled=_flag(attributes, "ipaenabledflag"),
            rights=rights,
            members=frozenset(_texts(attributes, "memberuser")),
            all_users=_category(attributes, "usercategory"),
            requesting=frozenset(_texts(attributes, "ipatpirequestingprincipal")),
            hosts=frozenset(_texts(attributes, "memberhost")),
            all_hosts=_category(attributes, "hostcategory"),
            operations=frozenset(_texts(attributes, "ipatpimemberoperation")),
            all_operations=_category(attributes, "ipatpioperationcategory"),
        )
    except (_BadError, ValueError) as error:
        return Refuse("rule-malformed", f"the rule {dn} cannot be used: {error}; correct the entry")


def is_reading(name: str) -> bool:
    """Tell whether an operation only reads, and so needs no second person (K02)."""
    return name in READING


def usable_operation(policy: Policy, name: str) -> Operation | Refuse:
    """Find an operation that may be used.

    Args:
        policy: All that LDAP says.
        name: The operation's name.

    Returns:
        The operation, or a refusal ``unknown-operation``, ``operation-malformed`` or
        ``operation-disabled``.
    """
    operation = policy.operations.get(name)
    if name in policy.malformed:
        return Refuse("operation-malformed", policy.malformed[name])
    if operation is None:
        return Refuse("unknown-operation", f"there is no operation {name!a}; see: ipa-tpi operations")
    if not operation.enabled:
        return Refuse("operation-disabled", f"the operation {name} is disabled; ask an administrator")
    return operation


def may(
    policy: Policy,
    right: Right,
    account: Account,
    operation: Operation,
    host: HostEntry | None,
) -> Allow | Refuse:
    """Tell whether a rule gives an account a right to an operation on a host.

    Args:
        policy: All that LDAP says.
        right: Request or approve.
        account: An account that `identity.check_account` did not refuse.
        operation: A usable operation.
        host: The target's entry; None when the directory has none, which matches no named host.

    Returns:
        `Allow` with the rule's name, or a refusal ``no-rule`` (or ``not-a-person``) that names
        the nearest miss.
    """
    if right is Right.APPROVE and account.kind is not Kind.PERSON:  # R-K02
        return Refuse("not-a-person", f"{account.principal} is no person; only people approve")
    nearest: tuple[int, str] = (0, "no rule gives this right to anybody")
    for rule in policy.rules:
        lacks = _lacks(rule, right, account, operation, host, policy)
        if not lacks:
            return Allow(rule.name)
        nearest = max(
            nearest,
            (len(_DIMENSIONS) + 1 - len(lacks), f"the nearest rule {rule.name!a} {' and '.join(lacks)}"),
        )
    where = host.fqdn if host is not None else "a host that the directory does not know"
    return Refuse(
        "no-rule",
        f"{account.principal} may not {right.value} {operation.name} on {where}: {nearest[1]}. "
        "Ask an administrator for a rule.",
    )


_DIMENSIONS: Final = (
    "is disabled",
    "gives another right",
    "does not name this account",
    "does not name this host",
    "does not name this operation",
)


def _lacks(
    rule: Rule,
    right: Right,
    account: Account,
    operation: Operation,
    host: HostEntry | None,
    policy: Policy,
) -> list[str]:
    matches = (
        rule.enabled,
        right in rule.rights,
        _matches_account(rule, right, account),
        rule.all_hosts or (host is not None and bool(rule.hosts & (host.member_of | {host.dn}))),
        rule.all_operations or _matches_operation(rule, operation, policy),
    )
    return [name for name, matched in zip(_DIMENSIONS, matches, strict=True) if not matched]


def _matches_account(rule: Rule, right: Right, account: Account) -> bool:
    names = account.member_of | {account.dn}
    if account.kind is Kind.PERSON:
        return rule.all_users or bool(rule.members & names)
    return right is Right.REQUEST and bool(rule.requesting & names)


def _matches_operation(rule: Rule, operation: Operation, policy: Policy) -> bool:
    if operation.dn in rule.operations:
        return True
    return any(operation.dn in policy.operation_groups.get(group, frozenset()) for group in rule.operations)


def _operation(dn: str, attributes: Attributes) -> Operation:
    _demand_form(attributes, _CLASSES, _KNOWN)
    name = _text(attributes, "cn")
    if _OPERATION_NAME.fullmatch(name) is None:
        raise _BadError(f"cn is {name!a}, which is not of the form module.verb")
    interfaces = frozenset(_texts(attributes, "ipatpiinterface")) or INTERFACES
    if not interfaces <= INTERFACES:
        raise _BadError("ipaTpiInterface holds a value that is none of " + ", ".join(sorted(INTERFACES)))
    return Operation(
        dn=dn,
        name=name,
        digest=operation_digest(attributes),
        enabled=_flag(attributes, "ipaenabledflag"),
        parameters=_parameter_rules(_text(attributes, "ipatpiparameterschema")),
        required_approvals=_required_approvals(name, attributes),
        approval_seconds=_number(attributes, "ipatpiapprovalseconds", _MAX_SECONDS, default=300),  # R-A03
        execution_seconds=_number(attributes, "ipatpiexecutionseconds", _MAX_SECONDS, default=300),
        timeout_seconds=_number(attributes, "ipatpitimeoutseconds", _MAX_SECONDS, default=60),
        interfaces=interfaces,
        description=_text(attributes, "description", default=""),
        reason_pattern=_pattern(attributes, "ipatpireasonpattern"),
        ticket_pattern=_pattern(attributes, "ipatpiticketpattern"),
        pending_limit=_number(attributes, "ipatpipendinglimit", _MAX_SECONDS, default=0),
        destructive=_flag(attributes, "ipatpidestructive", default="FALSE"),
    )


def _required_approvals(name: str, attributes: Attributes) -> int:
    if is_reading(name):
        if _text(attributes, "ipatpirequiredapprovals") != "0":
            raise _BadError("ipaTpiRequiredApprovals is not 0, and this operation only reads")
        return 0
    return _number(attributes, "ipatpirequiredapprovals", _MAX_APPROVALS)  # R-K08


def _demand_form(attributes: Attributes, classes: frozenset[str], known: frozenset[str]) -> None:
    found = {text.lower() for text in _texts(attributes, "objectclass")}
    if found != classes:
        raise _BadError(f"objectClass is {', '.join(sorted(found))}")
    unknown = sorted(attributes.keys() - known)
    if unknown:  # R-E21: an attribute that this version does not enforce must not look enforced
        raise _BadError(f"this version does not know {unknown[0]}")


def _parameter_rules(text: str) -> Mapping[str, ParameterRule]:
    try:
        schema = json.loads(text, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise _BadError("ipaTpiParameterSchema is nested too deeply") from None
    if not isinstance(schema, dict):
        raise _BadError("ipaTpiParameterSchema is not a JSON object")
    return {name: _parameter_rule(name, entry) for name, entry in schema.items()}


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BadError("ipaTpiParameterSchema holds a name twice")
    return found


def _parameter_rule(name: str, entry: object) -> ParameterRule:
    where = f"ipaTpiParameterSchema, parameter {name!a}"
    if not isinstance(entry, dict) or not entry.keys() <= {"pattern", "values", "description"}:
        raise _BadError(f"{where}: expected an object with pattern, values, description")
    pattern, values = entry.get("pattern"), entry.get("values", [])
    if not isinstance(pattern, str):
        raise _BadError(f"{where}: the pattern is missing or no string")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _BadError(f"{where}: values is no list of strings")
    if "values" in entry and not values:  # R-E21: an empty list would allow nothing, not everything
        raise _BadError(f"{where}: values is empty; leave it out to allow all that the pattern allows")
    return ParameterRule(_compiles(pattern, where), frozenset(values))


def _compiles(pattern: str, where: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _BadError(f"{where}: the pattern does not compile: {error}") from None
    return pattern


def _pattern(attributes: Attributes, name: str) -> str:
    return _compiles(_text(attributes, name, default=""), name)


def _texts(attributes: Attributes, name: str) -> list[str]:
    return [value.decode("utf-8") for value in attributes.get(name, ())]


def _text(attributes: Attributes, name: str, default: str | None = None) -> str:
    values = _texts(attributes, name)
    if not values and default is not None:
        return default
    if len(values) != 1:
        raise _BadError(f"{name} has {len(values)} values, where exactly one is needed")
    return values[0]


def _flag(attributes: Attributes, name: str, default: str | None = None) -> bool:
    text = _text(attributes, name, default).upper()
    if text not in {"TRUE", "FALSE"}:
        raise _BadError(f"{name} is neither TRUE nor FALSE")
    return text == "TRUE"


def _category(attributes: Attributes, name: str) -> bool:
    text = _text(attributes, name, default="")
    if text.lower() not in {"", "all"}:
        raise _BadError(f"{name} is {text!a}, where only all is known")
    return text.lower() == "all"


def _number(attributes: Attributes, name: str, most: int, default: int | None = None) -> int:
    text = _text(attributes, name, default=None if default is None else str(default))
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise _BadError(f"{name} is {text!a}, which is not a whole number")
    number = int(text)
    least = 0 if default == 0 else 1
    if not least <= number <= most:
        raise _BadError(f"{name} is {number}, which is not between {least} and {most}")
    return number
