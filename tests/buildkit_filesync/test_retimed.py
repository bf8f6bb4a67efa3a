"""A directory that is announced with other times: which entries get one, and what the clock hears."""

import os
import socket
from pathlib import Path

import pytest

from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.retimed import RetimedTree
from orchestrator.buildkit.session.tree import Entry


class Counting:
    """Tells another time whenever it is asked."""

    def __init__(self) -> None:
        self.told: dict[str, int] = {}
        self.heard: list[tuple[str, int]] = []

    def time(self, path: str, entry: Entry) -> int:
        assert entry.name == Path(path).name
        return self.told.setdefault(path, len(self.told))

    def read(self, path: str, status: os.stat_result) -> None:
        self.heard.append((path, status.st_size))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.py").write_text("print(1)")
    (tmp_path / "run.sh").write_text("true")
    (tmp_path / "current").symlink_to("src")
    return tmp_path


def test_files_get_the_clocks_times_and_nothing_else_does(app: Path) -> None:
    clock = Counting()
    tree, plain = RetimedTree(DirectoryTree(app), clock), DirectoryTree(app)

    top, below = tree.children(""), tree.children("src")

    assert clock.told == {"run.sh": 0, "src/main.py": 1}
    assert {entry.name: entry.mtime for entry in (*top, *below) if entry.name.endswith(("sh", "py"))} == {
        "run.sh": 0,
        "main.py": 1,
    }
    assert [entry for entry in top if entry.name != "run.sh"] == [
        entry for entry in plain.children("") if entry.name != "run.sh"
    ]
    tree.close()
    plain.close()


def test_all_names_of_one_file_have_one_time(app: Path) -> None:
    (app / "src/again.sh").hardlink_to(app / "run.sh")
    tree = RetimedTree(DirectoryTree(app), Counting())

    times = {entry.name: entry.mtime for path in ("", "src") for entry in tree.children(path)}

    assert times["again.sh"] == times["run.sh"] != times["main.py"]
    tree.close()


def test_the_clock_hears_of_a_file_when_it_was_read_and_of_no_socket(app: Path) -> None:
    clock = Counting()
    tree = RetimedTree(DirectoryTree(app), clock)

    file = tree.open("run.sh", 4)
    content, heard = file.read(99), list(clock.heard)
    file.close()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(app / "socket"))
        tree.open("socket", 0).close()

    assert (content, heard, clock.heard) == (b"true", [], [("run.sh", 4)])
    tree.close()
