"""What an operation of the closed table is: what it shows, what it compares, what it does, and with what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ipa_tpi.errors import AuthorityUnavailableError, RefusedError
from ipa_tpi.model import FloorOperation, Json
from ipa_tpi.ports import Authority, ServiceManager


@dataclass(frozen=True, slots=True)
class Act:
    """How an act ended: certain success.

    Attributes:
        excerpt: For people, one line.
        exit_status: 0.
    """

    excerpt: str
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class Means:
    """What an operation may act with.

    Attributes:
        services: systemd.
        authority: The CA, as the requester; None where the operation needs no ticket.
    """

    services: ServiceManager
    authority: Authority | None = None


class Operation(Protocol):
    """What an operation of the table can do."""

    @property
    def needs_ticket(self) -> bool:
        """Whether it acts as the requester, with what his proof yields (K01)."""

    @property
    def other_ways(self) -> tuple[str, ...]:
        """Where else a person could do the same (K18); empty for one that changes nothing."""

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """Give the units, with the verbs, that the floor's entry opens to the executor.

        Raises:
            RefusedError: Code ``bad-parameters``: the floor names what the operation never touches.
        """

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Read what would be acted on.

        Returns:
            What is shown to people, and the precondition that is compared again before acting.
        """

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Read the precondition again; raises as `act`, where the target could not be acted on now."""

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Do it.

        Raises:
            ActionFailedError: It certainly did not succeed.
            OutcomeUnknownError: It may have.
            ServiceManagerError: It was certainly not begun.
        """


def opens_no_unit(floor: FloorOperation) -> Mapping[str, frozenset[str]]:
    """Give the units that an operation opens with which systemd has nothing to do: none.

    Raises:
        RefusedError: Code ``bad-parameters``: the floor names some.
    """
    if floor.units or floor.instances:
        raise RefusedError(
            "it names units or instances, and this operation knows neither; leave them out",
            code="bad-parameters",
        )
    return {}


def authority_of(means: Means) -> Authority:
    """Give the CA.

    Raises:
        AuthorityUnavailableError: This host has no way to one.
    """
    if means.authority is None:
        raise AuthorityUnavailableError("this host has no way to a certificate authority; see executor.toml")
    return means.authority


def demand_parameters(parameters: Mapping[str, str], *names: str) -> None:
    """Refuse parameters that are not exactly the operation's (R-E03: here too, whatever came before).

    Raises:
        RefusedError: Code ``bad-parameters``.
    """
    if parameters.keys() != set(names):
        raise RefusedError(
            f"expected exactly {' and '.join(names)}; give NAME=VALUE for each", code="bad-parameters"
        )
