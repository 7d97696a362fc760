"""What a large policy costs: 10 000 rules and 1 000 operations in the directory, beside the few that ship (K03)."""

import time
import uuid
from typing import Any, Final

from world import SUFFIX, World

from bench.scene import OPERATION
from bench.table import Row, timing
from ipa_tpi.adapters.directory import LdapDirectory

RULES: Final = 10_000
OPERATIONS: Final = 1_000
_READS: Final = 40
_TOP: Final = f"cn=tpi,{SUFFIX}"
_NAMESPACE: Final = uuid.UUID("4f0a3a52-6e1f-4d43-9d8e-0a5e8a5d7b10")


def make_large(world: World) -> None:
    """Add rules and operations for things that nobody asks for; they go with the box.

    Args:
        world: The box.
    """
    root = world.root()
    base = f"cn=tpioperations,{_TOP}"
    for number in range(OPERATIONS):
        _add(
            root,
            f"cn=bench.op{number},{base}",
            objectClass=("top", "ipaTpiOperation"),
            cn=f"bench.op{number}",
            ipaEnabledFlag="TRUE",
            ipaTpiParameterSchema="{}",
            ipaTpiRequiredApprovals="1",
        )
    for number in range(RULES):
        rule = str(uuid.uuid5(_NAMESPACE, str(number)))
        _add(
            root,
            f"ipaUniqueID={rule},cn=tpirules,{_TOP}",
            objectClass=("top", "ipaAssociation", "ipaTpiRule"),
            ipaUniqueID=rule,
            cn=f"bench {number}",
            ipaEnabledFlag="TRUE",
            ipaTpiRight="request",
            ipaTpiMemberOperation=f"cn=bench.op{number % OPERATIONS},{base}",
        )


def read_rows(world: World, what: str) -> list[Row]:
    """Time one reading of what the decision about one operation takes, as a person.

    Args:
        world: The box.
        what: How large the policy is.
    """
    directory = LdapDirectory(world.ldap("alice"), SUFFIX)
    times = []
    for _ in range(_READS):
        begun = time.perf_counter()
        policy = directory.policy(frozenset({OPERATION}))
        times.append(time.perf_counter() - begun)
        if OPERATION not in policy.operations:
            raise RuntimeError(f"{OPERATION} was not read")
    return [timing(f"policy about one operation, {what}", times)]


def _add(root: Any, dn: str, **values: str | tuple[str, ...]) -> None:  # noqa: ANN401 (python-ldap has no types)
    given = {name: (value,) if isinstance(value, str) else value for name, value in values.items()}
    root.add_s(dn, [(name, [one.encode() for one in several]) for name, several in given.items()])
