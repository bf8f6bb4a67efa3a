"""`detect`: 300 apps in all languages, planned: one `fleetpacks plan --json` against `nixpacks plan` for each.

Whole processes in interleaved pairs, ours with its start-up. nixpacks plans one directory per process; its 300 run one
after another in one loop of `sh`, which costs less than any other way to start them. Neither side builds anything or
asks a network. The apps are copies of the example apps, each under a name of its own.
"""

import datetime as dt
import resource
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import environment, installed, run
from orchestrator.bench.result import Report, Result, Steps, load, machine, paired, side
from orchestrator.config import environment as variables

_APPS = 300
_WALL_BAR = 1 / 3
_PROCESSOR_BAR = 1.0
_MOST_LOAD = 1.5
_PATIENCE_SECONDS = 300
_EXAMPLES = Path(__file__).parents[1] / "tests" / "apps"
_RECIPES = ("dockerfile-", "compose-")
_SAID = "settings.json"
_PLACES = ("real.json", "place.json")
_VARIABLE = "NIXPACKS"


class _Place(msgspec.Struct, frozen=True):
    """What is read of `real.json`."""

    app: str = "."


async def run_detect(rounds: int) -> Report:
    """The benchmark `detect`. nixpacks must be $NIXPACKS or on $PATH."""
    found = variables.read().get(_VARIABLE) or shutil.which("nixpacks")
    if found is None:
        raise SystemExit(
            f"benchmarks: nixpacks is not here\nhint: cargo install nixpacks --locked, or set ${_VARIABLE}"
        )
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        results = await detect(Path(name), Path(found), rounds)
    return Report(
        benchmark="detect",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=results,
    )


def generate(source: Path, count: int) -> tuple[str, ...]:
    """Copy the example apps, in turn, into `count` directories of `source`, and return the directories' names."""
    cases = [path.name for path in sorted(_EXAMPLES.iterdir()) if (path / "app").is_dir()]
    # Without those that bring their own recipe, and those planned by what somebody says of them.
    cases = [case for case in cases if not case.startswith(_RECIPES) and not (_EXAMPLES / case / _SAID).exists()]
    # The root of a workspace is no app.
    cases = [case for case in cases if all(_place(_EXAMPLES / case / file) == "." for file in _PLACES)]
    names = tuple(f"app{number:03}-{cases[number % len(cases)]}" for number in range(count))
    for name in names:
        shutil.copytree(_EXAMPLES / name.partition("-")[2] / "app", source / name, symlinks=True)
    return names


def _place(file: Path) -> str:
    return msgspec.json.decode(file.read_bytes(), type=_Place).app if file.exists() else "."


async def detect(root: Path, nixpacks: Path, rounds: int) -> tuple[Result, Result]:
    """Wall and processor time of both sides, which are measured together."""
    source, env = root / "source", environment(root / ".peer")
    names = generate(source, _APPS)
    ours = [await installed(root / "venv"), "plan", "--json", *(f"{source}/{name}" for name in names)]
    loop = f'for app in */; do {shlex.quote(str(nixpacks))} plan "$app" > /dev/null 2>&1 || echo "$app"; done'
    theirs = ["sh", "-c", loop]
    planned = (await run(ours, cwd=source, env=env))[0].count(b"\n")
    refused = (await run(theirs, cwd=source, env=env))[0].count(b"\n")
    version = (await run([str(nixpacks), "--version"], cwd=source, env=env))[0].decode().strip()
    walls: list[tuple[float, float]] = []
    processors: list[tuple[float, float]] = []
    loads: list[float] = []
    void = 0
    while len(walls) < rounds and void < rounds:
        began = await _quiet()
        # Who goes first alternates, so that neither always profits from the other's warmth.
        times = [(0.0, 0.0), (0.0, 0.0)]
        for number in [0, 1] if len(walls) % 2 == 0 else [1, 0]:
            times[number] = await _measured([ours, theirs][number], cwd=source, env=env)
        if began > _MOST_LOAD:
            void += 1
            continue
        loads.append(began)
        walls.append((times[0][0], times[1][0]))
        processors.append((times[0][1], times[1][1]))
    what = f"{_APPS} apps planned ({planned} by us, {_APPS - refused} by {version})"
    nothing = Steps(executed=0, cached=0)
    sides = side(ours[:3], 0, nothing), side([str(nixpacks), "plan"], 0, nothing)
    return (
        paired(
            f"{what}: wall time",
            walls,
            unit="s",
            bar=_WALL_BAR,
            ours=sides[0],
            theirs=sides[1],
            loads=loads,
            void=void,
        ),
        paired(
            f"{what}: processor time",
            processors,
            unit="s",
            bar=_PROCESSOR_BAR,
            ours=sides[0],
            theirs=sides[1],
            loads=loads,
            void=void,
        ),
    )


async def _measured(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of a command and of everything it started and waited for."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    await run(command, cwd=cwd, env=env)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _quiet() -> float:
    with anyio.move_on_after(_PATIENCE_SECONDS):
        while load() > _MOST_LOAD:  # noqa: ASYNC110 -- the kernel tells no one when its load falls
            await anyio.sleep(1)
    return load()
