"""Addresses in a request: each belongs to a name in it, both ways, by the domain's own DNS (facts B.1, 13).

Rules, over records of zones of ours only:

1. Each address is an A or AAAA record of a full name in the request, or of that name's CNAME; no chains.
2. Each address has a PTR record.
3. What its PTR records name are only names by which it was reached.
"""

from collections.abc import Iterable, Mapping

from ipa_tpi_validator.refusal import Refusal, invalid
from ipa_tpi_validator.snapshot import Address, Records


def check_addresses(
    wanted: Iterable[Address], names: Iterable[str], records: Mapping[str, Records]
) -> Refusal | None:
    """Check the addresses of a request.

    Args:
        wanted: Its addresses.
        names: Its full names of hosts, checked before.
        records: As in `snapshot.Snapshot`.

    Returns:
        None, or a refusal.
    """
    asked = sorted(set(wanted), key=lambda one: (one.version, int(one)))
    reached: dict[Address, set[str]] = {}
    for name in names:
        _reach(reached, name.lower(), records, hops=1)
    lost = [str(one) for one in asked if one not in reached]
    if lost:
        return invalid(
            f"IP address in subjectAltName ({', '.join(lost)}) unreachable from DNS names", "ip-unreachable"
        )
    pointers = {one: records.get(reverse_name(one), Records()).pointers for one in asked}
    lost = [str(one) for one in asked if not pointers[one]]
    if lost:
        return invalid(
            f"IP address in subjectAltName ({', '.join(lost)}) does not have PTR record", "ip-no-ptr"
        )
    for one in asked:
        if {name.lower() for name in pointers[one]} - reached[one]:
            return invalid(f"PTR record for SAN IP ({one}) does not match A/AAAA records", "ip-other-ptr")
    return None


def reverse_name(address: Address) -> str:
    """Give the name under which an address has its PTR records.

    Args:
        address: The address.
    """
    return address.reverse_pointer


def _reach(reached: dict[Address, set[str]], name: str, records: Mapping[str, Records], hops: int) -> None:
    found = records.get(name)
    if found is None:
        return
    for address in found.addresses:
        reached.setdefault(address, set()).add(name)
    if hops:
        for alias in found.aliases:
            _reach(reached, alias.lower(), records, hops - 1)
