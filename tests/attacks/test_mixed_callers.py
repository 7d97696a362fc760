"""Many people at once: a ticket of one that serves for another would read and vote in that other's name."""

from __future__ import annotations

import threading

from front import CCACHES
from straight import subtree, user_dn
from world import CA, HOST, REALM, URL, World, eventually

from ipa_tpi.adapters.directory import normal_dn
from ipa_tpi.client import TpiClient, Wish

PEOPLE = ("bob", "carol", "erin", "grace")
THREADS_EACH = 2
ROUNDS = 200
WRITES_EVERY = 25


class Person(threading.Thread):
    """One person at work, who looks at each answer whether it is his own."""

    def __init__(self, client: TpiClient, name: str, own: str) -> None:
        super().__init__()
        self._client = client
        self.principal = f"{name}@{REALM}"
        self._own = own
        self.answers = 0
        self.made: list[str] = []
        self.wrong: list[object] = []

    def run(self) -> None:
        """Read, and now and then ask for something and take it back."""
        try:
            with self._client:
                for number in range(ROUNDS):
                    self._work(number)
                    self.answers += 1
        except Exception as error:  # noqa: BLE001 (told in the test's thread)
            self.wrong.append(error)

    def _work(self, number: int) -> None:
        if number % WRITES_EVERY == 0:
            self._write()
        elif number % 2:
            self._look(self._client.list(mine=True))
        else:
            self._look([self._client.show(self._own)])

    def _look(self, views: object) -> None:
        if not views or not all(view.mine and view.requester == self.principal for view in views):
            self.wrong.append(views)

    def _write(self) -> None:
        view = self._client.create(Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason=self.principal))
        self.made.append(view.id)
        self._look([view])
        self._look([self._client.cancel(view)])


def test_r_k01_each_answer_is_its_askers_own(world: World) -> None:
    """Lists, single requests, and what is written, whose writer the directory names."""
    own = {name: world.request(name, reason=name) for name in PEOPLE}
    clients = [
        (name, TpiClient(URL, CA, ccache=f"FILE:{world.ccache(name)}"))
        for name in PEOPLE
        for _ in range(THREADS_EACH)
    ]
    threads = [Person(client, name, own[name]) for name, client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [thread.wrong for thread in threads] == [[]] * len(threads)
    assert [thread.answers for thread in threads] == [ROUNDS] * len(threads)
    for thread in threads:
        writer = normal_dn(user_dn(thread.principal.partition("@")[0]))
        for request_id in thread.made:
            tree = subtree(world, request_id)
            assert {tree.request.creator, *(one.creator for one in tree.children if one.creator.startswith("uid="))} == {writer}  # fmt: skip
            assert tree.request.reason == thread.principal
    eventually(lambda: not list(CCACHES.iterdir()))
