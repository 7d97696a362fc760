"""Replacing a file: whole or not at all, as it was in owner, mode and labels, through no link."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from ipa_tpi.errors import ConfigError, RefusedError, UnavailableError
from ipa_tpi_upgrade import files

OLD, NEW = b"old\n", b"new\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "sssd.conf"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def replace(path: Path, data: bytes = NEW) -> None:
    files.replace(path, data, expected=files.Snapshot(OLD).digest, keep_backup=True)


def test_mode_and_extended_attributes_pass_to_the_new_file_and_the_backup(target: Path) -> None:
    try:
        os.setxattr(target, "user.tpi", b"label")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip("this file system knows no extended attributes of users")
    replace(target)
    backup = files.backup_path(target, files.Snapshot(OLD).digest)
    assert (target.read_bytes(), backup.read_bytes()) == (NEW, OLD)
    for path in (target, backup):
        assert path.stat().st_mode & 0o7777 == 0o640
        assert os.getxattr(path, "user.tpi") == b"label"
    assert sorted(target.parent.iterdir()) == [target, backup]
    assert backup.name.startswith("sssd.conf.before-ipa-tpi-")


def test_the_owner_passes_too(target: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(target, 1234, 2345)
    target.chmod(0o660)
    replace(target)
    for path in target.parent.iterdir():
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o660)


@pytest.mark.parametrize(
    "call", ["write", "fchown", "fchmod", "listxattr", "fsync", "replace", "open", "fstat", "pread"]
)
@pytest.mark.parametrize("after", range(4))
def test_each_call_that_fails_leaves_the_file_whole(
    call: str, after: int, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-D15: old or new, never half; and the next try succeeds."""
    real, count = getattr(os, call), iter(range(100))

    def failing(*arguments: object, **named: object) -> object:
        if next(count) == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with suppress(UnavailableError):  # nothing else may cross
            replace(target)
    assert target.read_bytes() in {OLD, NEW}
    assert not target.with_name(".sssd.conf.ipa-tpi-new").exists()
    if target.read_bytes() == OLD:
        replace(target)
    assert target.read_bytes() == NEW
    assert files.backup_path(target, files.Snapshot(OLD).digest).read_bytes() == OLD


def test_what_a_killed_try_left_behind_is_no_trouble(target: Path) -> None:
    target.with_name(".sssd.conf.ipa-tpi-new").write_bytes(b"half")
    replace(target)
    assert target.read_bytes() == NEW
    assert len(list(target.parent.iterdir())) == 2


def test_a_link_planted_at_the_temporary_name_is_not_followed(target: Path, tmp_path: Path) -> None:
    other = tmp_path / "shadow"
    other.write_bytes(b"secret")
    target.with_name(".sssd.conf.ipa-tpi-new").symlink_to(other)
    replace(target)
    assert other.read_bytes() == b"secret"
    assert not target.is_symlink()


def test_a_backup_that_is_another_stops_it(target: Path) -> None:
    files.backup_path(target, files.Snapshot(OLD).digest).write_bytes(b"something else")
    with pytest.raises(RefusedError, match="not the copy that its name says"):
        replace(target)
    assert target.read_bytes() == OLD


def test_a_link_at_the_backups_name_stops_it(target: Path, tmp_path: Path) -> None:
    files.backup_path(target, files.Snapshot(OLD).digest).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="symbolic link"):
        replace(target)
    assert target.read_bytes() == OLD


def test_another_content_than_expected_is_kept(target: Path) -> None:
    target.write_bytes(b"third\n")
    with pytest.raises(RefusedError, match="changed since this was planned") as caught:
        replace(target)
    assert caught.value.code == "precondition-changed"
    assert target.read_bytes() == b"third\n"
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_file_of_one_name_is_refused(target: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    os.link(target, tmp_path / "second")
    for name, said in (
        ("link", "symbolic link"),
        ("folder", "no regular file"),
        ("fifo", "no regular file"),
        ("second", "2 names"),
    ):
        with pytest.raises(ConfigError, match=said):
            files.read(tmp_path / name)
    with pytest.raises(UnavailableError, match="cannot be read"):
        files.read(tmp_path / "none")
    with pytest.raises(UnavailableError, match="cannot be opened"):
        files.read(tmp_path / "none" / "none")


def test_a_file_that_grows_while_it_is_read_is_left_alone(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pread", lambda *_: OLD + b"more")
    with pytest.raises(UnavailableError, match="was being written"):
        files.read(target)


def test_a_file_of_no_such_size_is_refused(target: Path) -> None:
    os.truncate(target, files.SIZE_LIMIT_BYTES + 1)
    with pytest.raises(ConfigError, match="which no such file has"):
        files.read(target)
