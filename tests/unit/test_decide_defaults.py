"""What a value of the decision core is where nothing is said: proofs are demanded, nothing counts, nobody is known."""

from dataclasses import MISSING, fields
from typing import Any

import pytest

from ipa_tpi.decide.approval import Case, Standing, Terms, Voice
from ipa_tpi.decide.authorization import Authorization, Facts, Memory, Setting
from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.decide.proof import Demands
from ipa_tpi.decide.quorum import Demand

NOBODY: frozenset[str] = frozenset()
DEFAULTS: tuple[tuple[type, dict[str, Any]], ...] = (
    (Voice, {"forged": False, "identity": None, "groups": NOBODY}),
    (Terms, {"proof": True, "groups": NOBODY, "stages": (), "indicators": NOBODY}),
    (
        Case,
        {
            "voices": {},
            "verified": NOBODY,
            "refused_proofs": {},
            "unticketed": False,
            "blocked": None,
            "first_seen": {},
            "own_nonce": "",
            "preview_digest": None,
        },
    ),
    (
        Standing,
        {
            "code": "",
            "message": "",
            "counted": (),
            "approval_digest": b"",
            "complete": False,
            "why": {},
            "preview": None,
        },
    ),
    (
        Memory,
        {
            "first_seen": {},
            "identities": {},
            "seen": NOBODY,
            "fingerprints": {},
            "written": NOBODY,
            "verified": NOBODY,
            "preview_digest": None,
            "own_nonce": "",
        },
    ),
    (Setting, {"groups": {}}),
    (Facts, {"groups": {}}),
    (Authorization, {"standing": None}),
    (RawEntry, {"conflict": False}),
    (Demands, {"indicators": NOBODY, "fresh_seconds": 0, "skew_seconds": 0}),
    (Demand, {"groups": NOBODY, "stages": ()}),
)


@pytest.mark.parametrize(("kind", "expected"), DEFAULTS)
def test_what_is_not_said(kind: Any, expected: dict[str, Any]) -> None:
    found = {
        one.name: one.default if one.default is not MISSING else one.default_factory()
        for one in fields(kind)
        if one.default is not MISSING or one.default_factory is not MISSING
    }
    assert found == expected
