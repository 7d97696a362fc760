"""Properties of the state function: order, forgery, and agreement with the slow model (K12, X03)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from decide_builders import (
    ALICE,
    BOB,
    BODY,
    CAROL,
    DAVE,
    EXECUTOR,
    OTHER_EXECUTOR,
    Entries,
    about,
    at,
    person,
    request,
    terms,
)
from decide_model import slow_state
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ipa_tpi.decide.approval import Case, Verified, Voice, standing
from ipa_tpi.decide.digest import preview_body, sha256
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.model import Child, Outcome, Purpose, Refuse, State, Subtree

ASKED = request()
ERIN, ERIN_ADMIN = person("erin", "1006"), person("erin-admin", "1006")
PEOPLE = (ALICE, BOB, CAROL, DAVE, ERIN, ERIN_ADMIN)
OTHER_BODY = preview_body("another", {})
ACTIVE = {State.EXECUTING, State.EXECUTED, State.FAILED}
WINDOWS = (0, 1, 5, 20, 299, 300, 301, 310, 320, 360, 400, 599, 600, 601, 660, 700)

WHO = st.sampled_from([who.dn for who in PEOPLE])
WHEN = st.sampled_from(WINDOWS) | st.integers(-2, 900)


@st.composite
def _children(draw: st.DrawFn, *, by_executor: bool = True, most: int = 8) -> tuple[Child, ...]:
    made = Entries(ASKED)
    official = st.just(EXECUTOR) if by_executor else WHO | st.just(OTHER_EXECUTOR)
    digests = st.sampled_from([about(ASKED), about(ASKED), about(ASKED), sha256(b"other")])
    conflict = st.sampled_from([False] * 12 + [True])
    kinds: dict[str, Callable[[], Child]] = {
        "approval": lambda: made.approval(
            draw(WHO), draw(WHEN), digest=draw(digests), conflict=draw(conflict)
        ),
        "denial": lambda: made.denial(draw(WHO), draw(WHEN), conflict=draw(conflict)),
        "withdrawal": lambda: made.withdrawal(draw(WHO), draw(WHEN), conflict=draw(conflict)),
        "cancellation": lambda: made.cancellation(draw(WHO), draw(WHEN), conflict=draw(conflict)),
        "proof": lambda: made.proof(draw(WHO), seconds=draw(WHEN)),
        "preview": lambda: made.preview(
            draw(WHEN), draw(st.sampled_from([BODY, BODY, OTHER_BODY])), draw(official)
        ),
        "receipt": lambda: made.receipt("x", draw(WHEN), draw(official)),
        "execution": lambda: made.execution(
            draw(st.sampled_from(["mine", "n2", ""])), draw(WHEN), draw(official)
        ),
        "result": lambda: made.result(draw(st.sampled_from(list(Outcome))).value, draw(WHEN), draw(official)),
    }
    weights = (
        ["approval"] * 8
        + ["withdrawal"] * 5
        + ["denial"] * 2
        + [name for name in kinds if name != "withdrawal"]
    )
    chosen = draw(st.lists(st.sampled_from(weights), max_size=most))
    return tuple(kinds[name]() for name in chosen)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    children = draw(_children())
    ends = draw(st.booleans())
    children = tuple(
        child for child in children if ends or type(child).__name__ not in {"Execution", "Result"}
    )
    if draw(st.integers(0, 4)):
        children = (Entries(ASKED, number=900).preview(draw(st.integers(0, 5))), *children)
    refusals = st.sampled_from([None] * 5 + ["no-rule", "disabled"])
    voices = {ALICE.dn: Voice(Refuse("self-approval", "same"), identity=identity_of(ALICE))}
    for who in PEOPLE[1:]:
        code = draw(refusals)
        forged = draw(st.booleans()) if code == "no-rule" else False
        voices[who.dn] = Voice(Refuse(code, "no") if code else None, forged=forged, identity=identity_of(who))
    verified = {
        Verified(who.dn, Purpose.APPROVE, about(ASKED)) for who in PEOPLE if draw(st.integers(0, 5))
    } | ({Verified(ALICE.dn, Purpose.REQUEST, ASKED.digest)} if draw(st.booleans()) else set())
    seen = {
        child.entry_id: child.created + timedelta(seconds=draw(st.sampled_from([-10, -1, 0, 5, 50])))
        for child in children
        if draw(st.booleans())
    }
    return Case(
        subtree=Subtree(ASKED, children),
        digest=ASKED.digest,
        terms=terms(draw(st.integers(1, 3)), proof=draw(st.booleans())),
        now=at(draw(WHEN)),
        voices=voices,
        verified=frozenset(verified),
        first_seen=seen
        | ({ASKED.id: at(draw(st.sampled_from([-10, 0, 20])))} if draw(st.booleans()) else {}),
        own_nonce=draw(st.sampled_from(["", "mine"])),
    )


@settings(deadline=None, max_examples=60)
@given(_cases(), st.randoms(use_true_random=False))
def test_any_order_of_the_same_entries_is_one_state(there: Case, random: object) -> None:
    shuffled = list(there.subtree.children)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    turned = replace(there, subtree=replace(there.subtree, children=tuple(shuffled)))
    assert standing(turned) == standing(there)


@settings(deadline=None, max_examples=30)
@given(_cases())
def test_an_entry_twice_is_the_same_entry(there: Case) -> None:
    """Two reads that are put together, or a search that gives an entry twice."""
    doubled = replace(there, subtree=replace(there.subtree, children=there.subtree.children * 2))
    assert standing(doubled).state is standing(there).state


@settings(deadline=None, max_examples=150)
@given(_cases())
def test_the_state_is_that_of_the_slow_model(there: Case) -> None:
    found = standing(there)
    event(found.state.value)
    assert found.state is slow_state(there, found.approval_digest)


@settings(deadline=None, max_examples=100)
@given(_cases(), _children(by_executor=False, most=4))
def test_nothing_by_anybody_else_makes_a_request_begin_or_end_well(
    there: Case, more: tuple[Child, ...]
) -> None:
    before = standing(there).state
    added = tuple(
        replace(child, entry_id=f"f{child.entry_id[1:]}") for child in more if child.creator != EXECUTOR
    )
    after = standing(
        replace(there, subtree=replace(there.subtree, children=there.subtree.children + added))
    ).state
    assert after is before or after not in ACTIVE
    # What came late and is stamped in time (replication) may complete what had expired; the executor ends it before.
    if before not in {State.PENDING, State.APPROVED, State.EXPIRED}:
        assert after is not State.APPROVED


@settings(deadline=None, max_examples=100)
@given(_cases())
def test_what_is_approved_rests_on_enough_other_people(there: Case) -> None:
    found = standing(there)
    if found.state is not State.APPROVED:
        return
    people = [there.voices[approval.creator].identity for approval in found.counted]
    assert len(people) >= there.terms.required_approvals
    assert ALICE.dn not in {who.dn for who in people if who is not None}
    assert len({who.person for who in people if who is not None}) == len(people)
    for approval in found.counted:
        assert not approval.conflict
        assert approval.digest == about(ASKED)
        proof = Verified(approval.creator, Purpose.APPROVE, about(ASKED))
        assert not there.terms.proof or proof in there.verified
    assert there.now <= found.deadline


@settings(deadline=None, max_examples=60)
@given(_cases())
def test_a_ticket_that_is_missing_is_a_reason_and_nothing_else(there: Case) -> None:
    without, found = standing(there), standing(replace(there, unticketed=True))
    assert replace(found, code=without.code, message=without.message) == without
    if found != without:
        assert found.state in {State.AWAITING_PREVIEW, State.APPROVED, State.EXECUTING}
        assert found.code == "proof-missing"


@settings(deadline=None, max_examples=60)
@given(_cases(), st.integers(0, 2000))
def test_time_alone_never_approves(there: Case, seconds: int) -> None:
    later = replace(there, now=there.now + timedelta(seconds=seconds))
    if standing(there).state is not State.APPROVED:
        assert standing(later).state is not State.APPROVED
