"""When there are enough approvals: number, groups, stages (K08); compared with a model that tries everything."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from decide_builders import (
    BOB,
    CAROL,
    DAVE,
    RESTART,
    Entries,
    about,
    case,
    proven,
    refused_with,
    request,
    terms,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ipa_tpi.decide.approval import Voice, standing
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.decide.quorum import Demand, check_satisfiable, check_turn, missing
from ipa_tpi.model import Account, Refuse, Stage, State

A, B, C = "cn=a,cn=groups", "cn=b,cn=groups", "cn=c,cn=groups"
Groups = frozenset[str]


def of(*names: str) -> Groups:
    """Give groups."""
    return frozenset(names)


def taken_in_order(demand: Demand, people: Sequence[Groups]) -> list[int]:
    """Give the numbers of those who count, when they approve in this order."""
    counted: list[int] = []
    for number, groups in enumerate(people):
        if check_turn(demand, [people[one] for one in counted], groups) is None:
            counted.append(number)
    return counted


# --- the model: tries every seating, and knows nothing of augmenting paths --------


def can_be_seated(people: Sequence[Groups], places: Sequence[str]) -> bool:
    """Can all these people sit on different places of their groups?"""
    return any(
        all(place in groups for place, groups in zip(seating, people, strict=True))
        for seating in permutations(places, len(people))
    )


def model(demand: Demand, people: Sequence[Groups]) -> tuple[list[int], bool]:
    """Give who counts, and whether it is complete."""
    counted: list[int] = []
    orders = sorted({stage.order for stage in demand.stages})
    for number, groups in enumerate(people):
        done = 0
        allowed = True
        for order in orders:
            places = [
                stage.group for stage in demand.stages if stage.order == order for _ in range(stage.count)
            ]
            seated = [people[one] for one in counted[done : done + len(places)]]
            if len(seated) < len(places):
                allowed = can_be_seated([*seated, groups], places)
                break
            done += len(places)
        if allowed:
            counted.append(number)
    slots = sum(stage.count for stage in demand.stages)
    enough = len(counted) >= max(1, demand.approvals, slots)
    represented = all(any(group in people[one] for one in counted) for group in demand.groups)
    return counted, enough and represented


GROUPS = st.frozensets(st.sampled_from([A, B, C]))
STAGES = st.lists(
    st.builds(Stage, st.integers(1, 3), st.integers(1, 2), st.sampled_from([A, B, C])),
    max_size=3,
    unique_by=lambda stage: (stage.order, stage.group),
).map(tuple)
DEMANDS = st.builds(Demand, st.integers(1, 4), GROUPS, STAGES)


@given(DEMANDS, st.lists(GROUPS, max_size=7))
def test_it_agrees_with_the_model(demand: Demand, people: list[Groups]) -> None:
    counted, complete = model(demand, people)
    assert taken_in_order(demand, people) == counted
    assert (missing(demand, [people[one] for one in counted]) == "") is complete


@given(DEMANDS, st.lists(GROUPS, max_size=6))
def test_what_is_complete_stays_complete(demand: Demand, people: list[Groups]) -> None:
    was = False
    for number in range(len(people) + 1):
        now = missing(demand, [people[one] for one in taken_in_order(demand, people[:number])]) == ""
        assert now or not was
        was = now


@settings(deadline=None)
@given(DEMANDS, st.dictionaries(st.sampled_from("abcde"), GROUPS, max_size=5))
def test_satisfiable_means_that_some_order_of_people_completes_it(
    demand: Demand, people: dict[str, Groups]
) -> None:
    possible = any(model(demand, order)[1] for order in permutations(people.values()))
    assert (check_satisfiable(RESTART, demand, people) is None) is possible


@given(DEMANDS)
def test_nobody_is_never_enough(demand: Demand) -> None:
    assert missing(demand, []) != ""


def test_a_demand_of_none_is_one() -> None:
    assert Demand(0).total == Demand(-3).total == 1
    assert missing(Demand(0), []) == "1 more approval is needed"
    assert missing(Demand(0), [of()]) == ""


@pytest.mark.parametrize(
    ("demand", "taken", "message"),
    [
        (Demand(2), [], "2 more approvals are needed"),
        (Demand(2), [of()], "1 more approval is needed"),
        (Demand(1, of(A)), [of(B)], "somebody of a must approve"),
        (Demand(1, of(A, B)), [of(C)], "somebody of a and of b must approve"),
        (Demand(1, of(A)), [], "1 more approval is needed, somebody of a must approve"),
        (
            Demand(1, stages=(Stage(1, 1, A), Stage(2, 1, B))),
            [],
            "2 more approvals are needed, next by a (stage 1)",
        ),
        (
            Demand(1, stages=(Stage(1, 1, A), Stage(2, 1, B))),
            [of(A)],
            "1 more approval is needed, next by b (stage 2)",
        ),
        (
            Demand(1, stages=(Stage(1, 1, A), Stage(1, 1, B))),
            [],
            "2 more approvals are needed, next by a or b (stage 1)",
        ),
        (Demand(3, stages=(Stage(1, 1, A),)), [of(A)], "2 more approvals are needed"),
    ],
)
def test_people_are_told_what_is_missing(demand: Demand, taken: list[Groups], message: str) -> None:
    assert missing(demand, taken) == message


def test_out_of_turn_names_the_stage_that_is_open() -> None:
    demand = Demand(1, stages=(Stage(1, 1, A), Stage(2, 1, B)))
    refused_with(check_turn(demand, [], of(B)), "stage-order", "stage 1 is open", "needs a;")
    refused_with(check_turn(demand, [of(A)], of(A)), "stage-order", "stage 2 is open", "needs b;")


def test_a_member_of_two_groups_makes_room() -> None:
    """R-K08: whoever is in both must not shut out who is in one."""
    demand = Demand(1, stages=(Stage(1, 1, A), Stage(1, 1, B)))
    assert taken_in_order(demand, [of(A, B), of(A)]) == [0, 1]
    assert taken_in_order(demand, [of(A, B), of(B)]) == [0, 1]
    assert taken_in_order(demand, [of(A), of(A)]) == [0]


@pytest.mark.parametrize(
    ("demand", "people", "words"),
    [
        (Demand(1, of(A)), {"x": of(B)}, ("ipaTpiRequiredGroup", "nobody of a")),
        (Demand(2), {"x": of(A)}, ("ipaTpiRequiredApprovals", "2 must approve, and 1 could")),
        (Demand(1), {}, ("ipaTpiRequiredApprovals", "and 0 could")),
        (
            Demand(1, stages=(Stage(2, 2, A),)),
            {"x": of(A)},
            ("ipaTpiStage", "stage 2 needs 2 of a, and 1 could"),
        ),
        (
            Demand(1, stages=(Stage(1, 1, A), Stage(2, 1, B))),
            {"x": of(A, B), "y": of(C)},
            ("ipaTpiStage", "more different people"),
        ),
    ],
)
def test_what_nobody_can_satisfy_is_refused_by_entry_and_attribute(
    demand: Demand, people: dict[str, Groups], words: tuple[str, ...]
) -> None:
    refused_with(check_satisfiable(RESTART, demand, people), "policy-unsatisfiable", RESTART.dn, *words)


# --- in the state ----------------------------------------------------------------

ASKED = request()


def state_of(
    demand: dict[str, object], *order: tuple[Account, Groups]
) -> tuple[State, int, dict[str, Refuse]]:
    """Give the state when people of these groups approved in this order."""
    made = Entries(ASKED)
    there = [made.preview()]
    voices = {}
    for second, (who, groups) in enumerate(order):
        there.append(made.approval(who, 10 + second))  # type: ignore[arg-type]
        voices[who.dn] = Voice(None, identity=identity_of(who), groups=groups)
    found = standing(case(*there, voices=voices, terms=terms(**demand)))  # type: ignore[arg-type]
    return found.state, len(found.counted), dict(found.why)


def test_each_required_group_must_be_represented() -> None:
    demand: dict[str, object] = {"groups": of(A, B)}
    assert state_of(demand, (BOB, of(A)))[0] is State.PENDING
    assert state_of(demand, (BOB, of(A)), (CAROL, of(C)))[0] is State.PENDING
    assert state_of(demand, (BOB, of(A)), (CAROL, of(B)))[0] is State.APPROVED
    assert state_of(demand, (BOB, of(A, B)))[0] is State.APPROVED


def test_stages_go_in_their_order() -> None:
    demand: dict[str, object] = {"stages": (Stage(1, 1, A), Stage(2, 1, B)), "approvals": 2}
    assert state_of(demand, (BOB, of(A)), (CAROL, of(B)))[0] is State.APPROVED
    state, counted, why = state_of(demand, (CAROL, of(B)), (BOB, of(A)))
    assert (state, counted) == (State.PENDING, 1)
    assert [refusal.code for refusal in why.values()] == ["stage-order"]
    assert state_of(demand, (CAROL, of(B)), (BOB, of(A)), (DAVE, of(B)))[0] is State.APPROVED


@pytest.mark.parametrize("swapped", [False, True])
def test_two_of_one_second_find_their_order(swapped: bool) -> None:
    """Stamps have whole seconds, and nobody's voice is lost for that."""
    made = Entries(ASKED)
    pair = [(BOB, of(A)), (CAROL, of(B))]
    there = [made.preview()]
    voices = {}
    for who, groups in pair[::-1] if swapped else pair:  # entry ids grow with each
        there.append(made.approval(who, 10))  # type: ignore[arg-type]
        voices[who.dn] = Voice(None, identity=identity_of(who), groups=groups)
    found = standing(case(*there, voices=voices, terms=terms(2, stages=(Stage(1, 1, A), Stage(2, 1, B)))))
    assert found.state is State.APPROVED
    assert [approval.creator for approval in found.counted] == [BOB.dn, CAROL.dn]


def test_the_execution_window_runs_from_the_approval_that_completed_it() -> None:
    made = Entries(ASKED)
    there = [made.preview(), made.approval(BOB, 10), made.approval(CAROL, 100), made.approval(DAVE, 200)]
    voices = {
        who.dn: Voice(None, identity=identity_of(who), groups=groups)
        for who, groups in ((BOB, of(C)), (CAROL, of(A)), (DAVE, of(A)))
    }
    found = standing(
        case(
            *there,
            voices=voices,
            terms=terms(groups=of(A)),
            now=210,
            verified=proven(ASKED, BOB, CAROL, DAVE),
        )
    )
    assert found.state is State.APPROVED
    assert (found.deadline - ASKED.created).total_seconds() == 400
    assert found.approval_digest == about(ASKED)
    assert found.complete


def test_a_group_is_called_by_the_whole_of_its_name() -> None:
    for group, name in (("cn=a=b,cn=groups,dc=x", "a=b"), ("cn=a", "a"), ("strange", "strange")):
        assert missing(Demand(1, frozenset({group})), [frozenset()]) == f"somebody of {name} must approve"
