"""What somebody asks for, before it is a request."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ipa_tpi.decide.intake import check_lines, check_target, check_text
from ipa_tpi.errors import BadInputError, RefusedError
from ipa_tpi.model import Refuse
from ipa_tpi.wire import OperationList, OperationView, RequestView

_NOT_YET: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for.

    Attributes:
        operation: Its name, in any letter case.
        target: The host that it shall run on.
        parameters: By name.
        reason: Why.
        ticket: Number of the ticket that it belongs to.
        interface: Through what it is asked for: cli, framework or jacket.
    """

    operation: str
    target: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    ticket: str = ""
    interface: str = "cli"


def check_wish(wish: Wish) -> None:
    """Refuse at once what no server would take.

    Args:
        wish: What is asked for.

    Raises:
        BadInputError: The target is no host name.
        RefusedError: Code ``text-not-allowed`` (R-K11).
    """
    target = check_target(wish.target)
    if target is not None:
        raise BadInputError(target.message, code=target.code)
    texts = [("operation's name", wish.operation), ("reason", wish.reason), ("ticket", wish.ticket)]
    texts += [("name of a parameter", name) for name in wish.parameters]
    found = [check_text(text, what) for what, text in texts]
    # Which of them may have several lines, the definition says (`check_values`).
    found += [check_lines(value, f"value of {name}") for name, value in wish.parameters.items()]
    _demand(found)


def check_values(wish: Wish, operation: OperationView) -> None:
    """Refuse several lines where the definition allows one (R-K11).

    Args:
        wish: What is asked for; `check_wish` took it.
        operation: As the server told it.

    Raises:
        RefusedError: Code ``text-not-allowed``.
    """
    long = {name for name, rule in operation.parameters.items() if rule.lines}
    _demand(
        check_text(value, f"value of {name}") for name, value in wish.parameters.items() if name not in long
    )


def find_operation(known: OperationList, name: str) -> OperationView:
    """Find an operation by its name.

    Args:
        known: Those of the server.
        name: In any letter case.

    Returns:
        It, with the digest of its definition.

    Raises:
        RefusedError: Code ``unknown-operation`` or ``operation-malformed``.
    """
    for operation in known.operations:
        if operation.name.lower() == name.lower():
            return operation
    malformed = {key.lower(): why for key, why in known.malformed.items()}.get(name.lower())
    if malformed is not None:
        raise RefusedError(
            f"the definition of {name} is refused: {malformed}. An administrator must correct it.",
            code="operation-malformed",
        )
    names = ", ".join(operation.name for operation in known.operations) or "none"
    raise RefusedError(
        f"there is no operation {name} that you may know of. Known: {names}. See 'ipa-tpi operations'.",
        code="unknown-operation",
    )


def check_host(wish: Wish, known: OperationList) -> None:
    """Refuse a target that has no executor, before a ticket for it is wanted.

    Args:
        wish: What is asked for.
        known: What the server told; where it names no hosts, any may do.

    Raises:
        RefusedError: Code ``target-not-served``.
    """
    if known.hosts and wish.target not in known.hosts:
        raise RefusedError(
            f"{wish.target} has no executor of ipa-tpi. Known: {', '.join(known.hosts)}. Check --host; "
            "see 'ipa-tpi hosts'.",
            code="target-not-served",
        )


def draft(wish: Wish, operation: OperationView, requester: str) -> RequestView:
    """Give a wish its id and the form of a request, digest and state still empty.

    Args:
        wish: What is asked for.
        operation: Its definition.
        requester: Principal of the person who asks.

    Returns:
        The draft.
    """
    return RequestView(
        id=str(uuid.uuid4()),
        operation=operation.name,
        operation_digest=operation.digest,
        target=wish.target,
        parameters=dict(wish.parameters),
        requester=requester,
        reason=wish.reason,
        ticket=wish.ticket,
        interface=wish.interface,
        digest="",
        created=_NOT_YET,
        state="",
    )


def _demand(found: Iterable[Refuse | None]) -> None:
    for refusal in found:
        if refusal is not None:
            raise RefusedError(refusal.message, code=refusal.code)
