"""The first path, whole: two people restart a directory server."""

from world import UNIT, World


def test_r_k06_two_people_restart_a_directory_server(world: World) -> None:
    before = world.invocation()
    request_id = world.request("alice", reason="conformance")
    world.approve("bob", request_id)
    view = world.wait_state(request_id, "executed")
    assert world.invocation() != before
    assert world.show(UNIT, "ActiveState") == "active"
    assert view.result.outcome == "executed"
