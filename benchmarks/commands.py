"""The two sides of a comparison as commands, and what their progress says of steps."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from orchestrator.bench.result import Steps
from orchestrator.config import environment as variables
from orchestrator.engine.progress import is_step
from orchestrator.events import AppCompleted, Event, StepCompleted

_ROOT = Path(__file__).parents[1]
_SLOWING = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})


class _Vertex(msgspec.Struct, frozen=True):
    digest: str
    name: str = ""
    completed: str | None = None
    cached: bool = False


class _Raw(msgspec.Struct, frozen=True):
    vertexes: tuple[_Vertex, ...] | None = None


async def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Run a command to its end.

    Returns:
        What it wrote to standard output and to standard error.

    Raises:
        SystemExit: it failed; a benchmark of failures is none.
    """
    done = await anyio.run_process(command, cwd=cwd, env=env, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr.decode(errors="replace")[-4000:])
        raise SystemExit(f"{' '.join(command)[:200]}: exit code {done.returncode}")
    return done.stdout, done.stderr


async def seconds(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> float:
    """How long a command takes, from before its process starts until after it has ended."""
    began = time.perf_counter()
    await run(command, cwd=cwd, env=env)
    return time.perf_counter() - began


def our_steps(output: bytes) -> tuple[Steps, dict[str, str]]:
    """Steps and digests by app out of `fleetpacks build --progress json`; a step that apps share counts once."""
    events = [msgspec.json.decode(line, type=Event) for line in output.splitlines()]
    steps = {event.step: event.cached for event in events if isinstance(event, StepCompleted) and is_step(event.name)}
    cached = sum(steps.values())
    digests = {event.app: event.digest for event in events if isinstance(event, AppCompleted) and event.digest}
    return Steps(executed=len(steps) - cached, cached=cached), digests


def raw_steps(outputs: Iterable[bytes]) -> Steps:
    """Steps out of the `--progress=rawjson` of buildx and buildctl, one output per build or per bake."""
    executed = cached = 0
    for output in outputs:
        completed: dict[str, bool] = {}
        for line in output.splitlines():
            if not line.startswith(b"{"):
                continue
            for vertex in msgspec.json.decode(line, type=_Raw).vertexes or ():
                if vertex.completed is not None and is_step(vertex.name):
                    completed[vertex.digest] = completed.get(vertex.digest, False) or vertex.cached
        cached += sum(completed.values())
        executed += len(completed) - sum(completed.values())
    return Steps(executed=executed, cached=cached)


def environment(private: Path) -> dict[str, str]:
    """The process's own, with the peers' state in a directory of ours, which is made.

    Without the settings that keep Python from using compiled modules: nobody's installation has them.
    """
    private.mkdir(parents=True)
    passed_on = {name: value for name, value in variables.read().items() if name not in _SLOWING}
    return {**passed_on, "BUILDX_CONFIG": str(private / "buildx"), "DOCKER_CONFIG": str(private)}


def fleetpacks() -> str:
    """Our program in this checkout's virtual environment."""
    return str(Path(sys.executable).with_name("fleetpacks"))


async def installed(directory: Path) -> str:
    """Our program as a user installs it: no test tools beside it, its modules compiled."""
    await run([sys.executable, "-m", "venv", str(directory)], cwd=_ROOT, env=variables.read())
    pip = [str(directory / "bin" / "pip"), "install", "-q", "-c", ".ci/constraints.txt", "."]
    await run(pip, cwd=_ROOT, env=variables.read())
    return str(directory / "bin" / "fleetpacks")
