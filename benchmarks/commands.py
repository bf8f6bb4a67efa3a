"""The two sides of a comparison as commands, and what their progress says of steps."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from orchestrator.engine.progress import is_step
from orchestrator.events import AppCompleted, Event


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did, as the client's own machine-readable progress tells it."""

    executed: int
    cached: int


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
    """Steps and digests by app out of `fleetpacks build --progress json`."""
    events = [msgspec.json.decode(line, type=Event) for line in output.splitlines()]
    done = [event for event in events if isinstance(event, AppCompleted)]
    cached = sum(event.cached for event in done)
    return (
        Steps(executed=sum(event.steps for event in done) - cached, cached=cached),
        {event.app: event.digest for event in done},
    )


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
