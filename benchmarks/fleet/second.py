"""`second`: everything once more after a fresh clone, on every host of a pool: what is executed, and what is sent.

The Dockerfiles are generated; the apps are the examples that need no package index, with 300 files of their own each.
The clone is git's, into the same directory: every file has another time, and no other content. The second run builds by
force, so that nothing is skipped.
"""

import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.commands import run
from benchmarks.fleet.pool import Ran, fleet
from benchmarks.fleet.report import report
from orchestrator.bench.result import Figure, Report, load

_EXAMPLES = Path(__file__).parents[2] / "tests" / "apps"
_APPS = ("go-bare", "nodejs-bare", "php-pages", "python-bare", "static-site")
_COPIES = 3
_FILES = 300
_FILE_BYTES = 10_000
_SLOTS = 2
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost")


async def run_second(*, seed: int, hosts: int) -> Report:
    """The benchmark `second`. The lab must be up, with the languages' base images."""
    began = load()
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        root = Path(name)
        origin, source = root / "origin", root / "source"
        _plant(origin, seed)
        async with fleet(hosts, root / "fleet") as pool:
            for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "apps"]):
                await run([*_GIT, *command], cwd=origin, env=pool.env)
            rans: list[Ran] = []
            for _ in range(2):
                shutil.rmtree(source, ignore_errors=True)
                await run([*_GIT, "clone", "-q", str(origin), str(source)], cwd=root, env=pool.env)
                rans.append(await pool.build(source, "--force", slots=_SLOTS, push=False))
    return await report("second", figures(*rans, loads=(began, load())))


def figures(first: Ran, second: Ran, *, loads: tuple[float, float]) -> list[Figure]:
    """What the second of two runs did again."""
    sent, again = _by_host(first), _by_host(second)
    steps = {host: [0, 0] for host in again}
    for app, host in second.hosts.items():
        steps[host][0] += second.completed[app].cached
        steps[host][1] += second.completed[app].steps
    moved = sum(first.hosts[app] != host for app, host in second.hosts.items())
    title = f"{len(second.completed)} apps again, fresh clone, {len(again)} hosts"
    return [
        Figure(
            name=f"{title}: steps found cached, on the host with the fewest",
            unit="%",
            value=min(100 * cached / all_of_them for cached, all_of_them in steps.values()),
            bar=100,
            bar_is="at least",
            load=loads,
            note=", ".join(sorted(f"{cached} of {all_of_them}" for cached, all_of_them in steps.values()))
            + f"; {moved} apps were built on another host than before",
        ),
        Figure(
            name=f"{title}: bytes of contexts against the first run's, on the host with the most",
            unit="%",
            value=max(100 * again[host] / sent[host] if host in sent else 100.0 for host in again),
            bar=1,
            load=loads,
            note=f"{sum(again.values()):,} against {sum(sent.values()):,} bytes",
        ),
    ]


def _by_host(ran: Ran) -> Mapping[str, int]:
    sent = dict.fromkeys(ran.hosts.values(), 0)
    for app, host in ran.hosts.items():
        sent[host] += ran.completed[app].sent_bytes
    return sent


def _plant(origin: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- reproducible test data
    for name in _APPS:
        for copy in range(_COPIES):
            app = origin / f"{name}-{copy}"
            shutil.copytree(_EXAMPLES / name / "app", app)
            data = app / "data"
            data.mkdir()
            for number in range(_FILES):
                (data / f"file{number:03}.bin").write_bytes(chance.randbytes(_FILE_BYTES))
