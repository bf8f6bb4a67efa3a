"""Following symlinks to include patterns, on real directories."""

from collections.abc import Generator
from pathlib import Path

import pytest

from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.followpaths import follow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory beside which lies what must never be looked at."""
    (tmp_path / "outside").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def tree(root: Path) -> Generator[DirectoryTree]:
    tree = DirectoryTree(root)
    yield tree
    tree.close()


LINKS = {
    "link": "dir/file",
    "absolute": "/dir/file",
    "out": "../../outside",
    "chain": "link",
    "self": "self",
    "ping": "pong",
    "pong": "ping/x",
    "dirlink": "dir",
    "dir/up": "../other",
    "nothing": "missing",
    "here": ".",
}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["dir/file"], ("dir/file",)),
        (["missing/x"], ("missing/x",)),
        (["link"], ("dir/file", "link")),
        (["absolute"], ("absolute", "dir/file")),
        (["out"], ("out", "outside")),
        (["../outside"], ("../outside",)),
        (["chain"], ("chain", "dir/file", "link")),
        (["self"], ("self",)),
        (["ping"], ("ping", "pong")),
        (["dirlink/file"], ("dir/file", "dirlink")),
        (["dirlink/up"], ("dir/up", "dirlink", "other")),
        (["dir/file/below"], ("dir/file/below",)),
        (["nothing"], ("missing", "nothing")),
        (["l*"], ("dir/file", "l*")),
        (["d*/file"], ("d*", "dir/file")),
        (["dir/u*"], ("dir/u*", "other")),
        (["dir/f*"], ("dir/f*",)),
        (["\\link"], ("\\link",)),
        (["dir", "dir/file"], ("dir",)),
        (["."], None),
        (["here/dir"], ("dir", "here")),
        (["here"], None),
        ([".dockerignore"], (".dockerignore",)),
    ],
)
def test_paths_become_the_patterns_that_include_them(
    root: Path, tree: DirectoryTree, paths: list[str], expected: tuple[str, ...] | None
) -> None:
    (root / "dir").mkdir()
    (root / "dir/file").write_text("x")
    for name, target in LINKS.items():
        (root / name).symlink_to(target)

    patterns = follow(tree, paths)

    assert patterns == expected


def test_a_directory_behind_a_symlink_is_not_listed(root: Path, tree: DirectoryTree) -> None:
    (root / "out").symlink_to("..")

    names = tree.names("out")

    assert names == ()
