"""`speedup`: 64 builds on eight hosts against the same work on one of them.

Each host may use a tenth of a processor, its daemon, its sshd and its steps together (a control group's quota); client
and registry are outside. A build is real work: a step that hashes some megabytes, and all that a daemon has to do
around it. A run in which this machine's processors were not idle for a fifth of the time is void, for then the hosts
may not have had what they may use.
"""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet.pool import BASE, Ran, fleet
from benchmarks.fleet.report import report
from orchestrator.bench.result import Figure, Report, load
from orchestrator.events import AppCompleted

_CPUS = 0.10
_SLOTS = 1
_BAR_RATIO = 6.0
_BAR_MAKESPAN = 1.10
_LEAST_IDLE = 0.20


def _plant(source: Path, builds: int, megabytes: int) -> None:
    for number in range(builds):
        app = source / f"app{number:02}"
        app.mkdir(parents=True)
        # Never built before, by anybody.
        (app / "seed.txt").write_text(secrets.token_hex(16))
        step = f"head -c {megabytes}000000 /dev/zero | cat seed.txt - | sha512sum > sum"
        (app / "Dockerfile").write_text(f"FROM {BASE}\nWORKDIR /srv\nCOPY seed.txt .\nRUN {step}\n")


async def run_speedup(*, seed: int, hosts: int, builds: int, megabytes: int) -> Report:
    """The benchmark `speedup`. The lab must have been up.

    Raises:
        SystemExit: the machine was too busy for it to say anything.
    """
    del seed
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        root = Path(name)
        for side in ("many", "one"):
            _plant(root / side, builds, megabytes)
        async with fleet(hosts, root / "fleet") as pool:
            await pool.warm()
            began = load()
            pool.limit(_CPUS)
            many = await pool.build(root / "many", slots=_SLOTS)
            one = await pool.build(root / "one", slots=_SLOTS, hosts=pool.hosts[:1])
            loads = began, load()
    if (idle := min(many.idle, one.idle)) < _LEAST_IDLE:
        void = f"void: this machine was {100 * idle:.0f} % idle ({one.seconds:.1f} s against {many.seconds:.1f} s)"
        raise SystemExit(f"{void}\nhint: run it on a quiet machine")
    return await report("speedup", figures(many, one, hosts=hosts, loads=loads))


def figures(many: Ran, one: Ran, *, hosts: int, loads: tuple[float, float]) -> list[Figure]:
    """What two runs of the same work say."""
    times = [event.seconds for event in many.events if isinstance(event, AppCompleted)]
    fewest = least(times, hosts=hosts)
    spread = sorted(list(many.hosts.values()).count(host) for host in set(many.hosts.values()))
    return [
        Figure(
            name=f"{len(times)} builds on {hosts} hosts of {_CPUS:.2f} processors against 1: times the throughput",
            unit="",
            value=one.seconds / many.seconds,
            bar=_BAR_RATIO,
            bar_is="at least",
            load=loads,
            note=f"{one.seconds:.1f} s against {many.seconds:.1f} s, whole processes; the machine was "
            f"{100 * many.idle:.0f} % and {100 * one.idle:.0f} % idle",
        ),
        Figure(
            name=f"on {hosts}: makespan against max(critical path, work / slots)",
            unit="",
            value=many.makespan / fewest,
            bar=_BAR_MAKESPAN,
            load=loads,
            note=f"{many.makespan:.1f} s against {fewest:.1f} s; {spread[0]} to {spread[-1]} builds on a host",
        ),
    ]


def least(times: Sequence[float], *, hosts: int) -> float:
    """The seconds below which no run of builds can take: the longest of them, or an even share of all."""
    return max(*times, sum(times) / (hosts * _SLOTS))
