"""How a new certificate authority may be called (D16).

Rules:

1. Its DN is one or more parts ``TYPE=value``, of types that Dogtag and FreeIPA both know, at least a CN or an O among
   them.  A value holds nothing that one of the two would have to escape, so that there is one way to read it.
2. Two DNs are the same if they differ in letter case and blanks alone.
"""

import re
from typing import Final

from ipa_tpi.decide.intake import check_text
from ipa_tpi.model import Refuse

_MOST_CHARACTERS: Final = 256
_PART: Final = re.compile(r"(CN|O|OU|C|L|ST|DC)=([^,+=<>#;\"\\ ][^,+=<>#;\"\\]*)", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_label(name: str) -> Refuse | None:
    """Refuse what is no name of a sub-CA.

    Args:
        name: As given.

    Returns:
        None, or a refusal ``bad-parameters``.
    """
    if _NAME.fullmatch(name) is None:
        return Refuse(
            "bad-parameters",
            f"{name!a} is no name of a sub-CA; give letters, digits, _, . and -, at most 64, without blanks",
        )
    return None


def check_subject(subject: str) -> Refuse | None:
    """Refuse a DN that a sub-CA may not have.

    Args:
        subject: As given.

    Returns:
        None, or a refusal ``bad-parameters``.
    """
    strange = check_text(subject, "subject")
    if strange is not None:
        return Refuse("bad-parameters", strange.message)
    parts = [_PART.fullmatch(part.strip(" ")) for part in subject.split(",")]
    kinds = {part[1].upper() for part in parts if part is not None}
    if len(subject) > _MOST_CHARACTERS or None in parts or not kinds & {"CN", "O"}:
        return Refuse(
            "bad-parameters",
            f"{subject[:_MOST_CHARACTERS]!a} is no DN of a sub-CA; give parts CN, O, OU, C, L, ST or DC without "
            "special characters, such as: CN=Sub CA,O=EXAMPLE.TEST",
        )
    return None


def comparable(subject: str) -> str:
    """Give a DN in a form in which equal ones are equal.

    Args:
        subject: As anybody spells it.

    Returns:
        It, without regard to letter case and blanks.
    """
    parts = (part.partition("=") for part in subject.split(","))
    return ",".join(f"{kind.strip()}={' '.join(value.split())}" for kind, _, value in parts).casefold()
