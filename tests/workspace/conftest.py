"""A little tree of files, and a real git repository around it when that is asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment, load

Plant = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    return root


@pytest.fixture
def plant(root: Path) -> Plant:
    """Write files below the root: path -> text."""

    def write(files: Mapping[str, str]) -> Path:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return write


@pytest.fixture
def git_environment(root: Path) -> Mapping[str, str]:
    """What our own git processes get; no configuration of the machine."""
    return {**load(root, environment.read()).environment.for_git(), "HOME": str(root.parent)}


@pytest.fixture
def git(root: Path, git_environment: Mapping[str, str]) -> Callable[..., "object"]:
    """Run git in the root, as the repository's owner does."""

    async def run(*words: str, cwd: Path | None = None) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example", "-c", "protocol.file.allow=always")
        await anyio.run_process(
            ["git", *identity, *words], cwd=cwd or root, env={**git_environment, "GIT_ALLOW_PROTOCOL": "file"}
        )

    return run
