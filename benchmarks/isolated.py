"""`isolated`: daemons of our own. What starting one takes over the daemon's own start, and what cycles and kills leave.

The daemon alone is the same program with the same files, started without anything of ours but its directory, and
asked the same question until it answers; of dockerd without the bridge, in its favour. Pairs are interleaved. Then 50
starts and ends, and 20 runs of `fleetpacks daemon run` that are killed at random moments, before and after the daemon
answers. What is left is counted: mounts, processes, interfaces, rules, control groups, entries of /run, files beside
caches and log.
"""

import datetime as dt
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec
from anyio.abc import Process

from benchmarks.rest import quiet
from orchestrator.app.isolated import Decided, decide
from orchestrator.bench.result import Figure, Report, machine
from orchestrator.buildkit import Client
from orchestrator.config import Config
from orchestrator.daemon.running import running, task_of
from orchestrator.errors import TransientError
from orchestrator.model import DaemonKind
from remote.address import EngineAddress, UnixAddress
from remote.connect import dialer
from remote.errors import RemoteError
from tests.daemon.real import Traces, configured, engine_variables, rules, traces, variables
from tests.lab import Lab, current

_BAR = 0.3
_CYCLES, _KILLS = 50, 20
_LATEST_KILL = 1.5
"""Seconds after the command's start."""
_PATIENCE = 30.0
_KEPT = frozenset({"buildkit", "docker", "containerd", "opt", "lock", "log", "key.json"})
"""What a daemon's directory keeps."""


async def run_isolated(rounds: int, *, cycles: int = _CYCLES, kills: int = _KILLS) -> Report:
    """The benchmark `isolated`."""
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --engines")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    figures: list[Figure] = []
    kinds: tuple[DaemonKind, ...] = ("buildkitd", "dockerd")
    for kind in kinds:
        home = Path(tempfile.mkdtemp(prefix="fp-own-"))
        try:
            said = await _variables(lab, home, kind)
            figures += await _measured(_config(said, home, kind), said, home, rounds, cycles=cycles, kills=kills)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return Report(
        benchmark="isolated",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=(),
        figures=tuple(figures),
    )


async def _variables(lab: Lab, home: Path, kind: DaemonKind) -> Mapping[str, str]:
    return await engine_variables(lab, home) if kind == "dockerd" else variables(lab, home)


def _config(said: Mapping[str, str], home: Path, kind: DaemonKind) -> Config:
    found = configured(said)
    wanted = msgspec.structs.replace(found.isolated, kind=kind, root=home / "d")
    return msgspec.structs.replace(found, isolated=wanted)


async def _measured(
    config: Config, said: Mapping[str, str], home: Path, rounds: int, *, cycles: int, kills: int
) -> tuple[Figure, ...]:
    decided, kind = await decide(config), config.isolated.kind
    before = traces(home, places=True)
    loads: list[float] = []
    over: list[float] = []
    alone: list[float] = []
    for number in range(rounds + 1):
        loads.append(await quiet())
        # Who goes first alternates; the first pair makes the directories, and does not count.
        if number % 2:
            own, ours = await _alone(decided, home), await _ours(decided, said)
        else:
            ours, own = await _ours(decided, said), await _alone(decided, home)
        if number:
            over.append(ours - own)
            alone.append(own)
    for _ in range(cycles):
        await _ours(decided, said)
    after_cycles = await _left(before, home, said)
    ready = 0
    # The same moments every time.
    dice = random.Random(8)  # noqa: S311 -- no secret
    for _ in range(kills):
        ready += await _killed(said, home, kind, dice.uniform(0, _LATEST_KILL))
    after_kills = await _left(before, home, said)
    load = (min(loads), max(loads))
    note = f"median {statistics.median(over):.3f} s, over its own {statistics.median(alone):.3f} s"
    return (
        Figure(
            name=f"{kind}: the longest that its start took over its own",
            unit="s",
            value=max(over),
            bar=_BAR,
            runs=rounds,
            load=load,
            note=note,
        ),
        Figure(
            name=f"{kind}: what {cycles} starts and ends have left",
            unit="",
            value=len(after_cycles),
            bar=0,
            runs=cycles,
            load=load,
            note="; ".join(after_cycles),
        ),
        Figure(
            name=f"{kind}: what {kills} runs that were killed (SIGKILL) have left",
            unit="",
            value=len(after_kills),
            bar=0,
            runs=kills,
            load=load,
            note="; ".join((f"{ready} of them after it had answered", *after_kills)),
        ),
    )


