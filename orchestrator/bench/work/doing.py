"""What is done in each scenario."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestrator.bench.together import together
from orchestrator.bench.work import rounds
from orchestrator.bench.work.rounds import Scenario
from orchestrator.bench.work.solves import Solves
from orchestrator.bench.work.steps import Steps

_COLD = "cold"
"""The word of package caches that are empty when a build begins which is to find none."""
_LAYERS = "layers/app"
_PACKAGES = "packages"


async def do(scenario: Scenario, solves: Solves, files: Path, *, apps: int) -> Sequence[Steps]:
    """Do it, on a daemon that has done what comes before it in its phase; returns what its builds did.

    Args:
        scenario: one of `rounds`.
        solves: the daemon's.
        files: where package caches and layer caches are kept: `$BUILD_CACHE_DIR`.
        apps: how many are built at once by `parallel`.

    Raises:
        FleetpacksError: as builds do.
    """
    return await _DONE[scenario.name](solves, files, apps)


async def _first(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("first", word=_COLD, anew=True)]


async def _again(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    # The package caches that stay are empty, too.
    return [await solves.build("first", anew=True)]


async def _export(solves: Solves, files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("first", write=files / _LAYERS)]


async def _keep(solves: Solves, files: Path, _apps: int) -> Sequence[Steps]:
    await solves.keep(files / _PACKAGES)
    return []


async def _pull(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.pull()]


async def _parallel(solves: Solves, _files: Path, apps: int) -> Sequence[Steps]:
    found: list[Steps] = []

    async def one(number: int) -> None:
        found.append(await solves.build("first", app=f"app{number}"))

    await together([partial(one, number) for number in range(apps)])
    return found


async def _cached_first(solves: Solves, files: Path, _apps: int) -> Sequence[Steps]:
    await solves.fill(files / _PACKAGES)
    return [await solves.build("second", read=files / _LAYERS)]


async def _warm(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("second")]


async def _source(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("third")]


async def _locked(solves: Solves, _files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("locked")]


async def _import(solves: Solves, files: Path, _apps: int) -> Sequence[Steps]:
    return [await solves.build("first", read=files / _LAYERS, target="opened")]


_DONE: Mapping[str, Callable[[Solves, Path, int], Awaitable[Sequence[Steps]]]] = {
    rounds.FIRST.name: _first,
    rounds.AGAIN.name: _again,
    rounds.EXPORT.name: _export,
    rounds.KEEP.name: _keep,
    rounds.PULL.name: _pull,
    rounds.PARALLEL.name: _parallel,
    rounds.CACHED_FIRST.name: _cached_first,
    rounds.WARM.name: _warm,
    rounds.SOURCE.name: _source,
    rounds.LOCKFILE.name: _locked,
    # Once more, of which nothing has changed.
    rounds.SAME.name: _locked,
    rounds.IMPORT.name: _import,
}


def fault(scenario: Scenario, builds: Sequence[Steps]) -> str:
    """Why a run does not count: its builds did not run what they should; "": they did."""
    for steps in builds:
        ran = steps.executed()
        if scenario.measured and ran != scenario.executes:
            wrong = sorted(ran ^ scenario.executes)
            return f"{', '.join(wrong)} {'ran' if ran - scenario.executes else 'did not run'}"
    return ""
