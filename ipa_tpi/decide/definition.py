"""The strict loading of operations and rules from their entries (K08, E21).

Rules:

1. A value that is missing, unknown, doubled, zero or negative where it may not be makes the whole
   definition unusable, with a message that names entry and attribute.  An attribute that this
   version does not enforce must not look enforced, so it makes it unusable too.
2. A pattern must compile.  A validation program is a file name, never a path.
3. Stages are ``order:count:DN``; the same group stands once in an order.  Stages and required
   approvals that contradict each other do not occur: the greater number of approvals holds.
4. Reading operations are a class fixed in code: their definition demands no approvals and says so
   (0), and no other definition may.
5. An operation marked destructive demands a fresh proof unless its definition says how fresh.

Whether there are people who could satisfy a definition is a question about the directory of the
moment, asked by `decide.quorum.check_satisfiable` when somebody requests.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from ipa_tpi.decide.digest import operation_digest
from ipa_tpi.model import Operation, ParameterRule, Refuse, Right, Rule, Stage

Attributes = Mapping[str, Sequence[bytes]]

READING: Final = frozenset({"dirsrv.status", "systemd.unit.status"})  # R-K02: fixed in code
INTERFACES: Final = frozenset({"cli", "web", "framework", "jacket", "direct"})
FRESH_WHERE_DESTRUCTIVE_SECONDS: Final = 300  # R-X11
_OPERATION_NAME: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")
_PROGRAM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_INDICATOR: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_STAGE: Final = re.compile(r"([1-9][0-9]?):([1-9][0-9]?):(.+=.+)", re.DOTALL)
_MAX_SECONDS: Final = 14 * 86400
# How long anything about a request can still change, whatever a definition says (`decide.approval`, rules 3 and 5): the
# approval window, the execution window after it, and from an execution at its end once more that window and the timeout.
LONGEST_SECONDS: Final = 4 * _MAX_SECONDS
LONGEST_LIFE: Final = timedelta(seconds=LONGEST_SECONDS)
_MAX_AGE_SECONDS: Final = 366 * 86400
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
        "ipatpirequiredgroup",
        "ipatpistage",
        "ipatpivalidationprogram",
        "ipatpiauthindicator",
        "ipatpifreshseconds",
        "ipatpiminimumageseconds",
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


def _operation(dn: str, attributes: Attributes) -> Operation:
    _demand_form(attributes, _CLASSES, _KNOWN)
    name = _text(attributes, "cn")
    if _OPERATION_NAME.fullmatch(name) is None:
        raise _BadError(f"cn is {name!a}, which is not of the form module.verb")
    interfaces = frozenset(_texts(attributes, "ipatpiinterface")) or INTERFACES
    if not interfaces <= INTERFACES:
        raise _BadError("ipaTpiInterface holds a value that is none of " + ", ".join(sorted(INTERFACES)))
    destructive = _flag(attributes, "ipatpidestructive", default="FALSE")
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
        destructive=destructive,
        required_groups=_dns(attributes, "ipatpirequiredgroup"),
        stages=_stages(attributes),
        validation_program=_program(attributes),
        indicators=_indicators(attributes),
        fresh_seconds=_number(
            attributes,
            "ipatpifreshseconds",
            _MAX_SECONDS,
            default=FRESH_WHERE_DESTRUCTIVE_SECONDS if destructive else 0,
            least=0,
        ),
        minimum_age_seconds=_number(attributes, "ipatpiminimumageseconds", _MAX_AGE_SECONDS, default=0),
    )


def _required_approvals(name: str, attributes: Attributes) -> int:
    if is_reading(name):
        if _text(attributes, "ipatpirequiredapprovals") != "0":
            raise _BadError("ipaTpiRequiredApprovals is not 0, and this operation only reads")
        return 0
    return _number(attributes, "ipatpirequiredapprovals", _MAX_APPROVALS)  # R-K08


def _dns(attributes: Attributes, name: str) -> frozenset[str]:
    found = _texts(attributes, name)
    wrong = next((text for text in found if "=" not in text), None)
    if wrong is not None:
        raise _BadError(f"{name} is {wrong!a}, which is not a DN")
    return frozenset(found)


def _stages(attributes: Attributes) -> tuple[Stage, ...]:
    stages = []
    for text in _texts(attributes, "ipatpistage"):
        match = _STAGE.fullmatch(text)
        if match is None:
            raise _BadError(
                f"ipatpistage is {text!a}, which is not ORDER:COUNT:DN with an order and a count from 1 to 99"
            )
        stages.append(Stage(int(match[1]), int(match[2]), match[3]))
    if len({(stage.order, stage.group) for stage in stages}) != len(stages):
        raise _BadError(
            "ipatpistage names a group twice in one order; give it once, with the sum of the counts"
        )
    if sum(stage.count for stage in stages) > _MAX_APPROVALS:
        raise _BadError(f"ipatpistage demands more than {_MAX_APPROVALS} approvals together")
    return tuple(sorted(stages, key=lambda stage: (stage.order, stage.group)))


def _program(attributes: Attributes) -> str:
    name = _text(attributes, "ipatpivalidationprogram", default="")
    if (
        "ipatpivalidationprogram" in attributes and _PROGRAM.fullmatch(name) is None
    ):  # R-K05: a name in one folder, never a path
        raise _BadError(f"ipatpivalidationprogram is {name!a}, which is no plain file name")
    return name


def _indicators(attributes: Attributes) -> frozenset[str]:
    found = _texts(attributes, "ipatpiauthindicator")
    wrong = next((text for text in found if _INDICATOR.fullmatch(text) is None), None)
    if wrong is not None:
        raise _BadError(f"ipatpiauthindicator is {wrong!a}, which no KDC can set")
    return frozenset(found)


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
    if not isinstance(entry, dict) or not entry.keys() <= {"pattern", "values", "lines", "description"}:
        raise _BadError(f"{where}: expected an object with pattern, values, lines, description")
    pattern, values = entry.get("pattern"), entry.get("values", [])
    if not isinstance(pattern, str):
        raise _BadError(f"{where}: the pattern is missing or no string")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _BadError(f"{where}: values is no list of strings")
    if "values" in entry and not values:  # R-E21: an empty list would allow nothing, not everything
        raise _BadError(f"{where}: values is empty; leave it out to allow all that the pattern allows")
    lines = entry.get("lines", False)
    if not isinstance(lines, bool):
        raise _BadError(f"{where}: lines is neither true nor false")
    return ParameterRule(_compiles(pattern, where), frozenset(values), lines)


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


def _number(
    attributes: Attributes, name: str, most: int, default: int | None = None, least: int | None = None
) -> int:
    text = _text(attributes, name, default=None if default is None else str(default))
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise _BadError(f"{name} is {text!a}, which is not a whole number")
    number = int(text)
    lowest = least if least is not None else int(default != 0)
    if not lowest <= number <= most:
        raise _BadError(f"{name} is {number}, which is not between {lowest} and {most}")
    return number
