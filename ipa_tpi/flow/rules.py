"""Which rules there are, by what they are about; those that are broken are named too."""

from dataclasses import dataclass

from ipa_tpi.decide.policy import names_account
from ipa_tpi.errors import NotFoundError, RefusedError
from ipa_tpi.model import Account, Policy, Right, Rule


@dataclass(frozen=True, slots=True)
class RuleFilter:
    """Which rules are wanted; an empty field does not restrict.

    Attributes:
        operation: Only those that name this operation, itself or by a group, or all operations.
        user: Only those that name this account, itself, by a group or role, or everybody.
        right: Only those that give this right.
    """

    operation: str = ""
    user: str = ""
    right: Right | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules by name, and those that are there and give nothing, since they are broken."""

    found: tuple[Rule, ...]
    policy: Policy


def find_rules(wanted: RuleFilter, account: Account | None, policy: Policy) -> Rules:
    """Find rules; whether they are enabled does not matter.

    Args:
        wanted: Which.
        account: That of `wanted.user`.
        policy: As the caller may read it.

    Returns:
        Them, by name.

    Raises:
        NotFoundError: There is no such operation.
        RefusedError: Its definition is malformed, so that nobody can tell which rules name it.
    """
    rules = policy.rules_for(_dn(wanted.operation, policy)) if wanted.operation else policy.rules
    found = [rule for rule in rules if _gives(rule, wanted.right, account)]
    return Rules(tuple(sorted(found, key=lambda rule: (rule.name, rule.dn))), policy)


def _dn(name: str, policy: Policy) -> str:
    if name in policy.operations:
        return policy.operations[name].dn
    if name in policy.malformed:
        raise RefusedError(policy.malformed[name], code="operation-malformed")
    raise NotFoundError(f"there is no operation {name!a}; see: ipa-tpi operations")


def _gives(rule: Rule, right: Right | None, account: Account | None) -> bool:
    rights = rule.rights if right is None else rule.rights & {right}
    return bool(rights) and (account is None or any(names_account(rule, one, account) for one in rights))