async def _ours(decided: Decided, said: Mapping[str, str]) -> float:
    began = time.perf_counter()
    async with running(decided.settings, decided.facts, said):
        return time.perf_counter() - began


async def _alone(decided: Decided, home: Path) -> float:
    """The same program with the same files, in a mount namespace that takes its mounts along."""
    of = msgspec.structs.replace(decided.settings, root=home / "alone")
    of.run.mkdir(parents=True, exist_ok=True)
    task = task_of(of, decided_environment(decided))
    for path, text in task["files"].items():
        await anyio.Path(path).write_text(text.replace(f'"{of.name}"', '"none"') if of.kind == "dockerd" else text)
    processes: list[Process] = []
    began = time.perf_counter()
    try:
        for words, socket in zip(task["commands"], task["sockets"], strict=True):
            processes.append(await _started(words, task["environment"], home / "alone.log"))
            while socket and not await anyio.Path(socket).exists():  # noqa: ASYNC110 -- another process makes it
                await anyio.sleep(0.005)
        with anyio.fail_after(_PATIENCE):
            while not await _answers(of.socket, of.kind):  # noqa: ASYNC110 -- as above
                await anyio.sleep(0.005)
        return time.perf_counter() - began
    finally:
        with anyio.CancelScope(shield=True):
            for process in reversed(processes):
                with suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
            shutil.rmtree(of.run, ignore_errors=True)


def decided_environment(decided: Decided) -> Mapping[str, str]:
    """What its programs need of an environment."""
    return {"PATH": ":".join(str(Path(program).parent) for program in decided.settings.programs.values())}


async def _started(words: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    with log.open("ab") as output:
        return await anyio.open_process(
            ["unshare", "--mount", *words], stdin=None, stdout=output, stderr=output, env=environment
        )


async def _answers(socket: Path, kind: DaemonKind) -> bool:
    at = UnixAddress(path=str(socket))
    try:
        dial = await dialer(at if kind == "buildkitd" else EngineAddress(at=at))
        async with Client(dial, address=str(at)) as client:
            return bool(await client.workers())
    except (RemoteError, TransientError):
        return False


async def _killed(said: Mapping[str, str], home: Path, kind: DaemonKind, seconds: float) -> bool:
    """Kill a run so many seconds after its start; returns whether the daemon had answered."""
    program = str(Path(sys.executable).with_name("fleetpacks"))
    words = [program, "daemon", "run", "--engine", kind, "--data-root", str(home / "d")]
    process = await anyio.open_process(words, env=said, stderr=None, start_new_session=True)
    assert process.stdout is not None
    told = b""
    with anyio.move_on_after(seconds):
        told = await process.stdout.receive()
        await anyio.sleep_forever()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await process.aclose()
    return bool(told)


async def _left(before: Traces, home: Path, said: Mapping[str, str]) -> tuple[str, ...]:
    """What there is that was not there before, when everything had time to end."""
    with anyio.move_on_after(_PATIENCE):
        while _more(before, home):  # noqa: ASYNC110 -- the kernel tells no one
            await anyio.sleep(0.05)
    filtered = await rules(home, said) if (home / "bin" / "iptables").exists() else ()
    return (*_more(before, home), *(f"rule: {rule}" for rule in filtered))


def _more(before: Traces, home: Path) -> tuple[str, ...]:
    now = traces(home, places=True)
    found = [
        f"{name}: {each}"
        for name, was in msgspec.structs.asdict(before).items()
        for each in getattr(now, name)
        if each not in was
    ]
    root = home / "d"
    kept = [] if not root.exists() else [path.name for path in root.iterdir() if path.name not in _KEPT]
    return (*found, *(f"file: {name}" for name in sorted(kept)))
