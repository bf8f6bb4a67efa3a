"""`placement`: 10,000 apps on 1,000 hosts in a simulation: what a decision costs, and what comes of the decisions.

Three runs. In the first all apps wait at once and nothing is known. In the second they wait at once again, in another
order, on what the first has left: the pool is full throughout, which is the worst case for finding a build's home. The
third is a morning of a day with 100,000 builds, where most homes are free. Then hosts leave and come.
"""

import statistics
from collections.abc import Sequence

from benchmarks.fleet.report import report
from benchmarks.fleet.simulation import Arrival, Outcome, day, durations, hosts, jain, jobs, shuffled, simulate
from orchestrator.bench.result import Figure, Report, load
from orchestrator.schedule.placement import Host, Job, Part, Pool, ahead

_APPS = 10_000
_HOSTS = 1_000
_SLOTS = 4
_MOVED = 50
"""Hosts that leave, and that come."""
_DAY_SECONDS = 86_400.0
_DAY_BUILDS = 100_000
_MORNING_BUILDS = 10_000
_BAR_MS = 2.0
_MS = 1e3


async def run_placement(*, seed: int) -> Report:
    """The benchmark `placement`. Asks for nothing but processor time."""
    return await report("placement", placement(_HOSTS, _APPS, _MORNING_BUILDS, seed=seed))


def placement(host_count: int, app_count: int, morning_builds: int, *, seed: int) -> list[Figure]:
    """The figures of a pool and of a monorepo of some size."""
    apps, began = jobs(app_count), load()
    takes, built = durations(apps, seed), set[Part]()
    most = host_count * _SLOTS + ahead(host_count)
    pool = Pool(hosts(host_count, slots=_SLOTS), limit=host_count * _SLOTS)
    first, second = (
        simulate(pool, [Arrival(at=0, job=job) for job in order], takes, most=most, built=built, seed=seed + run)
        for run, order in enumerate((apps, shuffled(apps, seed)))
    )
    quiet, seconds = Pool(hosts(host_count, slots=_SLOTS), limit=host_count * _SLOTS), _DAY_SECONDS / _DAY_BUILDS
    arrivals = day(apps, morning_builds, seconds=seconds * morning_builds, seed=seed)
    morning = simulate(quiet, arrivals, takes, most=most, built=set(), seed=seed)
    loads = began, load()
    size = f"{app_count:,} apps, {host_count:,} hosts of {_SLOTS} slots"
    return [
        *_costs(f"{size}, all at once, nothing known", first, loads),
        *_costs("the same again", second, loads),
        *_costs(f"{morning_builds:,} builds at the pace of {_DAY_BUILDS:,} a day", morning, loads),
        _plain("the same again: builds where their app was built before", "%", 100 * second.at_home / app_count, loads),
        _plain("the day: builds where their app was built before", "%", _share(morning.at_home, morning.known), loads),
        _plain("the day: builds where their dependencies lie", "%", _share(morning.near, morning.workspaces), loads),
        Figure(
            name="all at once: how evenly hosts work (Jain)",
            unit="",
            value=jain([first.busy[host.name] for host in hosts(host_count, slots=_SLOTS)]),
            load=loads,
            note="1 is even; builds of very different lengths, each on one host, make it less",
        ),
        Figure(
            name="the same again: the longest that an app waited after those behind it in the queue had begun",
            unit="s",
            value=second.overtaken,
            load=loads,
            note=f"of a run of {second.ended:.0f} s, in the simulation's time",
        ),
        *_moves(host_count, apps, loads),
    ]


def _costs(name: str, outcome: Outcome, loads: tuple[float, float]) -> list[Figure]:
    costs = sorted(cost * _MS for cost in outcome.decisions)
    middle = f"median {statistics.median(costs):.2g} ms, mean {statistics.mean(costs):.2g} ms, most {costs[-1]:.2g} ms"
    return [
        Figure(
            name=f"{name}: processor time of a decision, 99th percentile",
            unit="ms",
            value=costs[len(costs) * 99 // 100],
            bar=_BAR_MS,
            runs=len(costs),
            load=loads,
            note=f"{middle}, of {len(costs):,}",
        )
    ]


def _moves(host_count: int, apps: Sequence[Job], loads: tuple[float, float]) -> list[Figure]:
    """How many homes change when hosts leave and when hosts come, against how many have to."""
    all_hosts: list[Host] = hosts(host_count + _MOVED, slots=_SLOTS)
    pool = Pool(all_hosts[:host_count], limit=host_count * _SLOTS)
    before = {job.app: pool.home(job) for job in apps}
    gone = {host.name for host in all_hosts[:_MOVED]}
    for name in gone:
        pool.remove(name)
    without = {job.app: pool.home(job) for job in apps}
    had = sum(home in gone for home in before.values())
    left = sum(without[app] != home for app, home in before.items())
    for host in all_hosts[:_MOVED] + all_hosts[host_count:]:
        pool.add(host)
    after = {job.app: pool.home(job) for job in apps}
    came = sum(after[app] != home for app, home in before.items())
    joined = {host.name for host in all_hosts[host_count:]}
    new = sum(home in joined for home in after.values())
    even = round(len(apps) * _MOVED / (host_count + _MOVED))
    return [
        Figure(
            name=f"{_MOVED} hosts leave: apps of other hosts that move",
            unit="",
            value=left - had,
            bar=0,
            load=loads,
            note=f"their own {had:,} have to",
        ),
        Figure(
            name=f"they are back, and {_MOVED} new ones with them: apps that move to any but a new one",
            unit="",
            value=came - new,
            bar=0,
            load=loads,
            note=f"{new:,} go to the new ones, whose even share is {even:,}",
        ),
    ]


def _plain(name: str, unit: str, value: float, loads: tuple[float, float]) -> Figure:
    return Figure(name=name, unit=unit, value=value, load=loads)


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
