"""Which units of systemd an operation ``systemd.unit.*`` may name (DESIGN section 1, the floor).

Rules:

1. A unit is named in full, with its suffix, and is a service, a socket, a timer or a path: whatever
   else systemd calls a unit (targets, mounts, slices, scopes) is more than one thing at once.
2. Units that have operations of their own, and those that two-person integrity itself stands on,
   are refused, whatever the floor says: the directory, the KDC, gssproxy, the message bus, polkit,
   our own units, and those that end or hold up the whole machine.  Reading their state is allowed.

A second name of a unit (an alias) does not come round this: systemd tells the true name, and the
adapter refuses one that is not the name asked for.
"""

import re
from typing import Final

from ipa_tpi.model import Refuse

_UNIT: Final = re.compile(
    r"[A-Za-z0-9:_.\\-]{1,200}(@[A-Za-z0-9:_.\\-]{1,200})?\.(service|socket|timer|path)"
)
_RESERVED: Final = re.compile(
    r"(dirsrv|dirsrv-snmp|krb5-kdc|krb5kdc|krb5-admin-server|kadmin|gssproxy|dbus|dbus-broker|dbus-daemon|polkit"
    r"|ipa-tpi|ipatpi|systemd-(poweroff|reboot|halt|kexec|suspend|hibernate|hybrid-sleep|suspend-then-hibernate"
    r"|soft-reboot|exit)|rescue|emergency)([@.-].*)?\.(service|socket|timer|path)"
)


def check_unit(unit: str, *, reading: bool) -> Refuse | None:
    """Tell whether an operation may name a unit.

    Args:
        unit: The name as given.
        reading: Its state is only read.

    Returns:
        None, or a refusal ``bad-parameters`` or ``unit-reserved``.
    """
    if _UNIT.fullmatch(unit) is None:
        return Refuse(
            "bad-parameters",
            f"{unit!a} is no full name of a service, socket, timer or path; give it as: unit=NAME.service",
        )
    if not reading and _RESERVED.fullmatch(unit.lower()) is not None:
        return Refuse(
            "unit-reserved",
            f"{unit} is never handled as a mere unit; where it has an operation of its own, use that "
            "(such as dirsrv.restart), see: ipa-tpi operations",
        )
    return None
