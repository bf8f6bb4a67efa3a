"""The program in this process, with its own environment, and as a process of its own."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.cli import program
from orchestrator.config import environment


class Ran(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]
Start = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command line in this process, in an empty environment."""

    def call(*words: str | Path, variables: Mapping[str, str] | None = None) -> Ran:
        clean = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home"), **(variables or {})}
        monkeypatch.setattr(environment, "read", lambda: clean)
        code = program.run([str(word) for word in words])
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run a command line as a process of its own."""

    async def call(*words: str, code: str = "from orchestrator.cli import main; main()") -> Ran:
        variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
        checkout = Path(__file__).parents[2]
        done = await anyio.run_process([sys.executable, "-c", code, *words], check=False, env=variables, cwd=checkout)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def monorepo() -> Path:
    """The example."""
    return Path(__file__).parents[2] / "examples/monorepo"
