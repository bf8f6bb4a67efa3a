"""Where a document goes: what is no file is written into and stays what it is."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.report import place

Device = Callable[[str], Path]


def test_a_full_device_is_an_error_and_stays_a_device(device: Device, tmp_path: Path) -> None:
    full = device("full")

    with pytest.raises(UsageError, match="cannot be written: No space left on device") as caught:
        place.write(full, b"{}")

    assert "Make room" in caught.value.hint
    assert stat.S_ISCHR(full.lstat().st_mode)
    assert list(tmp_path.iterdir()) == [full]


def test_a_device_is_written_into(device: Device) -> None:
    null = device("null")

    place.write(null, b"{}")

    assert stat.S_ISCHR(null.lstat().st_mode)


def test_a_fifo_hands_the_document_to_its_reader(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    place.write(fifo, b"{}")

    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"{}"
    assert fifo.is_fifo()


def test_a_fifo_that_nobody_reads_is_an_error_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    with pytest.raises(UsageError, match="cannot be written: nothing reads it") as caught:
        place.write(fifo, b"{}")

    assert "Start what reads it" in caught.value.hint
    assert fifo.is_fifo()


@pytest.mark.parametrize("there", [False, True])
def test_a_symlink_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, *, there: bool) -> None:
    link, target = tmp_path / "link", tmp_path / "results/latest"
    target.parent.mkdir()
    link.symlink_to("results/latest")
    if there:
        target.write_bytes(b"old")
    before = target.stat().st_ino if there else None

    place.write(link, b"{}")

    assert link.is_symlink()
    assert target.read_bytes() == b"{}"
    assert target.stat().st_ino != before
    assert list(target.parent.iterdir()) == [target]


def test_a_symlink_to_a_device_writes_into_the_device(device: Device, tmp_path: Path) -> None:
    null, link = device("null"), tmp_path / "link"
    link.symlink_to(null)

    place.write(link, b"{}")

    assert link.is_symlink()
    assert stat.S_ISCHR(null.lstat().st_mode)


def test_a_symlink_to_itself_is_an_error(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)

    with pytest.raises(UsageError, match="symbolic links"):
        place.write(link, b"{}")

    assert link.is_symlink()


def test_our_own_output_gets_the_document_after_what_was_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    with log.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        stdout.write("printed\n")

        place.write(Path(f"/proc/self/fd/{stdout.fileno()}"), b"{}\n")

        stdout.write("after\n")
    assert log.read_text() == "printed\n{}\nafter\n"


def test_a_place_is_tried_before_and_nothing_is_left_or_changed_there(device: Device, tmp_path: Path) -> None:
    fifo, old, link = tmp_path / "fifo", tmp_path / "old", tmp_path / "link"
    os.mkfifo(fifo)
    old.write_bytes(b"old")
    link.symlink_to("new")
    places = (device("null"), fifo, old, link, tmp_path / "new")
    before = sorted(tmp_path.iterdir())

    for each in places:
        place.check(each)

    assert sorted(tmp_path.iterdir()) == before
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/x", "No such file or directory"),
        ("file/x", "Not a directory"),
        (".", "Is a directory"),
        ("link", "No such file or directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("none/x")

    with pytest.raises(UsageError, match=f"the result file cannot be written: {reason}") as caught:
        place.check(tmp_path / name)

    assert "--result-file" in caught.value.hint


def test_a_dash_is_no_file_as_for_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match="- is the name of no file") as caught:
        place.check(Path("-"))
    with pytest.raises(UsageError, match="--trace: - is the name of no file"):
        place.write(Path("-"), b"{}", said_by="--trace")

    assert "/dev/stdout" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
