"""`scale`: a day of 100,000 builds on 1,000 hosts in a simulation, and who is asked where they run.

First one engine that places all builds of the day. Then what fleetpacks is: a process for each run, here of 50 builds,
that comes and goes, and knows neither the others nor what earlier ones have left, as in a CI whose machines are thrown
away. Their only agreement is the hash that draws homes. What it costs is told by how many builds find their home warm,
and by how many begin on a host all of whose slots others have taken, which is what a shared placement would prevent.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec

from benchmarks.fleet.report import report
from benchmarks.fleet.simulation import day, durations, hosts, jobs, seconds_of, simulate
from orchestrator.bench.result import Figure, Report, load
from orchestrator.schedule.placement import Job, Part, Placed, Pool, ahead

_APPS = 10_000
_HOSTS = 1_000
_SLOTS = 4
_BUILDS = 100_000
_DAY = 86_400.0
_OF_A_RUN = 50
_LONGER = (1, 10, 40)
"""Times as long as the builds of `placement`, whose median is 90 s from nothing."""


class Strangers(msgspec.Struct, kw_only=True):
    """What came of runs that do not know each other."""

    begun: int = 0
    over: int = 0
    """Builds that began on a host that had no slot free."""
    at_home: int = 0
    known: int = 0
    most: int = 0
    """Builds at once on one host."""
    seconds: float = 0.0
    """That builds took together."""


async def run_scale(*, seed: int) -> Report:
    """The simulation `scale`. Asks for nothing but processor time."""
    figures: list[Figure] = []
    for longer in _LONGER:
        figures += scale(_HOSTS, _APPS, _BUILDS, longer=longer, seed=seed)
    return await report("scale", figures)


def scale(host_count: int, app_count: int, builds: int, *, longer: float, seed: int) -> list[Figure]:
    """The figures of one day whose builds take some time."""
    apps, began = jobs(app_count), load()
    takes = {app: seconds * longer for app, seconds in durations(apps, seed).items()}
    limit = host_count * _SLOTS
    one = simulate(
        Pool(hosts(host_count, slots=_SLOTS), limit=limit),
        day(apps, builds, seconds=_DAY, seed=seed),
        takes,
        most=limit + ahead(host_count),
        built=set(),
        seed=seed,
    )
    many = strangers(host_count, apps, takes, builds=builds, seed=seed)
    loads = began, load()
    name = f"builds {longer:g} times as long" if longer > 1 else "builds as long as above"
    used = sum(one.busy.values()) / (_DAY * limit)
    each = f"{many.most} at once on one host at most; {_share(many.at_home, many.known):.0f} % are warm"
    return [
        Figure(
            name=f"{name}: one engine for all: built where their app was built before",
            unit="%",
            value=_share(one.at_home, one.known),
            runs=one.begun,
            load=loads,
            note=f"{100 * used:.1f} % of the slots' time is used",
        ),
        Figure(
            name=f"{name}: runs that do not know each other: begun where no slot was free",
            unit="%",
            value=_share(many.over, many.begun),
            runs=many.begun,
            load=loads,
            note=f"{each}; {many.seconds / sum(one.busy.values()):.2f} times the work",
        ),
    ]


def strangers(host_count: int, apps: Sequence[Job], takes: dict[str, float], *, builds: int, seed: int) -> Strangers:
    """Runs of 50 builds each. What a host has taken on does not make its builds slower here: it is only counted."""
    told, order = Strangers(), itertools.count()
    lies, taken = dict[Part, set[str]](), Counter[str]()
    running = list[tuple[float, int, Placed]]()
    members = hosts(host_count, slots=_SLOTS)
    arrivals = day(apps, builds, seconds=_DAY, seed=seed)
    for batch in (arrivals[index : index + _OF_A_RUN] for index in range(0, len(arrivals), _OF_A_RUN)):
        now = batch[0].at
        while running and running[0][0] <= now:
            _, _, ended = heapq.heappop(running)
            taken[ended.host] -= 1
            for part in ended.job.parts:
                lies.setdefault(part, set()).add(ended.host)
        pool, waiting = Pool(members, limit=host_count * _SLOTS), list(dict.fromkeys(each.job for each in batch))
        while (placed := pool.next(waiting)) is not None:
            pool.began(placed)
            waiting.remove(placed.job)
            warm = tuple(part.kind for part in placed.job.parts if placed.host in lies.get(part, ()))
            told.begun += 1
            told.over += taken[placed.host] >= _SLOTS
            told.at_home += "app" in warm
            told.known += placed.job.parts[0] in lies
            taken[placed.host] += 1
            told.most = max(told.most, taken[placed.host])
            took = seconds_of(takes, msgspec.structs.replace(placed, warm=warm))
            told.seconds += took
            heapq.heappush(running, (now + took, next(order), placed))
    return told


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
