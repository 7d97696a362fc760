"""A12, X11: an operation can demand a factor; in the box, with a KDC that says how somebody logged in.

The KDC sets FreeIPA's authentication indicators: `hardened` for a password by SPAKE, `pkinit` for a key (here on a
software token), `otp` for a one-time password.  Attack: whoever has come by a password, and nothing else, takes part.
"""

from __future__ import annotations

import pwd
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demands import WISH, demanded, fresh_ccache, refused, verified, weak_ccache, with_ticket
from factors import MODULE, PIN, Token, one_time_passwords
from terminal import Terminal
from world import Done, World

CLI = "/usr/bin/ipa-tpi"
CREATE = (CLI, "create", "dirsrv.restart", "instance=DS01", "-o", "name")
KLIST = "/usr/bin/klist"
MISSING = "proof-indicator-missing"


@pytest.fixture(autouse=True)
def _ended(world: World) -> Iterator[None]:
    """Leave no request of these people's open, and nobody with the ticket of another factor."""
    yield
    for person in ("alice", "bob"):
        world.tickets.discard(person)
        api = world.api(person)
        for view in api.list(mine=True):
            if view.state in {"awaiting-preview", "pending"}:
                api.cancel(view)


@pytest.fixture(scope="module")
def tokens(world: World) -> dict[str, Token]:
    return {person: Token.make(world, person) for person in ("alice", "bob")}


def advised(message: str) -> list[str]:
    """Give the words of the kinit that a message tells to run."""
    found = re.search(r"(kinit -[^(]+) \(", message)
    assert found, message
    return shlex.split(found[1])[1:]


def told(world: World, person: str, request_id: str) -> str:
    """Wait until a person's own approval is shown not to count for want of a factor; give what the person is told."""
    view: Any = world.wait_for(person, request_id, lambda now: now.approvals[0].code == MISSING)
    assert (view.state, view.approvals[0].counts) == ("pending", False)
    return str(view.approvals[0].message)


def at_a_terminal(person: str, question: str, answer: str, *command: str, **environment: str) -> str:
    """Run the command line at a terminal, answer kinit's question, and give what was on the screen."""
    with Terminal(person, command, **environment) as terminal:
        terminal.wait_for(question)
        terminal.type(f"{answer}\n")
        status = terminal.end()
        assert status == 0, terminal.screen
        assert answer not in terminal.screen
        return terminal.screen


# --- pkinit: a key on a token -------------------------------------------------


def test_r_a12_where_a_key_is_demanded_a_password_is_refused_and_the_token_is_heard(
    world: World, tokens: dict[str, Token]
) -> None:
    with demanded(world, ipaTpiAuthIndicator="pkinit"):
        before = world.starts()
        request_id = world.api("alice").create(WISH).id
        record = refused(world, request_id, "alice")
        assert (record["code"], record["purpose"]) == (MISSING, "request")
        view = world.wait_for("alice", request_id, lambda now: now.code == MISSING)
        assert view.state == "awaiting-preview"
        assert "lacks the factor pkinit" in view.message
        assert "the requester runs kinit -X X509_user_identity=" in view.message
        assert tokens["alice"].kinit(world).status == 0
        done = world.run("alice", [CLI, "prove", "--yes", request_id])
        assert done.status == 0, done
        world.wait_state(request_id, "pending")

        assert (
            world.cli("bob", "approve", "--yes", request_id).status == 0
        )  # it is written, and does not count
        assert refused(world, request_id, "bob")["code"] == MISSING
        message = told(world, "bob", request_id)
        assert "kinit -X" in " ".join(world.cli("bob", "show", request_id).out.split())
        assert world.starts() == before
        words = [word.replace("PKCS11:MODULE", f"PKCS11:{MODULE}:token=bob") for word in advised(message)]
        assert tokens["bob"].kinit(world, *words).status == 0
        done = world.run("bob", [CLI, "prove", "--yes", request_id])
        assert done.status == 0, done
        world.wait_state(request_id, "executed")
        assert len(world.starts()) == len(before) + 1


def test_r_a12_without_the_pin_the_token_gives_nothing(world: World, tokens: dict[str, Token]) -> None:
    Path(world.ccache("bob")).unlink()
    assert tokens["bob"].kinit(world, pin="0000").status != 0
    assert not Path(f"/tmp/krb5cc_{pwd.getpwnam('bob').pw_uid}").exists()
    assert tokens["bob"].kinit(world).status == 0


def test_r_a12_a_key_is_not_the_hardened_password_that_is_demanded(
    world: World, tokens: dict[str, Token]
) -> None:
    """One factor is not as good as another: the definition names those that are."""
    with demanded(world, ipaTpiAuthIndicator="hardened"):
        request_id = world.request("alice")
        verified(world, request_id, "alice")
        assert tokens["bob"].kinit(world).status == 0
        world.tickets.add("bob")
        bob = world.api("bob")
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == MISSING
        assert "kinit with SPAKE or FAST (hardened)" in told(world, "bob", request_id)


