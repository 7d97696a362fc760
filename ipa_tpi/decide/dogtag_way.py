"""By which way a call to Dogtag goes: as the RA agent, or as the person with his own ticket (D12, D13).

Rules:

1. The server has the subsystem that is called, and the path is a plain one; else nothing is called.
2. Whatever Dogtag gives its own users only goes as the RA agent, at every level: the keys of a KRA and
   requests for them, and the agent's pages of a CA, such as the one that writes a revocation list.
3. Below domain level 2 everything goes as the RA agent: some server does not know people yet.
4. From level 2 on everything else goes as the person.  A server that does not know that level cannot
   be in such a domain; it is not called.

The level and what a server knows are facts of the directory.  Nothing in a call itself, no query and no
option, changes its way.

The executor does not ask here.  It acts as the requester at every level, by its own location, and holds
no agent's key: it could not do otherwise (K01).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ipa_tpi.model import Refuse

PERSONS_FROM_LEVEL: Final = 2
_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_LEVEL: Final = re.compile(rb"0|[1-9][0-9]{0,2}")
_OWN_USERS_ONLY: Final = {
    "ca": re.compile(r"/agent/.*"),
    "kra": re.compile(r"/(rest|v1|v2)/agent/(keys|keyrequests)(/.*)?|/agent/.*"),
}


class Way(StrEnum):
    """As whom a call goes."""

    RA_AGENT = "ra-agent"
    PROXY_TICKET = "proxy-ticket"


@dataclass(frozen=True, slots=True)
class DogtagServer:
    """A server that could be called.

    Attributes:
        host: Its name.
        highest_level: The highest domain level that it knows, ipaMaxDomainLevel below cn=masters.
        subsystems: Which of ca and kra it runs.
    """

    host: str
    highest_level: int
    subsystems: frozenset[str]


def domain_level(values: Sequence[bytes]) -> int | Refuse:
    """Read ipaDomainLevel of cn=Domain Level,cn=ipa,cn=etc,SUFFIX, or ipaMaxDomainLevel of a server.

    Args:
        values: The attribute's values, as far as the reader may see them.  None is no level: who may not
            read it would else take every domain for an old one, and go as the agent.

    Returns:
        The level, or a refusal ``config``.
    """
    if len(values) != 1 or _LEVEL.fullmatch(values[0]) is None:
        return Refuse(
            "config",
            "the domain level cannot be read as one number; see: ipa domainlevel-get, and who may read it",
        )
    return int(values[0])


def dogtag_way(level: int, server: DogtagServer, subsystem: str, path: str) -> Way | Refuse:
    """Decide as whom a call goes.

    Args:
        level: The domain's.
        server: Which server is called.
        subsystem: ca or kra.
        path: Below the subsystem, such as ``/rest/certs/0x1``, without a query.

    Returns:
        The way, or a refusal ``server-unfit`` or ``bad-parameters``.
    """
    own_users_only = _OWN_USERS_ONLY.get(subsystem)
    if own_users_only is None or subsystem not in server.subsystems:
        return Refuse(
            "server-unfit", f"{server.host} runs no {subsystem!a} of Dogtag's; see: ipa server-role-find"
        )
    if _PATH.fullmatch(path) is None:
        return Refuse(
            "bad-parameters", f"{path!a} is no plain path of Dogtag's; leave out dots, signs and queries"
        )
    if own_users_only.fullmatch(path) is not None:  # R-D13
        return Way.RA_AGENT
    if level < PERSONS_FROM_LEVEL:  # R-D12
        return Way.RA_AGENT
    if server.highest_level < PERSONS_FROM_LEVEL:
        return Refuse(
            "server-unfit",
            f"the domain is at level {level}, and {server.host} knows {server.highest_level} at most; upgrade it",
        )
    return Way.PROXY_TICKET
