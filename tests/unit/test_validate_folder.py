"""Which files are run as validation programs: what only one owner can change, and the very file that was checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ipa_tpi.validate.folder import Folders, UnsafeProgramError, open_program


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for folder in (tmp_path, tmp_path / "usr", tmp_path / "usr" / "own", tmp_path / "usr" / "other"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    program = tmp_path / "usr" / "own" / "probe"
    program.write_text("good")
    program.chmod(0o755)
    return Folders(f"{tmp_path}/usr/own", f"{tmp_path}/usr/other", os.getuid(), str(tmp_path))


def read(folders: Folders, name: str = "probe") -> str:
    descriptor = open_program(folders, name)
    try:
        return os.read(descriptor, 100).decode()
    finally:
        os.close(descriptor)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def refused(folders: Folders, name: str = "probe") -> str:
    before = open_files()
    with pytest.raises(UnsafeProgramError) as caught:
        open_program(folders, name)
    assert open_files() == before  # nothing stays open
    return str(caught.value)


def test_a_program_is_opened(folders: Folders) -> None:
    assert read(folders) == "good"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
@pytest.mark.parametrize("where", ["", "usr", "usr/own", "usr/own/probe"])
def test_r_e19_what_others_can_write_is_not_run(folders: Folders, where: str, mode: int) -> None:
    path = Path(folders.top) / where
    path.chmod(mode)
    assert str(path).rstrip("/") in refused(folders)
    path.chmod(0o755)
    assert read(folders) == "good"


def test_r_e19_what_belongs_to_another_is_not_run(folders: Folders) -> None:
    stranger = Folders(folders.own, folders.other, os.getuid() + 1, folders.top)
    assert "can be changed by others" in refused(stranger)
    if (
        os.getuid() == 0
    ):  # only root gives files away; the tests of the box show the same for the installed service
        os.chown(f"{folders.own}/probe", 1, 1)
        assert "probe can be changed by others" in refused(folders)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o644, "cannot be executed by everybody"),
        (0o744, "cannot be executed by everybody"),
        (0o4755, "set-uid or set-gid"),
        (0o2755, "set-uid or set-gid"),
    ],
)
def test_a_mode_that_is_not_that_of_a_program(folders: Folders, mode: int, said: str) -> None:
    Path(folders.own, "probe").chmod(mode)
    assert said in refused(folders)


def _link(path: Path) -> None:
    path.symlink_to("probe")


def _link_out(path: Path) -> None:
    path.symlink_to("/bin/sh")


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o755)


def _folder(path: Path) -> None:
    path.mkdir(mode=0o755)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_link, "no link is followed"),
        (_link_out, "no link is followed"),
        (_pipe, "no regular file"),
        (_folder, "no regular file"),
        (lambda _path: None, "there is no"),
    ],
)
def test_what_is_no_file(folders: Folders, make: Callable[[Path], None], said: str) -> None:
    make(Path(folders.own, "other"))
    assert said in refused(folders, "other")


def test_a_folder_that_is_a_link_is_not_followed(folders: Folders) -> None:
    real = Path(folders.own)
    real.rename(real.with_name("elsewhere"))
    real.symlink_to("elsewhere")
    assert "no link is followed" in refused(folders)


def test_a_name_in_both_folders_is_run_from_neither(folders: Folders) -> None:
    Path(folders.other, "probe").symlink_to("nowhere")
    assert "remove one of the two" in refused(folders)
    swapped = Folders(folders.other, folders.own, folders.owner, folders.top)
    assert "remove one of the two" in refused(swapped)


def test_what_takes_the_name_later_is_not_what_was_opened(folders: Folders) -> None:
    path = Path(folders.own, "probe")
    descriptor = open_program(folders, "probe")
    path.rename(path.with_name("before"))
    path.write_text("evil")
    assert os.read(descriptor, 100) == b"good"
    os.close(descriptor)
