"""People, a CA whose validator asks from several threads, crashes and clocks, in any order (DESIGN section 8, K13).

After every step: nobody got a second yes for one approval, and no yes came after the end or without two people.
An end that says that nothing was issued was never preceded, nor followed, by a yes.
"""

import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from decide_builders import ALICE, REQUEST_ID, dn_of
from enrolment_scene import Desk, certificate_for
from executor_fakes import DOWN, CrashError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ipa_tpi.errors import ActionFailedError, OutcomeUnknownError, RefusedError, TpiError, UnavailableError
from ipa_tpi.executor.socket import Reply

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
REFUSES = ActionFailedError("the CA rejected it; nothing was issued")
LOST = OutcomeUnknownError("no answer came; look at it")
VETOES = ("ipaTpiDenial", "ipaTpiWithdrawal", "ipaTpiCancellation")
CERTAINLY_NONE = {"failed", "denied", "expired", "cancelled"}
OFTEN = st.sampled_from([True, True, True, False])


@dataclass(frozen=True)
class Plan:
    """What happens when a certificate is asked for.

    Attributes:
        asks: How often the CA's validator asks, at once.
        waits: Whether the CA waits for what it hears, or the validator for the executor's answer.
        hasty: What the CA says where it does not wait, or hears no yes.
        crash: After how many calls the power fails; 0 for never.
    """

    asks: int
    waits: bool
    hasty: TpiError
    crash: int


CHOICES = (
    st.sampled_from([1, 2, 3, 1, 0]),
    OFTEN,
    st.sampled_from([REFUSES, LOST]),
    st.sampled_from([0, 0, 0, 0, 0, 0, 10, 20, 25, 30, 35, 40, 45]),
)
PLANS = st.one_of(st.builds(Plan, *CHOICES), st.builds(Plan, *CHOICES), st.none())


