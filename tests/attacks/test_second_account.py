"""One person with two accounts asks with the one and approves with the other: two names, one will.

The directory compares names only, so it takes the approval; the web service and the executor know the
person behind both (employeeNumber), and do not count it.
"""

from __future__ import annotations

import pytest
from straight import approve, receipt, refused_by_web, runs_for, settle
from world import World


@pytest.mark.parametrize(("requester", "approver"), [("erin", "erin-admin"), ("erin-admin", "erin")])
def test_two_accounts_of_one_person_are_one_person(world: World, requester: str, approver: str) -> None:
    request_id = world.request(requester)
    api = world.api(approver)
    with refused_by_web("same-person"):
        api.approve(api.show(request_id))
    # Past the web service: the directory takes it, the proof is right, and it does not count.
    assert receipt(world, request_id, approve(world, approver, request_id)) == "verified"
    settle(world, request_id, requester)
    (voice,) = api.show(request_id).approvals
    assert (voice.code, voice.counts) == ("same-person", False)
    runs_for(world, request_id)


def test_the_second_account_has_no_veto_either(world: World) -> None:
    """Nor may it deny, which would let a requester look like two people."""
    request_id = world.request("erin")
    api = world.api("erin-admin")
    with refused_by_web("same-person"):
        api.deny(api.show(request_id))
