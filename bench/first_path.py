"""The first path, measured: requests, approvals, and the restart that they lead to, beside their peers.

Runs as root inside a box (`lab/bench.sh`) and prints one table.  Words choose parts: reads, many, requests,
approvals, memory, restarts.
"""

import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from world import CA, HOST, REALM, SUFFIX, URL

from bench import access_log, restarts
from bench.clients import BenchError, Clients, Shot, Timed, Volley
from bench.machine import machine, memory_rows
from bench.policy_size import OPERATIONS, RULES, make_large, read_rows
from bench.scene import DELEGATED, LIST, STATIC, Scene
from bench.table import Row, counted, median, render, timing
from ipa_tpi.adapters.directory import executor_dn, normal_dn

_CLIENTS: Final = (1, 2, 4)
_ASKING: Final = ("alice", "bob", "carol", "grace")
_APPROVING: Final = ("alice", "bob", "carol", "erin")
_REQUESTER: Final = "grace"
_LISTED: Final = 10
_READS: Final = {1: 100, 2: 60, 4: 40}  # by each client
_ROUNDS: Final = {1: 12, 2: 7, 4: 5}
_AT_ONCE: Final = 3  # the limit that ships: so many of one's own wait at most
_EARLIER: Final = (50, 500)
_MANY: Final = 300
_MANY_READS: Final = 8
_AT_ONCE_MADE: Final = 60
_NO_LIMITS: Final = (10_000, 10_000)
_COLD_RUNS: Final = 20
_RESTARTS: Final = 12
_ANSWER: Final = "25, 1 client"

METHOD = f"""\
One box, everything in it on this machine: clients, Apache, web service, directory, KDC, executor. A time is that of
one request and its answer in the client that ships: Negotiate token made for it, connection open, answer checked.
request, approve: rounds of {_AT_ONCE} a client, back to back, while the executor verifies and previews what came before;
bodies and proofs are made before, and everything is removed between two rounds. approve: a first of two.
peer: the same client, the same number at a time: a static file of 2 kB behind Negotiate in the same Apache (static).
"static + proxy ticket" is that file behind the S4U2Proxy directives of our location (a ccache for each request);
the ticket for the directory itself is got by the application. Bare restarts are interleaved with ours.
earlier requests of the same person have ended (the executor refused them); the limits are those that ship.
round trips to the directory: counted in its access log for one answer, the service's own connection only."""


