"""Who may request and who may approve what, on which host (K03).

Rules:

1. Default deny.  A right comes from one enabled rule whose right, people, hosts and operations
   all match; nothing is added up across rules.
2. A dimension that names nobody and has no category matches nobody.
3. People are named by themselves, their groups and their roles, nested ones included; hosts and
   services that request are named apart, and never approve.  Targets are named by themselves and
   their host groups, operations by themselves and their groups, nested ones included.
4. An unusable or disabled operation can be neither requested nor approved nor run.
5. Every answer has a reason: the rule that allowed, or the nearest miss and what it lacked.
6. All rules count, however many there are; a question about one operation looks only at those that
   name it.
"""

from typing import Final

from ipa_tpi.model import Account, Allow, HostEntry, Kind, Operation, Policy, Refuse, Right, Rule

_FEW: Final = 100


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
    granted = granting(policy, right, account, operation, host)
    if granted:
        return Allow(granted[0].name)
    where = host.fqdn if host is not None else "a host that the directory does not know"
    return Refuse(
        "no-rule",
        f"{account.principal} may not {right.value} {operation.name} on {where}: {_nearest(policy, right, account, operation, host)}. "
        "Ask an administrator for a rule.",
    )


def granting(
    policy: Policy, right: Right, account: Account, operation: Operation, host: HostEntry | None
) -> tuple[Rule, ...]:
    """Give every rule that gives an account a right to an operation on a host; see `may`."""
    return tuple(
        rule
        for rule in policy.rules_for(operation.dn)
        if all(_matches(rule, right, account, host))
        and (right is Right.REQUEST or account.kind is Kind.PERSON)
    )


def names_account(rule: Rule, right: Right, account: Account) -> bool:
    """Tell whether a rule names an account, for a right that it may have at all.

    Args:
        rule: Any.
        right: Hosts and services are only named for requesting (K02).
        account: With all its groups and roles.

    Returns:
        Whether it does, by itself, by a group or role, or as everybody.
    """
    names = account.member_of | {account.dn}
    if account.kind is Kind.PERSON:
        return rule.all_users or bool(rule.members & names)
    return right is Right.REQUEST and bool(rule.requesting & names)


_DIMENSIONS: Final = (
    "is disabled",
    "gives another right",
    "does not name this account",
    "does not name this host",
    "does not name this operation",
)


def _matches(rule: Rule, right: Right, account: Account, host: HostEntry | None) -> tuple[bool, ...]:
    return (
        rule.enabled,
        right in rule.rights,
        names_account(rule, right, account),
        rule.all_hosts or (host is not None and bool(rule.hosts & (host.member_of | {host.dn}))),
    )


def _nearest(
    policy: Policy, right: Right, account: Account, operation: Operation, host: HostEntry | None
) -> str:
    naming = policy.rules_for(operation.dn)
    # Where there are few rules, one for another operation may well be the one that was meant.
    misses: list[tuple[bool, int, str]] = []
    for rule in policy.rules if len(policy.rules) <= _FEW else naming:
        matched = (*_matches(rule, right, account, host), rule in naming)
        lacks = [name for name, found in zip(_DIMENSIONS, matched, strict=True) if not found]
        told = f"the nearest rule {rule.name!a} {' and '.join(lacks)}"
        # A rule that gives the right is nearer than one that would have to give another.
        misses.append((right in rule.rights, -len(lacks), told))
    return max(misses)[2] if misses else "no rule gives this right to anybody"
