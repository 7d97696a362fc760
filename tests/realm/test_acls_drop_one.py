"""Each ACI, each part of one and each setting is needed: without it a named attack succeeds (acls_drop_one.py)."""

from collections.abc import Iterator

import pytest
from acls_drop_one import DOCUMENT, faults, outcomes, scene
from acls_lines import LINES, LOST
from acls_parts import parts
from acls_report import document
from acls_settings import NO_PROTECTION, SETTING_LINES, SETTINGS
from acls_world import World, new_world

from ipa_tpi_acls import memberof
from ipa_tpi_acls.containers import plugin_entry
from ipa_tpi_acls.request_acis import VOICE
from ipa_tpi_acls.schema import CLASSES

pytestmark = pytest.mark.realm


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


def test_no_line_is_forgotten() -> None:
    known = set(parts("dc=tpi,dc=test")) | set(SETTINGS)
    shown = {part for line in (*LINES, *SETTING_LINES, *LOST) for part in line.parts}
    assert known == shown


def test_no_setting_is_forgotten() -> None:
    settings = {f"one voice: {name}" for name in plugin_entry().attributes}
    settings |= {f"memberOf: kept out of cn={name}" for name in memberof.CONTAINERS}
    settings |= {f"schema: {one.name} SUP {VOICE}" for one in CLASSES if one.superior == VOICE}
    assert settings <= set(SETTINGS) | set(NO_PROTECTION)


def test_without_each_line_and_setting_an_attack_succeeds(world: World) -> None:
    with scene(world) as made:
        found = outcomes(made)
    assert faults(found) == []
    refusals = {line: outcome.refused for line, outcome in found.items()}
    assert DOCUMENT.read_text(encoding="utf-8") == document(refusals, world.layout.suffix), (
        "docs/access-drop-one.md is not true any more; run: PYTHONPATH=.:acls python tests/realm/acls_drop_one.py"
    )