def test_r_a12_one_of_several_factors_is_enough(world: World, tokens: dict[str, Token]) -> None:
    """Alice with her password by SPAKE, bob with his key; nobody by encrypted timestamp."""
    root = world.root()
    with demanded(world, ipaTpiAuthIndicator="hardened"):
        root.modify_s(
            "cn=dirsrv.restart,cn=tpioperations,cn=tpi,dc=tpi,dc=test",
            [(0, "ipaTpiAuthIndicator", [b"pkinit"])],
        )
        request_id = world.request("alice")
        weak = with_ticket(world, "bob")
        weak = type(weak)(weak.url, "/etc/ipa/ca.crt", f"FILE:{weak_ccache(world, 'bob')}")
        weak.approve(weak.show(request_id))
        assert refused(world, request_id, "bob")["code"] == MISSING
        message = told(world, "bob", request_id)
        assert "lacks the factor hardened or pkinit" in message
        assert tokens["bob"].kinit(world).status == 0
        assert world.run("bob", [CLI, "prove", "--yes", request_id]).status == 0
        world.wait_state(request_id, "executed")


def test_r_x11_the_command_line_asks_for_the_pin_where_the_key_is_demanded_just_now(
    world: World, tokens: dict[str, Token]
) -> None:
    with demanded(world, ipaTpiFreshSeconds="30", ipaTpiAuthIndicator="pkinit"):
        for person in tokens:
            world.ccache(person)  # of this morning, by password: it does for the web service
        question = "alice                            PIN: "
        screen = at_a_terminal("alice", question, PIN, *CREATE, **tokens["alice"].configuration)
        assert "kinit asks for your factor (pkinit)" in screen
        request_id = screen.split()[-1]
        world.wait_state(request_id, "pending")
        # A fresh ticket by password is fresh, and lacks the factor all the same.
        bob = with_ticket(world, "bob", fresh_ccache(world, "bob"))
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == MISSING
        told(world, "bob", request_id)
        question = "bob                              PIN: "
        prove = (CLI, "prove", "--yes", request_id)
        at_a_terminal("bob", question, PIN, *prove, **tokens["bob"].configuration)
        world.wait_state(request_id, "executed")


# --- otp ----------------------------------------------------------------------


@pytest.fixture
def codes(world: World, tmp_path: Path) -> Iterator[dict[str, Callable[[], str]]]:
    for person in ("alice", "bob"):
        world.tickets.discard(person)
        world.ccache(person)  # by password, before the KDC asks for codes
    with one_time_passwords(tmp_path, "alice", "bob") as found:
        yield found


def armoured(world: World, person: str, code: str, armor: str) -> Done:
    """Log in with a one-time password, under the armour of a ticket that is there."""
    principal = world.people[person]["principal"]
    return world.run(person, ["/usr/bin/kinit", "-T", armor, principal], text=f"{code}\n")


def test_r_a12_where_a_one_time_password_is_demanded_a_password_is_refused(
    world: World, codes: dict[str, Callable[[], str]]
) -> None:
    with demanded(world, ipaTpiAuthIndicator="otp"):
        before = world.starts()
        assert armoured(world, "alice", codes["alice"](), world.ccache("alice")).status == 0
        request_id = world.request("alice")
        bob = world.api("bob")
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == MISSING
        message = told(world, "bob", request_id)
        assert "lacks the factor otp" in message
        assert world.starts() == before
        words = [word.replace("ARMOR", world.ccache("bob")) for word in advised(message)]
        code = codes["bob"]()
        done = world.run(
            "bob", ["/usr/bin/kinit", *words, world.people["bob"]["principal"]], text=f"{code}\n"
        )
        assert done.status == 0, done
        assert "OTP" in done.out
        assert world.run("bob", [CLI, "prove", "--yes", request_id]).status == 0
        world.wait_state(request_id, "executed")
        # What somebody looked at over his shoulder is of no use.
        assert armoured(world, "bob", code, world.ccache("bob")).status != 0


def test_r_x11_the_command_line_asks_for_the_one_time_password_just_now(
    world: World, codes: dict[str, Callable[[], str]]
) -> None:
    """Its kinit is armoured with the ticket of this morning: nobody has to know what armour is."""
    question = "Enter OTP Token Value: "
    with demanded(world, ipaTpiFreshSeconds="30", ipaTpiAuthIndicator="otp"):
        screen = at_a_terminal("alice", question, codes["alice"](), *CREATE)
        assert "kinit asks for your factor (otp)" in screen
        request_id = screen.split()[-1]
        world.wait_state(request_id, "pending")
        code = codes["bob"]()
        at_a_terminal("bob", question, code, CLI, "approve", "--yes", request_id)
        world.wait_state(request_id, "executed")
        assert world.audit(request_id, "proof-refused") == []
        with Terminal("bob", CREATE) as terminal:
            terminal.wait_for(question)
            terminal.type(f"{code}\n")
            assert terminal.end() == 1
        assert "kinit gave no ticket" in terminal.screen
    assert list(Path("/tmp").glob("ipa-tpi-*")) == []
