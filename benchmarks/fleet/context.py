"""`context`: 210 MB in 5,000 files, new to a host, over SSH: ours, `buildctl` through OpenSSH, our unix socket.

Ours is what serves where `ssh` is installed; asyncssh is measured beside it. All of them build the same on one host
whose base image is there: a step that has the context mounted, so that nothing is copied or compressed after it has
arrived. Every build gets files of its own: BuildKit takes what it has of a context from earlier builds, ours and the
peer's alike. Whole processes are timed, in turns.
"""

import os
import statistics
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import fleetpacks, run, seconds
from benchmarks.fleet.pool import BASE, Fleet, fleet
from benchmarks.fleet.report import report
from orchestrator.bench.result import Figure, Report, load
from orchestrator.events import Event, StepContinued
from tests.lab import Lab, current
from tests.lab.hosts import BUILDKITD_SOCKET, Host, faults

_FILES = 5000
"""As in the measurement that set the bars (design notes, BUILDKIT.md: 210 MB and 5,000 files)."""
_LINE = 1_000_000_000
"""Bits a second."""
_BAR_PEER = 1 / 3
_BAR_UNIX = 0.5
_BAR_LINE = 0.9
_STEP = "load build context"
_DOCKERFILE = f"FROM {BASE}\nRUN --mount=type=bind,target=/context ls /context > /names\n"


async def run_context(*, seed: int, rounds: int, megabytes: int) -> Report:
    """The benchmark `context`. The lab must be up."""
    del seed
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up")
    began = load()
    took: dict[str, list[float]] = {"ours": [], "peer": [], "unix": [], "line": [], "asyncssh": []}
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        root = Path(name)
        async with fleet(1, root / "fleet") as pool, _forward(pool) as forward:
            await pool.warm()
            (host,) = pool.hosts
            for _ in range(rounds):
                took["ours"].append(await _ours(pool, _url(host), megabytes))
                took["peer"].append(await _theirs(lab, pool, forward, megabytes))
                took["unix"].append(await _ours(pool, f"unix://{host.buildkitd}", megabytes))
                took["asyncssh"].append(await _ours(pool, _url(host, "asyncssh"), megabytes))
                async with faults.slow_line(host, bits=_LINE):
                    took["line"].append(await _transfer(pool, host, megabytes))
    loads = began, load()
    ours, peer, unix, line, other = (statistics.median(each) for each in took.values())
    title = f"{megabytes} MB over SSH"
    return await report(
        "context",
        [
            Figure(
                name=f"{title} against `buildctl` through OpenSSH's forward: times its time",
                unit="",
                value=ours / peer,
                bar=_BAR_PEER,
                runs=rounds,
                load=loads,
                note=f"{ours:.1f} s against {peer:.1f} s",
            ),
            Figure(
                name=f"{title} against our own unix socket: times its throughput",
                unit="",
                value=unix / ours,
                bar=_BAR_UNIX,
                bar_is="at least",
                runs=rounds,
                load=loads,
                note=f"{unix:.1f} s by the socket",
            ),
            Figure(
                name=f"{title} on a line of 1 Gbit/s: times the line's rate",
                unit="",
                value=megabytes * 8e6 / line / _LINE,
                bar=_BAR_LINE,
                bar_is="at least",
                runs=rounds,
                load=loads,
                note=f"{line:.1f} s, of the transfer alone",
            ),
            Figure(
                name=f"{title} against asyncssh, which serves where there is no `ssh`: times its time",
                unit="",
                value=ours / other,
                runs=rounds,
                load=loads,
                note=f"{other:.1f} s by asyncssh",
            ),
        ],
    )


def _plant(pool: Fleet, megabytes: int) -> Path:
    """An app whose files nobody has seen."""
    source = Path(tempfile.mkdtemp(dir=pool.root))
    for number in range(_FILES):
        folder = source / "app" / f"part{number // 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number:04}").write_bytes(os.urandom(megabytes * 1_000_000 // _FILES))
    (source / "app" / "Dockerfile").write_text(_DOCKERFILE)
    return source


def _url(host: Host, transport: str = "openssh") -> str:
    # Nobody's `$HOME` is where the user's entry says, and that is where `ssh` is taken unasked.
    return f"ssh://{host.name}?transport={transport}"


def _command(source: Path, at: str) -> list[str]:
    return [fleetpacks(), "build", "-C", str(source), "--no-push", "--host", at, "--progress", "json"]


async def _ours(pool: Fleet, at: str, megabytes: int) -> float:
    return await seconds(_command(_plant(pool, megabytes), at), cwd=pool.root, env=pool.env)


async def _transfer(pool: Fleet, host: Host, megabytes: int) -> float:
    """Seconds of the step that loads the context, which completes twice: first when the daemon has made up its mind."""
    output, _ = await run(_command(_plant(pool, megabytes), _url(host)), cwd=pool.root, env=pool.env)
    events = [msgspec.json.decode(line, type=Event) for line in output.splitlines()]
    return max(event.seconds for event in events if isinstance(event, StepContinued) and _STEP in event.name)


async def _theirs(lab: Lab, pool: Fleet, forward: Path, megabytes: int) -> float:
    app = _plant(pool, megabytes) / "app"
    words = [str(lab.buildctl), "--addr", f"unix://{forward}", "build", "--frontend", "dockerfile.v0"]
    words += ["--local", f"context={app}", "--local", f"dockerfile={app}", "--output", "type=image"]
    return await seconds(words, cwd=pool.root, env=pool.env)


@asynccontextmanager
async def _forward(pool: Fleet) -> AsyncGenerator[Path]:
    """The daemon's socket as OpenSSH forwards it."""
    socket = pool.root / "forward.sock"
    command = ["ssh", "-F", str(pool.home / ".ssh" / "config"), "-N", "-L", f"{socket}:{BUILDKITD_SOCKET}"]
    process = await anyio.open_process([*command, pool.hosts[0].name], env=pool.env, stderr=None)
    try:
        with anyio.fail_after(30):
            while not socket.exists():  # noqa: ASYNC110 -- ssh tells nobody that it listens
                await anyio.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.aclose()
