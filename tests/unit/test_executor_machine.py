"""A machine that interleaves people, crashes, outages, clocks and restored backups (K13, K15, X12).

After every step: a request was run at most once; and it was run only while an approval by another
person lay there, in the windows, with that person's own proof, and without any veto that lay there.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from decide_builders import ALICE, BOB, CAROL, REQUEST_ID, dn_of
from executor_fakes import DOWN, Box, CrashError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.errors import RefusedError, UnavailableError
from ipa_tpi.model import Account

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
VOTERS = st.sampled_from(["bob", "carol"])
ANYBODY = st.sampled_from(["alice", "bob", "carol"])
OFTEN = st.sampled_from([True, True, True, False])
VETOES = ("ipaTpiDenial", "ipaTpiWithdrawal", "ipaTpiCancellation")


class ExecutorMachine(RuleBasedStateMachine):
    """One host, one request, and whatever can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir=MEMORY)
        self.box = Box(Path(self.folder))
        self.box.weather.then.clear()
        self.backups: list[Any] = []
        self.proven: set[tuple[str, str, bytes]] = set()
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.box.systemd.acts = Watched(self)

    def teardown(self) -> None:
        """Let everything end: without trouble, and long after every window, nothing is left open."""
        try:
            self.box.weather.calm()
            self.box.clock.go(1000)
            self.look()
            self.look()
            there = REQUEST_ID in self.box.directory.requests
            claim = self.box.claims.claim(REQUEST_ID)
            if there and not self.wrong:
                assert claim is not None
                assert claim.state == "ended"
                assert claim.published
        finally:
            self.box.close()
            shutil.rmtree(self.folder)

    @initialize(previewed=OFTEN)
    def ask(self, previewed: bool) -> None:
        """Alice asks."""
        asked = self.box.ask(proof=False)
        self.backups.append(self.box.directory.snapshot())
        self.prove_now("alice", "request", asked.digest)
        if previewed:
            self.look()

    @rule(uid=ANYBODY, proof=OFTEN)
    def approve(self, uid: str, proof: bool) -> None:
        """Somebody approves, unless his voice is used."""
        if not self.voiced(uid):
            self.box.approve(uid, proof=False)
            self.backups.append(self.box.directory.snapshot())
            if proof:
                self.prove_now(uid, "approve", self.box.about())

    @rule(uid=VOTERS, crash=st.integers(0, 50))
    def agree(self, uid: str, crash: int) -> None:
        """Somebody approves as it should be, and the executor looks, and perhaps the power fails meanwhile."""
        self.approve(uid, proof=True)
        if crash:
            self.crash(crash, after=True)
        else:
            self.look()

    @rule()
    def look_again(self) -> None:
        """The executor looks: it does so more often than anything else happens."""
        self.look()

    @rule(uid=ANYBODY)
    def prove(self, uid: str) -> None:
        """Somebody makes a proof for an approval, be there one or not."""
        self.prove_now(uid, "approve", self.box.about())

    @rule(uid=ANYBODY, thief=VOTERS)
    def steal(self, uid: str, thief: str) -> None:
        """Somebody puts another's token there in his own name."""
        self.box.prove(thief, "approve", self.box.about(), token=f"{uid}@TPI.TEST|stolen")
        if uid == thief:
            self.proven.add((dn_of(uid), "approve", self.box.about()))

    @rule(name=st.sampled_from(VETOES), uid=VOTERS)
    def veto(self, name: str, uid: str) -> None:
        """Somebody denies or takes his approval back, or alice cancels."""
        if name != "ipaTpiDenial" or not self.voiced(uid):
            self.box.say("alice" if name == "ipaTpiCancellation" else uid, name, self.box.about())

    @rule(seconds=st.sampled_from([1, 1, 10, 100, 301]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.box.clock.go(seconds)

    @rule()
    def look(self) -> None:
        """The executor looks."""
        try:
            self.box.process()
            self.seen |= {raw.dn for name in VETOES for raw in self.box.directory.of(name)}
        except CrashError:
            self.box.reboot()
            self.box.weather.crash_before = self.box.weather.crash_after = 0
        except (UnavailableError, RefusedError):
            return

    @rule(calls=st.integers(1, 60), after=st.booleans())
    def crash(self, calls: int, after: bool) -> None:
        """The power fails some calls from now."""
        number = len(self.box.weather.calls) + calls
        self.box.weather.crash_after, self.box.weather.crash_before = (number, 0) if after else (0, number)
        self.look()
        self.box.weather.calm()

    @rule(
        port=st.sampled_from(sorted(DOWN)),
        calls=st.sampled_from(["directory.load", "journal.intend", "journal.take"]),
    )
    def fail(self, port: str, calls: str) -> None:
        """Something outside does not answer any more, from some call on; then it is back."""
        self.box.weather.then[calls] = lambda: self.box.weather.fails.update({port + ".": DOWN[port]})
        self.look()
        self.box.weather.calm()

    @rule()
    def reboot(self) -> None:
        """The executor is started again."""
        self.box.reboot()

    @rule()
    def backup(self) -> None:
        """A backup of the directory is taken."""
        self.backups.append(self.box.directory.snapshot())

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """A backup is put back."""
        self.box.directory.restore(data.draw(st.sampled_from(self.backups[-4:])))

    @rule(account=st.sampled_from([ALICE, BOB, CAROL]), disabled=st.booleans())
    def change(self, account: Account, disabled: bool) -> None:
        """An account is disabled, or enabled again."""
        self.box.directory.people[account.dn] = replace(account, disabled=disabled)

    @invariant()
    def at_most_once(self) -> None:
        """A request runs once, whatever happens."""
        assert len(self.box.systemd.acts) <= 1

    @invariant()
    def only_with_two(self) -> None:
        """And only on the word of two."""
        assert self.wrong == []

    @invariant()
    def one_end(self) -> None:
        """There is never more than one result."""
        assert len(self.box.outcomes()) <= 1

    # What the invariants ask.

    def voiced(self, uid: str) -> bool:
        """Did he use his voice?  The directory's uniqueness plugin refuses a second one."""
        names = ("ipaTpiApproval", "ipaTpiDenial")
        return uid == "alice" or any(
            raw.creator == dn_of(uid) for name in names for raw in self.box.directory.of(name)
        )

    def prove_now(self, uid: str, purpose: str, digest: bytes) -> None:
        """Make a proof, and remember it."""
        self.box.prove(uid, purpose, digest)
        self.proven.add((dn_of(uid), purpose, digest))

    def judge_act(self) -> None:
        """Say what was wrong with running the request right now."""
        directory, now = self.box.directory, self.box.clock()
        tree = directory._load(REQUEST_ID)
        assert tree is not None
        asked, about = tree.request, self.box.about()
        silenced = {raw.creator for raw in directory.of("ipaTpiWithdrawal")}
        good = [
            raw
            for raw in directory.of("ipaTpiApproval")
            if raw.creator != asked.creator
            and raw.creator not in silenced
            and raw.attributes["ipatpidigest"] == [about.hex().encode()]
            and (raw.creator, "approve", about) in self.proven
            and not directory.people[raw.creator].disabled
            and (raw.created - asked.created).total_seconds() <= 300
            and (now - raw.created).total_seconds() <= 300
        ]
        if not good:
            self.wrong.append("run without an approval that counts")
        if directory.people[asked.creator].disabled:
            self.wrong.append("run for a disabled requester")
        if (asked.creator, "request", asked.digest) not in self.proven:
            self.wrong.append("run without the requester's proof")
        present = {raw.dn for raw in directory.children[REQUEST_ID].values()}
        if self.seen - present:
            self.wrong.append("run although a veto that was seen is gone")
        if directory.of("ipaTpiDenial") or directory.of("ipaTpiCancellation"):
            self.wrong.append("run although it was denied or cancelled")
        if len(_unfinished(directory.of("ipaTpiExecution"))) != 1:
            self.wrong.append("run without its one execution entry")


class Watched(list[str]):
    """The acts of systemd; each is judged when it happens."""

    def __init__(self, machine: ExecutorMachine) -> None:
        super().__init__()
        self._machine = machine

    def append(self, unit: str) -> None:
        """An act happens."""
        super().append(unit)
        self._machine.judge_act()


def _unfinished(executions: list[RawEntry]) -> set[bytes]:
    return {raw.attributes["ipatpinonce"][0] for raw in executions}


TestExecutorMachine = ExecutorMachine.TestCase
TestExecutorMachine.settings = settings(
    deadline=None, max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
