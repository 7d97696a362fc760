"""Before, after, again, back: every step on files as several versions of the products write them.

`after-NAME` is what NAME has to become, byte by byte. Files named `odd-…` hold what the formats allow and nobody
writes. `python tests/unit/test_upgrade_tables.py` writes the after-files anew; look at the difference then.
"""

import stat
import sys
import tempfile
from pathlib import Path

import pytest

if __name__ == "__main__":  # the paths that tests/conftest.py sets
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "upgrade")]

from upgrade_scene import FILES, copied, read_by_sssd

NAMES = [f"{path.parent.name}/{path.name}" for path in FILES]


@pytest.mark.parametrize("source", FILES, ids=NAMES)
def test_before_after_again_and_back(source: Path, tmp_path: Path) -> None:
    """R-D03 R-D05 R-D06 R-D15: one change, idempotent, and back to the byte."""
    step = copied(source, tmp_path)
    step.path.chmod(0o640)
    assert step.applies()
    assert step.verify() != ()

    plan = step.plan()
    step.apply(plan)
    after = step.path.read_bytes()
    assert after == source.with_name(f"after-{source.name}").read_bytes()
    assert step.verify() == ()
    assert stat.S_IMODE(step.path.stat().st_mode) == 0o640

    again = step.plan()
    assert again.is_empty
    assert again.diff == ""
    step.apply(again)
    step.apply(plan)  # a kill after the rename, and the plan again
    assert step.path.read_bytes() == after

    step.rollback(plan)
    assert step.path.read_bytes() == source.read_bytes()
    step.rollback(plan)
    assert step.path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("source", FILES, ids=NAMES)
def test_back_by_settings_without_the_backup(source: Path, tmp_path: Path) -> None:
    """R-D15: the backup is a help; without it the same comes back, but for a blank where an empty value was."""
    step = copied(source, tmp_path)
    plan = step.plan()
    step.apply(plan)
    next(tmp_path.glob("*.before-ipa-tpi-*")).unlink()
    step.rollback(plan)
    assert step.path.read_bytes().replace(b"= \r\n", b"=\r\n") == source.read_bytes()


@pytest.mark.parametrize("source", FILES, ids=NAMES)
def test_no_secret_is_shown(source: Path, tmp_path: Path) -> None:
    plan = copied(source, tmp_path).plan()
    shown = plan.diff + repr(plan)
    assert [word for word in ("Secret-", "Secret.", "&amp; 1", "& 1") if word in shown] == []


@pytest.mark.parametrize(
    "source", [path for path in FILES if path.parent.name == "sssd"], ids=lambda path: path.name
)
def test_sssd_itself_reads_what_was_meant(source: Path) -> None:
    """R-D03: by SSSD's own library, nothing else is changed."""
    before = read_by_sssd(source.read_bytes())
    after = read_by_sssd(source.with_name(f"after-{source.name}").read_bytes())
    assert before is not None
    assert after is not None
    ours = {"services", "allowed_uids", "user_attributes", "ldap_user_extra_attrs"}
    for section, settings in after.items():
        for key, value in settings.items():
            if key not in ours:
                assert before[section][key] == value
    domain = after["domain/tpi.test"]
    assert "roles:memberOf" in domain["ldap_user_extra_attrs"].split(", ")
    assert "+roles" in after["ifp"]["user_attributes"].split(", ")
    if "services" in before["sssd"]:
        assert "ifp" in [item.strip() for item in after["sssd"]["services"].split(",")]


def write_anew() -> None:
    """Write every after-file as the steps make it now."""
    for source in FILES:
        with tempfile.TemporaryDirectory() as folder:
            step = copied(source, Path(folder))
            step.apply(step.plan())
            source.with_name(f"after-{source.name}").write_bytes(step.path.read_bytes())


if __name__ == "__main__":
    write_anew()
