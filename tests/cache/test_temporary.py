"""What killed processes leave beside what they wrote: gone with the next sweep, and nothing else is."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator import atomic, owner, temporary
from orchestrator.report import place

_DAY = 24 * 3600


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def _killed(path: Path, what: str) -> None:
    """Let another process begin something there, and die of SIGKILL."""
    program = f"""
import os, signal, sys
from pathlib import Path
from orchestrator import temporary
grown = temporary.beside(Path(sys.argv[1]))
{what}
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = await anyio.run_process([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -9, ended.stderr.decode()


async def test_files_and_directories_of_the_killed_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    await _killed(tmp_path / "result", "os.close(temporary.create(grown))")
    await _killed(tmp_path / "tree", "(grown / 'deep').mkdir(parents=True); (grown / 'deep/file').touch()")
    killed = _names(tmp_path)
    mine = temporary.beside(tmp_path / "result")
    os.close(temporary.create(mine))
    # However old: a living process says of itself that it lives.
    os.utime(mine, (1, 1))

    temporary.sweep(tmp_path)

    assert len(killed) == 2
    assert _names(tmp_path) == {mine.name}


@pytest.mark.parametrize(("age", "stays"), [(_DAY // 2, True), (2 * _DAY, False)])
def test_of_processes_elsewhere_only_time_tells(tmp_path: Path, age: int, stays: bool) -> None:  # noqa: FBT001 -- a table's
    elsewhere = tmp_path / f".fleetpacks-{'f' * 12}-1-1-{'0' * 16}"
    elsewhere.touch()
    now = elsewhere.stat().st_mtime
    os.utime(elsewhere, (now - age, now - age))

    temporary.sweep(tmp_path)

    assert elsewhere.exists() is stays


@pytest.mark.parametrize(
    "name", [".fleetpacks-", ".fleetpacks-notes", ".result.x", "fleetpacks-{dead}", ".fleetpacks-{dead}.txt"]
)
def test_what_only_looks_alike_stays(tmp_path: Path, name: str) -> None:
    home, _, _ = owner.name().partition("-")
    path = tmp_path / name.format(dead=f"{home}-1-1-{'0' * 16}")
    path.touch()
    os.utime(path, (1, 1))

    temporary.sweep(tmp_path)

    assert path.exists()


def test_a_link_that_is_called_so_is_not_followed(tmp_path: Path) -> None:
    home, _, _ = owner.name().partition("-")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    link = tmp_path / f".fleetpacks-{home}-1-1-{'0' * 16}"
    link.symlink_to("kept")

    temporary.sweep(tmp_path)

    assert not link.is_symlink()
    assert (tmp_path / "kept/file").exists()


def test_a_directory_that_is_not_there_holds_nothing_to_sweep(tmp_path: Path) -> None:
    temporary.sweep(tmp_path / "nowhere")

    assert list(tmp_path.iterdir()) == []


def test_without_proc_nobody_is_known_to_be_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owner, "_PROC", tmp_path)

    name = owner.name()

    assert owner.is_name(name)
    assert (owner.is_here(name), owner.is_gone(name)) == (False, False)


def test_a_process_that_proc_does_not_show_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(_pid: int) -> None:
        return None

    name = owner.name()
    monkeypatch.setattr(owner, "_began", hidden)

    gone = owner.is_gone(name)

    assert not gone


async def test_the_next_result_takes_the_place_of_one_that_was_never_finished(tmp_path: Path) -> None:
    await _killed(tmp_path / "result.json", "os.close(temporary.create(grown))")

    place.write(tmp_path / "result.json", b"{}")
    atomic.write(tmp_path / "kept", b"x")

    assert _names(tmp_path) == {"result.json", "kept"}
