"""A pool that is not there: `Pool` decides, and a virtual clock lets builds end.

Everything is drawn from one seed. A build's time is its app's own, less what lies on its host: half of it for the app,
a third for its workspace's dependencies, which is what `placement` expects. What a decision costs is processor time of
this thread, so that other work on the machine does not count.
"""

import heapq
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orchestrator.schedule.placement import Host, Job, Part, Placed, Pool

_APPS_OF_A_WORKSPACE = 10
_MOUNTS = ("npm", "pip", "go", "maven", "cargo", "gem", "composer", "hex")
_MEDIAN_SECONDS = 90.0
_SPREAD = 0.8
"""Of the logarithm of an app's seconds."""
_NOISE = 0.2
"""Of the logarithm of a build's seconds: builds of one app differ."""
_SAVES = {"app": 0.5, "dependencies": 0.3}
_NANO = 1e-9


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A build that is asked for."""

    at: float
    """Seconds."""
    job: Job


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a simulation."""

    decisions: list[float] = msgspec.field(default_factory=list[float])
    """Processor seconds of each decision that placed a build."""
    overtaken: float = 0.0
    """The most seconds by which a build began later than one that stood behind it in the queue."""
    busy: Counter[str] = msgspec.field(default_factory=Counter[str])
    """Seconds that builds took, by host."""
    begun: int = 0
    known: int = 0
    """Builds of apps that had been built before."""
    at_home: int = 0
    """Those of them that ran where their app had been built."""
    near: int = 0
    """Those that ran where their workspace's dependencies lay, of all whose workspace had been built anywhere."""
    workspaces: int = 0
    """Builds whose workspace had been built anywhere."""
    ended: float = 0.0
    """When the last build had ended."""


def hosts(count: int, *, slots: int) -> list[Host]:
    """Hosts that are alike."""
    return [Host(name=f"ssh://build@host-{number:04}", slots=slots) for number in range(count)]


def jobs(count: int) -> list[Job]:
    """Apps, ten of which share a workspace, and an eighth of which share a package cache."""
    return [
        Job(
            app=f"services/team-{number // _APPS_OF_A_WORKSPACE:03}/app-{number:05}",
            parts=(
                Part("app", f"services/team-{number // _APPS_OF_A_WORKSPACE:03}/app-{number:05}"),
                Part("dependencies", f"services/team-{number // _APPS_OF_A_WORKSPACE:03}"),
                Part("mounts", _MOUNTS[number // _APPS_OF_A_WORKSPACE % len(_MOUNTS)]),
            ),
        )
        for number in range(count)
    ]


def durations(apps: Iterable[Job], seed: int) -> dict[str, float]:
    """How long each app's build takes where nothing of it lies, in seconds."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible test data
    return {job.app: _MEDIAN_SECONDS * chance.lognormvariate(0, _SPREAD) for job in apps}


def day(apps: Sequence[Job], builds: int, *, seconds: float, seed: int) -> list[Arrival]:
    """So many builds of apps drawn at random, in so many seconds, at random times."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible test data
    times = sorted(chance.uniform(0, seconds) for _ in range(builds))
    return [Arrival(at=at, job=chance.choice(apps)) for at in times]


def shuffled(apps: Sequence[Job], seed: int) -> list[Job]:
    """The same in another order."""
    return random.Random(seed).sample(apps, len(apps))  # noqa: S311 -- reproducible test data


def simulate(
    pool: Pool, arrivals: Sequence[Arrival], takes: Mapping[str, float], *, most: int, built: set[Part], seed: int
) -> Outcome:
    """Build everything.

    Args:
        pool: the hosts; what was built on them is known to it afterwards.
        arrivals: what is asked for, by time.
        takes: seconds of each app's build.
        most: how many builds are shown to the pool at once, those that run included: as many as an engine has workers.
        built: what lies anywhere; what is built is added to it.
        seed: of what makes no build take as long as it took before.
    """
    outcome, chance = Outcome(), random.Random(seed)  # noqa: S311 -- reproducible test data
    coming, waiting, running = deque(arrivals), list[Arrival](), list[tuple[float, int, Placed]]()
    passing = dict[str, float]()
    order, now = itertools.count(), 0.0
    while coming or waiting or running:
        while coming and coming[0].at <= now:
            waiting.append(coming.popleft())
        while waiting:
            shown = [each.job for each in waiting[: most - len(running)]]
            began = time.thread_time_ns()
            placed = pool.next(shown)
            if placed is None:
                break
            pool.began(placed)
            outcome.decisions.append((time.thread_time_ns() - began) * _NANO)
            index = shown.index(placed.job)
            waiting.pop(index)
            if index:
                passing.update({each.job.app: now for each in waiting[:index] if each.job.app not in passing})
            outcome.overtaken = max(outcome.overtaken, now - passing.pop(placed.job.app, now))
            seconds = seconds_of(takes, placed) * chance.lognormvariate(0, _NOISE)
            _note(outcome, placed, seconds, built)
            heapq.heappush(running, (now + seconds, next(order), placed))
        now = min([*(at for at, _, _ in running[:1]), *(each.at for each in itertools.islice(coming, 1))], default=now)
        while running and running[0][0] <= now:
            _, _, placed = heapq.heappop(running)
            pool.left(placed)
            pool.ended(placed)
            built.update(placed.job.parts)
    outcome.ended = now
    return outcome


def seconds_of(takes: Mapping[str, float], placed: Placed) -> float:
    """How long a build takes where it is placed."""
    return takes[placed.job.app] * (1.0 - sum(_SAVES.get(kind, 0.0) for kind in placed.warm))


def _note(outcome: Outcome, placed: Placed, seconds: float, built: set[Part]) -> None:
    app, dependencies = placed.job.parts[:2]
    outcome.begun += 1
    outcome.busy[placed.host] += round(seconds)
    outcome.known += app in built
    outcome.at_home += "app" in placed.warm
    outcome.workspaces += dependencies in built
    outcome.near += "dependencies" in placed.warm


def jain(values: Iterable[float]) -> float:
    """How evenly something is shared: 1 where all have the same, 1/n where one has all (Jain, Chiu and Hawe, 1984)."""
    shares = list(values)
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
