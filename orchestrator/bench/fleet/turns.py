"""What each host does in a round, in which order."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from orchestrator.bench.fleet.host import Host
from orchestrator.bench.fleet.solves import HostSolves
from orchestrator.bench.fleet.telling import ELSEWHERE as NAME_ELSEWHERE
from orchestrator.bench.work import rounds
from orchestrator.bench.work.rounds import Scenario
from orchestrator.bench.work.steps import Steps

TRANSFER: Final = Scenario(name="transfer", weight=1)
RAW: Final = Scenario(name="raw", weight=2)
ELSEWHERE: Final = Scenario(name=NAME_ELSEWHERE, executes=rounds.AGAIN.executes, weight=4)
"""A change of the source, built on a host that has never built the app."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A host in a round."""

    host: Host
    solves: HostSolves
    word: str
    """Of this round's apps and package caches."""
    app: str
    """That of this host."""
    other: str
    """That of the next one."""
    apps: int
    """Those of `parallel`."""


Do = Callable[[Turn], Awaitable[Sequence[Steps]]]


async def _again(turn: Turn) -> Sequence[Steps]:
    return [await turn.solves.build("first", app=turn.app, word=turn.app)]


async def _source(turn: Turn) -> Sequence[Steps]:
    return [await turn.solves.build("second", app=turn.app, word=turn.app)]


async def _locked(turn: Turn) -> Sequence[Steps]:
    return [await turn.solves.build("locked", app=turn.app, word=turn.app)]


async def _elsewhere(turn: Turn) -> Sequence[Steps]:
    return [await turn.solves.build("second", app=turn.other, word=turn.app)]


async def _pull(turn: Turn) -> Sequence[Steps]:
    return [await turn.solves.pull()]


async def _parallel(turn: Turn) -> Sequence[Steps]:
    apps = [f"{turn.app}p{number}" for number in range(turn.apps)]
    return await turn.solves.parallel(apps, word=turn.app)


SCENARIOS: Sequence[tuple[Scenario, Do]] = (
    (rounds.AGAIN, _again),
    (rounds.SOURCE, _source),
    (rounds.LOCKFILE, _locked),
    (rounds.SAME, _locked),
    (ELSEWHERE, _elsewhere),
    (rounds.PULL, _pull),
    (rounds.PARALLEL, _parallel),
)
"""In this order: each needs what those before it have built."""


def counts(hosts: int) -> tuple[int, ...]:
    """With how many hosts a pool is measured: with one, all, and half as many each time."""
    found = [hosts]
    while found[-1] > 1:
        found.append((found[-1] + 1) // 2)
    return tuple(reversed(found)) if hosts > 1 else ()
