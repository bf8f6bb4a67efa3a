"""Directories are resolved as the system resolves them."""

import os
import sys
from pathlib import Path

import pytest

from langs.real import Real
from langs.stamps import Stamp
from tests.langs.conftest import Write

WAYS = (
    "",
    "a",
    "a/b",
    "a/b/c.py",
    "a/none",
    "a/none/below",
    "a/b/c.py/below",
    "link",
    "link/c.py",
    "link/up/b",
    "out",
    "out/app/a",
    "broken",
    "around",
    "around/x",
    "file",
    "a/./b",
    "a//b",
    "a/../a/b",
    "link/..",
    "a/b/",
    "a\0b",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_directory_has_the_path_that_the_system_gives_it(write: Write, way: str) -> None:
    root = write({"a/b/c.py": ""})
    for name, target in {"link": "a/b", "a/b/up": "..", "out": "..", "broken": "x", "around": "around"}.items():
        (root / name).symlink_to(target)
    (root / "file").symlink_to("a/b/c.py")
    path = f"{root}/{way}" if way else str(root)
    real = os.path.realpath(path) if "\0" not in path else ""

    found = Real().directory(path)

    assert found == (real if os.path.isdir(real) else None)  # noqa: PTH112 -- where it may not look, it is none


def test_what_lies_deeper_than_the_stack_is_resolved(write: Write) -> None:
    root = write({"d/" * 400 + "a.py": ""})
    deepest = f"{root}{'/d' * 400}"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)

    try:
        found = Real().directory(deepest)
    finally:
        sys.setrecursionlimit(limit)

    assert found == deepest


def test_the_top_of_everything_is_itself() -> None:
    assert Real().directory("/") == "/"


def test_each_directory_is_looked_at_once(write: Write) -> None:
    root = write({f"a/{name}/x.py": "" for name in "bcd"})
    looked_at: list[str] = []

    def look(path: str) -> Stamp:
        looked_at.append(path)
        return (0, 0, Path(path).lstat().st_mode, 0, 0, 0)

    real = Real(look)

    for name in "bcdb":
        assert real.directory(f"{root}/a/{name}") == f"{root}/a/{name}"

    assert len(looked_at) == len(set(looked_at))
    assert {f"{root}/a", f"{root}/a/b", f"{root}/a/c", f"{root}/a/d"} <= set(looked_at)
