"""The verbs that ask about the policy: what it says of somebody, its rules, its operations (R-X10)."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from ipa_tpi.cli.catalogue import operation_sheet, operations_table
from ipa_tpi.cli.layout import columns_of
from ipa_tpi.cli.policy import demand_sheet, policy_sheet, rule_sheet, rules_table
from ipa_tpi.cli.questions import put
from ipa_tpi.cli.settings import Settings
from ipa_tpi.client import TpiClient, Trial
from ipa_tpi.errors import EXIT_DENIED, EXIT_OK, BadInputError, NotFoundError
from ipa_tpi.wire import RuleList


def ask_policy_test(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Tell what the policy says; the exit status tells whether each right that was asked about is given."""
    view = client.policy(
        Trial(
            operation=options.operation,
            host=options.host,
            user=options.user,
            right=options.right,
            parameters=one_each(options.parameters),
            groups=options.member_of,
        )
    )
    given = [one.right for one in view.verdicts if one.allowed]
    put(options, view, given, policy_sheet(view, columns_of(sys.stdout)))
    return EXIT_OK if view.verdicts and len(given) == len(view.verdicts) else EXIT_DENIED


def ask_rule_find(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """List rules, and those that are broken."""
    known = client.rules(options.operation, options.user, options.right)
    names = (rule.name for rule in known.rules)
    put(options, known, names, rules_table(known, columns_of(sys.stdout)))
    return EXIT_OK


def ask_rule_show(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Show the rules of one name; nothing keeps two from bearing the same."""
    known = client.rules()
    found = RuleList(
        rules=[rule for rule in known.rules if rule.name == options.name],
        broken=[rule for rule in known.broken if rule.name == options.name],
    )
    if not found.rules and not found.broken:
        raise NotFoundError(f"there is no rule {options.name} that you may know of. See 'ipa-tpi rule find'.")
    names = [options.name] * (len(found.rules) + len(found.broken))
    put(options, found, names, rule_sheet(found, columns_of(sys.stdout)))
    return EXIT_OK


def ask_operation_find(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """List operations by a part of their names or descriptions."""
    text = options.text.casefold()
    found = [
        one
        for one in client.operations().operations
        if text in one.name.casefold() or text in one.description.casefold()
    ]
    text = operations_table(found, columns_of(sys.stdout))
    put(options, {"operations": found}, (one.name for one in found), text)
    return EXIT_OK


def ask_operation_show(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    """Show one operation, what holds for it on a host, and how many could ask for it and approve it."""
    known = client.operations()
    policy = client.policy(Trial(operation=options.name, host=options.host or ""))
    found = [one for one in known.operations if one.name == policy.operation]
    columns = columns_of(sys.stdout)
    text = "".join(operation_sheet(one, known, columns) for one in found) + demand_sheet(policy, columns)
    put(options, {"operations": found, "policy": policy}, [policy.operation], text)
    return EXIT_OK


def one_each(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Take parameters of a command line.

    Args:
        parameters: Names and values, as given.

    Returns:
        Them.

    Raises:
        BadInputError: One is given twice.
    """
    counts = Counter(name for name, _ in parameters)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        given = ", ".join(value for name, value in parameters if name == twice[0])
        raise BadInputError(
            f"the parameter {twice[0]} is given {counts[twice[0]]} times ({given}). Give it once; "
            "for several values make several requests. See 'ipa-tpi operations'.",
        )
    return dict(parameters)