class EnrolmentMachine(RuleBasedStateMachine):
    """One host, one request for one certificate."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir=MEMORY)
        self.desk = Desk(Path(self.folder))
        self.pool = ThreadPoolExecutor(4)
        self.asking: list[Future[str]] = []
        self.yes = 0
        self.wrong: list[str] = []
        self.plan = Plan(1, waits=True, hasty=REFUSES, crash=0)
        self.desk.ca.issues = certificate_for
        self.desk.ca.asks = self.be_asked

    def teardown(self) -> None:
        """Let everything end."""
        try:
            self.desk.weather.calm()
            self.join()
            self.desk.clock.go(1000)
            self.look()
            self.look()
            claim = self.desk.claims.claim(REQUEST_ID)
            if claim is not None and not self.wrong:
                assert (claim.state, claim.published) == ("ended", True)
                self.one_certificate()
        finally:
            self.pool.shutdown()
            self.desk.close()
            shutil.rmtree(self.folder)

    @initialize(way=st.sampled_from(["executor", "requester"]), plan=PLANS)
    def ask(self, way: str, plan: Plan | None) -> None:
        """Alice asks, and mostly bob agrees at once."""
        self.way = way
        self.desk.ask_for(submit=way)
        if plan is not None:
            self.agree(plan)

    @rule(uid=st.sampled_from(["bob", "carol"]), proof=OFTEN)
    def approve(self, uid: str, proof: bool) -> None:
        """Somebody approves, unless he has used his voice."""
        if not any(raw.creator == dn_of(uid) for raw in self.desk.directory.of("ipaTpiApproval")):
            self.desk.approve(uid, proof=proof)

    @rule(plan=st.builds(Plan, *CHOICES))
    def agree(self, plan: Plan) -> None:
        """Bob approves as it should be, and the certificate is asked for, and perhaps the power fails meanwhile."""
        self.approve("bob", proof=True)
        self.plan = plan
        if plan.crash:
            self.crash(plan.crash, consumes=self.way == "requester", after=True)
        elif self.way == "requester":
            self.enrol(max(plan.asks, 1), answered=plan.waits)
        else:
            self.look()

    @rule(name=st.sampled_from(VETOES))
    def veto(self, name: str) -> None:
        """Bob takes it back, carol denies, or alice cancels."""
        who = {"ipaTpiDenial": "dave", "ipaTpiWithdrawal": "bob", "ipaTpiCancellation": "alice"}[name]
        if not self.desk.directory.of(name):
            self.desk.say(who, name, self.desk.about())

    @rule(plan=st.builds(Plan, *CHOICES))
    def look_with(self, plan: Plan) -> None:
        """The executor looks, and the CA behaves in some way if it is asked."""
        self.plan = plan
        self.look()

    @rule()
    def look(self) -> None:
        """The executor looks."""
        try:
            self.desk.process()
        except CrashError:
            self.restart()
        except (UnavailableError, RefusedError):
            return
        finally:
            self.join()

    @rule(number=st.integers(1, 3), answered=OFTEN)
    def enrol(self, number: int, answered: bool) -> None:
        """Alice asks the CA herself, several times at once."""
        good = self.is_good()
        for _ in range(number):
            self.asking.append(self.pool.submit(self.consume, answered))
        before = self.yes
        self.join()
        if self.yes > before and (self.way == "executor" or not good):
            self.wrong.append("a yes for an enrolment that nobody agreed to")

    @rule(calls=st.integers(1, 40), consumes=st.booleans(), after=st.booleans())
    def crash(self, calls: int, consumes: bool, after: bool) -> None:
        """The power fails some calls from now."""
        number = len(self.desk.weather.calls) + calls
        self.desk.weather.crash_after, self.desk.weather.crash_before = (number, 0) if after else (0, number)
        if consumes:
            self.asking.append(self.pool.submit(self.consume, answered=True))
            self.join()
        else:
            self.look()
        self.desk.weather.calm()
        self.restart()

    @rule(
        port=st.sampled_from(sorted(set(DOWN) - {"systemd"})),
        call=st.sampled_from(
            ["directory.load", "journal.intend", "journal.submit", "audit.claim", "audit.consume"]
        ),
        consumes=st.booleans(),
    )
    def fail(self, port: str, call: str, consumes: bool) -> None:
        """Something does not answer any more from some call on; then it is back."""
        self.desk.weather.then[call] = lambda: self.desk.weather.fails.update({port + ".": DOWN[port]})
        if consumes:
            self.enrol(1, answered=True)
        else:
            self.look()
        self.desk.weather.calm()

    @rule(seconds=st.sampled_from([1, 1, 10, 100, 301]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.desk.clock.go(seconds)

    @rule()
    def restart(self) -> None:
        """The executor is started again."""
        self.join()
        self.desk.weather.crash_before = self.desk.weather.crash_after = 0
        self.desk.reboot()

    @rule()
    def prove(self) -> None:
        """Alice proves again."""
        tree = self.desk.directory._load(REQUEST_ID)
        assert tree is not None
        self.desk.prove("alice", "request", tree.request.digest)

    @invariant()
    def one_certificate(self) -> None:
        """One approval is good for one certificate."""
        assert self.yes <= 1
        assert self.wrong == []
        (outcome,) = self.desk.outcomes() or [""]
        if outcome in CERTAINLY_NONE:
            assert self.yes == 0, outcome
        if outcome == "executed":
            assert self.yes == 1

    # What the world does.

    def be_asked(self, _csr: str) -> None:
        """Be the CA: its validator asks, and it issues where that got a yes; or it gives up before."""
        self.asking += [self.pool.submit(self.consume, answered=True) for _ in range(self.plan.asks)]
        if not self.plan.waits:
            raise self.plan.hasty
        before = self.yes
        self.join()
        if self.yes == before:
            raise self.plan.hasty

    def consume(self, answered: bool) -> str:
        """Be the validator; what was answered was answered, even if the power fails right afterwards."""
        try:
            told = self.desk.begin()
        except CrashError:
            return "crash"
        except TpiError as error:
            return error.code
        self.yes += 1
        if isinstance(told, Reply):
            with suppress(CrashError):
                told.afterwards(was_sent=answered)
        return "ok"

    def join(self) -> None:
        """Wait until nobody asks any more."""
        while self.asking:
            self.asking.pop().result(20)

    def is_good(self) -> bool:
        """Tell whether two people agree just now, and in time."""
        directory, now = self.desk.directory, self.desk.clock()
        asked = directory._load(REQUEST_ID)
        assert asked is not None
        proven = {
            raw.creator
            for raw in directory.of("ipaTpiProof")
            if raw.attributes["ipatpipurpose"] == [b"approve"]
        }
        silenced = {raw.creator for raw in directory.of("ipaTpiWithdrawal")}
        approvals = [
            raw
            for raw in directory.of("ipaTpiApproval")
            if raw.creator in proven - silenced
            and raw.creator != ALICE.dn
            and (raw.created - asked.request.created).total_seconds() <= 300
            and (now - raw.created).total_seconds() <= 300
        ]
        return bool(approvals) and not any(
            directory.of(name) for name in ("ipaTpiDenial", "ipaTpiCancellation")
        )


TestEnrolmentMachine = EnrolmentMachine.TestCase
TestEnrolmentMachine.settings = settings(
    deadline=None, max_examples=40, stateful_step_count=10, suppress_health_check=list(HealthCheck)
)
