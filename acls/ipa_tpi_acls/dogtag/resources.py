"""What resources Dogtag itself knows, from its ``acl.properties``, compared with the declaration (D07)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ipa_tpi.errors import ConfigError
from ipa_tpi_acls.dogtag.declaration import Grant

_LINE = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*[=:]\s*([A-Za-z0-9_.-]+)\s*,\s*([A-Za-z0-9_.-]+)\s*")

Resources = Mapping[str, tuple[str, str]]


def read_properties(path: Path) -> Resources:
    """Read which resource and right each REST call asks for.

    Args:
        path: A subsystem's ``acl.properties``, such as /usr/share/pki/ca/conf/acl.properties.

    Returns:
        By the call's key: resource and right.

    Raises:
        ConfigError: It cannot be read, or holds a line that is not understood.  Nothing is guessed: a call that
            has no line is open to everybody in Dogtag.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give --acl-properties") from error
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        parts = _LINE.fullmatch(line)
        if parts is None or parts[1] in found:
            raise ConfigError(
                f"{path}, line {number}, is not understood: {line.strip()!a}; this Dogtag is not known, report it"
            )
        found[parts[1]] = (parts[2], parts[3])
    return found


def compare(grants: Iterable[Grant], resources: Resources) -> Iterator[str]:
    """Find what the declaration forgets, and what it says of calls that are not there or are others.

    Args:
        grants: The declaration.
        resources: What Dogtag knows.

    Yields:
        A sentence for each difference.
    """
    declared: dict[str, tuple[str, str]] = {}
    for grant in grants:
        for call in grant.calls:
            if call in declared:
                yield f"the declaration names {call} twice"
            declared[call] = (grant.resource, grant.right)
    for call in sorted(declared.keys() | resources.keys()):
        if call not in declared:
            yield f"Dogtag knows the call {call} ({','.join(resources[call])}), which the declaration does not name"
        elif call not in resources:
            yield f"the declaration names the call {call}, which this Dogtag does not know"
        elif declared[call] != resources[call]:
            yield f"the call {call} asks for {','.join(resources[call])}, not for {','.join(declared[call])}"
