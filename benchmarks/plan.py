"""`plan`: 1,000 apps in all languages in a source of 50,000 files, planned: first with nothing known, then again.

Whole processes of `fleetpacks plan --json`, with their start-up, on a tree without git, so that the walk is ours. There
is no peer: seconds are compared with a bar, and the worst run counts. What was read of the disk before is in the
kernel's cache in both cases; what the first run found out of the apps lies in a cache of its own, which is emptied
before each first run. Both print the same.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from benchmarks.commands import environment, installed, run, seconds
from benchmarks.detect import generate
from benchmarks.rest import quiet
from orchestrator.bench.result import Report, Timing, machine, timing

_APPS = 1_000
_FILES_OF_AN_APP = 30
_OTHER_FILES = 20_000
_FILES_OF_A_DIRECTORY = 200
_FIRST_BAR = 3.0
_AGAIN_BAR = 0.3 + 6e-6 * (_APPS * _FILES_OF_AN_APP + _OTHER_FILES)
_REST_SECONDS = 3.0
"""What has just been written is looked at again."""


async def run_plan(rounds: int) -> Report:
    """The benchmark `plan`."""
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        program = await installed(Path(name) / "venv")
        source = Path(name) / "source"
        plant(source, apps=_APPS, others=_OTHER_FILES)
        await anyio.sleep(_REST_SECONDS)
        timings = await plan(program, source, Path(name), rounds)
    return Report(
        benchmark="plan",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=(),
        timings=timings,
    )


def plant(source: Path, *, apps: int, others: int) -> None:
    """A source of so many apps, of 30 files each, and of so many other files."""
    services = source / "services"
    services.mkdir(parents=True)
    for name in generate(services, apps):
        present = sum(path.is_file() for path in (services / name).rglob("*"))
        _fill(services / name / "notes", _FILES_OF_AN_APP - present)
    for number in range(others // _FILES_OF_A_DIRECTORY):
        _fill(source / "data" / f"set-{number:03}", _FILES_OF_A_DIRECTORY)


def _fill(directory: Path, count: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (directory / f"note-{number:03}.txt").write_text("x\n")


async def plan(program: str, source: Path, private: Path, rounds: int) -> tuple[Timing, Timing]:
    """The seconds of first runs, and of those behind them."""
    cache = private / "cache"
    env = {**environment(private / "peers"), "XDG_CACHE_HOME": str(cache), "HOME": str(private)}
    command = [program, "plan", "--json", "-C", str(source)]
    first: list[float] = []
    again: list[float] = []
    loads: list[float] = []
    await run(command, cwd=private, env=env)  # compiles templates, for all that follow
    for _ in range(rounds):
        loads.append(await quiet())
        shutil.rmtree(cache, ignore_errors=True)
        first.append(await seconds(command, cwd=private, env=env))
        again.append(await seconds(command, cwd=private, env=env))
    await _check(command, private, env)
    what = f"{_APPS:,} apps of {_FILES_OF_AN_APP} files beside {_OTHER_FILES:,} other files"
    shown = command[:3]
    return (
        timing(f"{what}, planned with nothing known", shown, first, bar=_FIRST_BAR, loads=loads),
        timing(f"{what}, planned again", shown, again, bar=_AGAIN_BAR, loads=loads),
    )


async def _check(command: Sequence[str], private: Path, env: Mapping[str, str]) -> None:
    """Both ways to make it have to give the same plan, of all apps."""
    again = (await run(command, cwd=private, env=env))[0]
    first = (await run(command, cwd=private, env={**env, "XDG_CACHE_HOME": str(private / "none")}))[0]
    planned = first.count(b"\n")
    if again != first or planned != _APPS:
        raise SystemExit(f"benchmarks: expected {_APPS} apps, planned twice in the same way, got {planned}")