class Run:
    """One run.

    Args:
        scene: The box.
        clients: Client processes.
    """

    def __init__(self, scene: Scene, clients: Clients) -> None:
        self._scene = scene
        self._clients = clients

    def reads(self) -> list[Row]:
        """Time listing, showing and their peers, with ten requests there."""
        self._scene.set_floor(2, _NO_LIMITS)
        made = self._scene.make(_REQUESTER, _LISTED)
        show = Shot("GET", f"/tpi/v1/requests/{made[0].id}")
        rows = []
        for count in _CLIENTS:
            static = self._read(count, STATIC)
            peer = median("static", static)
            rows += [
                timing(_named("static", count), static),
                timing(_named("static + proxy ticket", count), self._read(count, DELEGATED), peer),
                timing(_named("show", count), self._read(count, show), peer),
                timing(_named(f"list ({_LISTED} requests)", count), self._read(count, LIST), peer),
            ]
        rows.append(self._cold_list())
        rows += [
            self._counted("show", "alice", show),
            self._counted(f"list ({_LISTED} requests)", "alice", LIST),
        ]
        self._scene.sweep()
        return rows

    def many(self) -> list[Row]:
        """Time lists where many requests lie, each pending with its preview."""
        for _ in range(_MANY // _AT_ONCE_MADE):
            share = _AT_ONCE_MADE // len(_ASKING)
            shots = {
                person: tuple(self._scene.request_shot(person) for _ in range(share)) for person in _ASKING
            }
            self._clients.fire([self._volley(person, some) for person, some in shots.items()])
            self._scene.settle(patience_seconds=120)
        rows = []
        for query, what in (
            ("", "a page of 100"),
            (f"?limit={_MANY}", f"all {_MANY}"),
            ("?mine=true", "one's own"),
        ):
            shot = Shot("GET", LIST.path + query)
            times = _seconds(self._clients.fire([self._volley("alice", (shot,) * _MANY_READS)]))
            rows += [
                timing(f"list, {_MANY} requests: {what}", times),
                self._counted(f"list, {what}", "alice", shot),
            ]
        self._scene.sweep()
        return rows

    def requests(self) -> list[Row]:
        """Time requests, by people who have none, and by one who has made many lately that have ended."""
        self._scene.set_floor(2)
        peer = median("static", self._read(1, STATIC))
        rows = []
        for count in _CLIENTS:
            times = self._rounds(count, _ASKING, self._scene.request_shot)
            rows.append(timing(_named("request", count), times, peer, target=_ANSWER if count == 1 else ""))
        rows.append(self._counted("request", "alice", self._scene.request_shot("alice")))
        self._scene.sweep()
        there: frozenset[str] = frozenset()
        for earlier in _EARLIER:
            there = self._scene.history(_REQUESTER, earlier - len(there))
            times = self._rounds(1, (_REQUESTER,), self._scene.request_shot, keep=there)
            what = f"request, {earlier} earlier of the same person"
            rows.append(timing(what, times, target="25"))
            rows.append(self._counted(what, _REQUESTER, self._scene.request_shot(_REQUESTER)))
            self._scene.sweep(keep=there)
        self._scene.sweep()
        return rows

    def approvals(self) -> list[Row]:
        """Time approvals, each of a request of its own."""
        self._scene.set_floor(2, _NO_LIMITS)
        peer = median("static", self._read(1, STATIC))
        rows = []
        for count in _CLIENTS:
            times = self._rounds(count, _APPROVING, self._approve_shot)
            rows.append(timing(_named("approve", count), times, peer, target=_ANSWER if count == 1 else ""))
        rows.append(self._counted("approve", "bob", self._approve_shot("bob")))
        self._scene.sweep()
        return rows

    def policy(self) -> list[Row]:
        """Time a decision's reading, and a whole request, with few rules and with many; they stay, so this comes last."""
        self._scene.set_floor(2)
        world, few, many = self._scene.world, "as it ships", f"{RULES} rules, {OPERATIONS} operations"
        rows = []
        for what in (few, many):
            if what == many:
                make_large(world)
            rows += read_rows(world, what)
            times = self._rounds(1, _ASKING, self._scene.request_shot)
            rows.append(timing(f"request, {what}", times, target=_ANSWER))
        return rows

    def memory(self) -> list[Row]:
        """Measure the memory of everything that took part, after the load."""
        return memory_rows()

    def restarts(self) -> list[Row]:
        """Time the way from the completing approval to the restarted unit, beside a bare restart."""
        self._scene.set_floor(1)
        began: list[Timed] = []
        bare: list[restarts.Bare] = []
        sudo: list[restarts.Bare] = []
        events = []
        has_sudo = restarts.install_sudo()
        with restarts.BusWatch() as bus:
            for _ in range(_RESTARTS):
                request = self._scene.make(_REQUESTER)[0]
                shot = self._scene.approve_shot("bob", request.id)
                answer = self._clients.fire([self._volley("bob", (shot,))])[0]
                events.append(restarts.audited(request.id, answer.began))
                began.append(answer)
                bare.append(restarts.bare_restart())
                if has_sudo:
                    sudo.append(restarts.bare_restart(sudo=True))
            calls = bus.calls()
        executor = executor_dn(HOST, REALM, SUFFIX)
        kinds = access_log.count(executor, began[-1].began, calls[-1].called, standing=True)
        if len(calls) != _RESTARTS:
            raise BenchError(f"{_RESTARTS} approvals led to {len(calls)} restarts")
        stopping = [restarts.next_stopping(answer.began) for answer in began]
        direct = "systemctl restart"
        since = [answer.began for answer in began]
        rows = [timing("completing approval: its own answer", _seconds(began))]
        rows += [
            timing(f"  POST sent to audit record {name}", _gaps(since, [event[name] for event in events]))
            for name in ("proof-verified", "intent", "claim")
        ]
        called = [call.called for call in calls]
        answered = [answer.began + answer.seconds for answer in began]
        rows += [
            timing("  POST sent to RestartUnit", _gaps(since, called), target="50"),
            timing("  POST answered to RestartUnit", _gaps(answered, called)),
            timing(
                "  POST sent to 'Stopping'",
                _gaps(since, stopping),
                median(direct, [one.to_stopping for one in bare]),
            ),
            timing("  RestartUnit to end of its job", [call.ended - call.called for call in calls]),
            timing(
                "whole restart: POST sent to outcome",
                _gaps(since, [event["outcome"] for event in events]),
                median(direct, [one.whole for one in bare]),
            ),
        ]
        if sudo:
            rows.append(timing("  'Stopping' by sudo systemctl restart", [one.to_stopping for one in sudo]))
            rows.append(timing("whole restart: sudo systemctl restart", [one.whole for one in sudo]))
        else:
            rows.append(Row("whole restart: sudo systemctl restart", "0", "no sudo here"))
        rows.append(counted("executor, from an approval to RestartUnit", kinds))
        return rows

    def _approve_shot(self, person: str) -> Shot:
        return self._scene.approve_shot(person, self._scene.make(_REQUESTER)[0].id)

    def _read(self, count: int, shot: Shot) -> list[float]:
        volleys = [self._volley(person, (shot,) * _READS[count]) for person in _ASKING[:count]]
        return _seconds(self._clients.fire(volleys))

    def _rounds(
        self,
        count: int,
        people: Sequence[str],
        shot: Callable[[str], Shot],
        keep: frozenset[str] = frozenset(),
    ) -> list[float]:
        times: list[float] = []
        for _ in range(_ROUNDS[count]):
            volleys = [
                self._volley(person, tuple(shot(person) for _ in range(_AT_ONCE)))
                for person in people[:count]
            ]
            times += _seconds(self._clients.fire(volleys))
            self._scene.sweep(keep)
        return times

    def _counted(self, what: str, person: str, shot: Shot) -> Row:
        answer = self._clients.fire([self._volley(person, (shot,))])[0]
        kinds = access_log.count(person_dn(person), answer.began, time.time(), standing=False)
        return counted(what, kinds)

    def _volley(self, person: str, shots: tuple[Shot, ...]) -> Volley:
        return Volley(self._scene.ccache(person), STATIC, shots)

    def _cold_list(self) -> Row:
        ours = ["ipa-tpi", "list"]
        curl = [*("curl", "-sSf", "--negotiate", "-u", ":"), *("--cacert", CA, "-o", "/dev/null")]
        peer = self._cold([*curl, URL + LIST.path])
        return timing(
            "cold process ipa-tpi list", self._cold(ours), median("curl --negotiate", peer), target="200"
        )

    def _cold(self, command: Sequence[str]) -> list[float]:
        person = pwd.getpwnam("alice")
        environment = {
            "HOME": person.pw_dir,
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "KRB5CCNAME": self._scene.ccache("alice"),
        }
        times = []
        for _ in range(_COLD_RUNS):
            tick = time.perf_counter()
            subprocess.run(
                command,
                check=True,
                env=environment,
                user=person.pw_uid,
                group=person.pw_gid,
                cwd="/",
                stdout=subprocess.DEVNULL,
            )
            times.append(time.perf_counter() - tick)
        return times


def person_dn(person: str) -> str:
    """Give the normal DN of a person."""
    return normal_dn(f"uid={person},cn=users,cn=accounts,{SUFFIX}")


def _named(what: str, count: int) -> str:
    return f"{what}, {count} client{'s' * (count > 1)}"


def _seconds(answers: Sequence[Timed]) -> list[float]:
    return [answer.seconds for answer in answers]


def _gaps(since: Sequence[float], until: Sequence[float]) -> list[float]:
    return [end - begin for begin, end in zip(since, until, strict=True)]


def main(words: Sequence[str]) -> int:
    """Run all of it, or the parts that are named, and print the table."""
    started = time.monotonic()
    print(machine())
    print(METHOD + "\n", flush=True)
    # The processes are forked before this one opens anything.
    with Clients(max(_CLIENTS), URL, CA) as clients:
        scene = Scene()
        scene.install_peer()
        run = Run(scene, clients)
        rows = []
        for part in (run.reads, run.many, run.requests, run.approvals, run.memory, run.restarts, run.policy):
            if not words or part.__name__ in words:
                rows += part()
                print(f"{part.__name__}: done after {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(render(rows))
    print(f"the run took {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
