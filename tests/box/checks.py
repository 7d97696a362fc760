"""What several tests of the box ask for: a clear refusal, and a service that works again."""

from __future__ import annotations

import subprocess

from world import EXECUTOR, UNIT, Done, World

EXECUTOR_PROGRAM = "/usr/libexec/ipa-tpi/ipa-tpi-executor"


def assert_error(done: Done, *words: str) -> None:
    """The command line says what happened and what to do, in one line, and ends with status 1."""
    assert done.status == 1, done
    assert done.out == ""
    assert done.err.startswith("ipa-tpi: ERROR: ")
    assert "Traceback" not in done.err
    for word in words:
        assert word.lower() in done.err.lower()


def assert_no_start(world: World, *words: str) -> None:
    """The program ends at once and says why."""
    world.halt()
    done: Done = world.run("ipatpi-exec", ["/usr/bin/timeout", "10", EXECUTOR_PROGRAM])
    assert done.status == 1, done
    assert done.err.startswith("ipa-tpi-executor: ERROR: "), done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done


def assert_it_works(world: World) -> None:
    """Two people can restart DS01."""
    request_id = world.request("carol", reason="works again")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    assert world.show(UNIT, "ActiveState") == "active"


def log_since_start(world: World) -> str:
    """Give what the executor has logged since its start."""
    command = ["/usr/bin/journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={world.invocation(EXECUTOR)}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
