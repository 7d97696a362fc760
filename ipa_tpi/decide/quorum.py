"""When there are enough approvals: so many, by whom, and in which order (K08).

Rules:

1. Approvals are taken in the order of their stamps.  What this module is asked about has passed
   every other check: it is on the right digest, in time, by a distinct person, with a proof.
2. Where there are stages, an approval counts only while it fills a place: the stages of the lowest
   order that is not complete are open, and its writer must be a member of one of their groups that
   still has a place.  Places are shared out so that most people find one (a member of two open
   groups makes room for a member of one).  After the last stage further approvals count freely.
3. An approval out of turn does not count, and does not begin to count later: who approves in the
   second stage has seen what the first one said.
4. It is complete when there are as many approvals as the definition, the floor and the stages
   demand (the greatest of them), and each required group has a member among those counted.
5. Membership is that of the moment of the decision: who has left a group represents it no longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ipa_tpi.model import Operation, Refuse, Stage

Groups = frozenset[str]


@dataclass(frozen=True, slots=True)
class Demand:
    """What must come together.

    Attributes:
        approvals: At least so many.
        groups: Each must be represented.
        stages: In this order.
    """

    approvals: int
    groups: frozenset[str] = frozenset()
    stages: tuple[Stage, ...] = ()

    @property
    def total(self) -> int:
        """The least number of approvals that can be enough; never none (K02)."""
        return max(1, self.approvals, sum(stage.count for stage in self.stages))


def check_turn(demand: Demand, taken: Sequence[Groups], groups: Groups) -> Refuse | None:
    """May one more approval count, after those that count already?

    Args:
        demand: What must come together.
        taken: The groups of each who counts so far, in order.
        groups: Those of the next.

    Returns:
        None, or a refusal ``stage-order``.
    """
    waiting = list(taken)
    for order in _orders(demand):
        places = _places(demand, order)
        here, waiting = waiting[: len(places)], waiting[len(places) :]
        if len(here) < len(places):
            if _seated([*here, groups], places) == len(here) + 1:
                return None
            return Refuse(
                "stage-order",
                f"stage {order} is open, which needs {_named(places)}; others approve after it",
            )
    return None


def missing(demand: Demand, taken: Sequence[Groups]) -> str:
    """Tell what is still missing; empty when it is complete.

    Args:
        demand: What must come together.
        taken: The groups of each who counts.

    Returns:
        One phrase for people.
    """
    lacking = max(demand.total - len(taken), 0)
    more = "1 more approval is" if lacking == 1 else f"{lacking} more approvals are"
    parts = [f"{more} needed"] if lacking else []
    absent = sorted(group for group in demand.groups if not any(group in one for one in taken))
    if absent:
        parts.append(f"somebody of {' and of '.join(_name(group) for group in absent)} must approve")
    stage = _open(demand, len(taken))
    if stage:
        parts.append(f"next by {stage}")
    return ", ".join(parts)


def check_satisfiable(operation: Operation, demand: Demand, people: Mapping[str, Groups]) -> Refuse | None:
    """Are there people at all who could approve (K08)?

    Args:
        operation: For the message.
        demand: What must come together.
        people: Everyone who could approve, by person, with his groups; the requester is not among them.

    Returns:
        None, or a refusal ``policy-unsatisfiable`` that names entry and attribute.
    """

    def refused(attribute: str, why: str) -> Refuse:
        return Refuse(
            "policy-unsatisfiable",
            f"nobody can satisfy the operation {operation.dn}: {attribute}: {why}; ask an administrator to correct it",
        )

    everyone = list(people.values())
    for order in _orders(demand):
        for stage in (stage for stage in demand.stages if stage.order == order):
            able = sum(1 for groups in everyone if stage.group in groups)
            if able < stage.count:
                return refused(
                    "ipaTpiStage",
                    f"stage {order} needs {stage.count} of {_name(stage.group)}, and {able} could approve",
                )
    places = [stage.group for stage in demand.stages for _ in range(stage.count)]
    if _seated(everyone, places) < len(places):
        return refused("ipaTpiStage", "its stages need more different people than their groups have")
    for group in sorted(demand.groups):
        if not any(group in groups for groups in everyone):
            return refused("ipaTpiRequiredGroup", f"nobody of {_name(group)} could approve")
    if len(everyone) < demand.total:
        return refused("ipaTpiRequiredApprovals", f"{demand.total} must approve, and {len(everyone)} could")
    return None


def _orders(demand: Demand) -> list[int]:
    return sorted({stage.order for stage in demand.stages})


def _places(demand: Demand, order: int) -> list[str]:
    return [stage.group for stage in demand.stages if stage.order == order for _ in range(stage.count)]


def _open(demand: Demand, taken: int) -> str:
    for order in _orders(demand):
        places = _places(demand, order)
        if taken < len(places):
            return f"{_named(places)} (stage {order})"
        taken -= len(places)
    return ""


def _named(places: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(_name(place) for place in places))


def _name(group: str) -> str:
    return group.partition(",")[0].partition("=")[2] or group


def _seated(people: Sequence[Groups], places: Sequence[str]) -> int:
    """Tell how many people find a place at once: a largest matching, by augmenting paths."""
    seats: dict[int, int] = {}

    def seat(person: int, tried: set[int]) -> bool:
        for place, group in enumerate(places):
            if group in people[person] and place not in tried:
                tried.add(place)
                if place not in seats or seat(seats[place], tried):
                    seats[place] = person
                    return True
        return False

    return sum(1 for person in range(len(people)) if seat(person, set()))
