"""A walk leaves out what git leaves out."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import environment
from orchestrator.workspace import git
from orchestrator.workspace.files import walk

_TREE = ("a", "b.x", "c/a", "c/b.x", "c/d/a", "c/d/b.x", "d/c/b.x", "d/e.x", "f g/a", "x/x/x")
_LINES = st.one_of(
    st.sampled_from(["a", "!a", "[ab]", "\\!a", "*.x", "!*.x", "?.x", "x/x", "!", "/", "#a", "*", "!*/", "/*"]),
    st.sampled_from(["c/", "/c", "!/c/", "c/d", "!c/d", "c/*", "c/**/a", "!c/b.x", "d/**", "!d/**", "**/a", "**/d/"]),
    st.sampled_from(["", "f g/", "f g/a ", "a  "]),
)


async def _differences(files: Mapping[str, str]) -> tuple[set[str], set[str]]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        env = {"PATH": environment.read()["PATH"], "HOME": name, "GIT_CONFIG_NOSYSTEM": "1"}
        walked = set(walk(root))
        await anyio.run_process(["git", "init", "--quiet"], cwd=root, env=env)
        listed = await git.list_files(root, env)
    assert listed is not None
    return walked - set(listed.files), set(listed.files) - walked


@settings(deadline=None, max_examples=150)
@given(st.lists(_LINES, max_size=5), st.lists(_LINES, max_size=3))
def test_a_walk_leaves_out_what_git_leaves_out(top: list[str], below: list[str]) -> None:
    files = dict.fromkeys(_TREE, "") | {".gitignore": "\n".join(top), "c/.gitignore": "\n".join(below)}

    assert anyio.run(_differences, files) == (set(), set())


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (("*.x", "!c/b.x"), {"a", "c/a", "c/b.x", "c/d/a", "f g/a", "x/x/x"}),
        (("*", "!*/", "!*.x"), {"b.x", "c/b.x", "c/d/b.x", "d/c/b.x", "d/e.x"}),
        (("*.x", "!/c/"), {"a", "c/a", "c/d/a", "f g/a", "x/x/x"}),
        (("/c/*", "!/c/d"), {"a", "b.x", "c/d/a", "c/d/b.x", "d/c/b.x", "d/e.x", "f g/a", "x/x/x"}),
    ],
)
def test_the_last_pattern_that_means_a_path_decides(tmp_path: Path, lines: tuple[str, ...], kept: set[str]) -> None:
    for path in _TREE:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".gitignore").write_text("\n".join(lines))

    assert set(walk(tmp_path)) - {".gitignore"} == kept
