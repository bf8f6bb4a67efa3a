"""`faults`: runs over many builds while something breaks: eight classes of faults, each so many times.

A run meets one fault of each class, in an order that its seed draws, each when the one before was felt and healed. One
that no build has felt is not counted, and the run says so: then there are more runs. With `--only CLASS` a run meets
one of that class, at any point.

Every run is compared with a calm one over the same sources: the same apps, the same digests of whole images (which are
made as of the epoch), and tags that point to them. Afterwards no builder may have a build that goes on, a process that
is not its daemon or sshd, a mount of a step, or a connection of ours, and nothing may lie in our temporary directory.

Runs are written down one by one, so that all of them are made in pieces: `--minutes`. Each prints its seed, and can be
made again alone: `--first SEED`, and `--only CLASS --first SEED` what met one fault.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec

from benchmarks.fleet import drawing, rounds
from benchmarks.fleet.breaking import AT_WORK, Fault, HostFault, RegistryFault
from benchmarks.fleet.drawing import CLASSES, Link
from benchmarks.fleet.report import report
from benchmarks.fleet.rounds import Round
from benchmarks.fleet.standing import SLOTS, Break, Standing, standing
from benchmarks.fleet.watching import Watch, wrongs
from orchestrator.bench.result import Report, load
from tests.buildkit.real import ROOT, Watched, client, push_to, request, shell_root
from tests.e2e.proxy import CUT, refusing
from tests.lab import Lab, current
from tests.lab.hosts import Host, faults, machine
from tests.lab.state import layout

FILE = Path(__file__).parents[1] / "results" / "fleet-faults.rounds.jsonl"
"""Where rounds are written down, unless something else is said."""
_BASE = "fleet-faults/base"
_PROGRAMS = ("/usr/bin/sha512sum", "/usr/bin/touch")
_FILE_BYTES = 64_000
_COPIES = 48
"""Of its file, that a step writes: a full disk is felt."""
_DOCKERFILE = f"""\
FROM {{base}} AS build
COPY seed.bin /
RUN echo "{AT_WORK}" && sleep 1 && for copy in {" ".join(map(str, range(_COPIES)))}; do cat /seed.bin; done > /data \\
 && sha512sum /data > /sum && touch -d @0 /sum
FROM scratch
COPY seed.bin /
COPY --from=build /sum /
"""


@asynccontextmanager
async def _lost(host: Host) -> AsyncGenerator[None]:
    await faults.lose(host)
    yield


@asynccontextmanager
async def _killed(host: Host) -> AsyncGenerator[None]:
    await host.kill("buildkitd")
    yield
    with anyio.CancelScope(shield=True):
        await machine.start_buildkitd(layout(), host)


@asynccontextmanager
async def _restarted(host: Host) -> AsyncGenerator[None]:
    await host.kill("sshd")
    await machine.start_sshd(layout(), host)
    yield


_OF_HOSTS: Mapping[str, Break] = {
    drawing.LOST: _lost,
    drawing.KILLED: _killed,
    drawing.RESTARTED: _restarted,
    drawing.CUT_OFF: faults.cut,
    drawing.FULL: faults.full_disk,
    drawing.STOPPED: faults.frozen,
}


async def run_faults(
    *,
    seed: int,
    hosts: int,
    builds: int,
    times: int,
    only: Sequence[str],
    first: int,
    minutes: float,
    rounds_file: Path,
) -> Report:
    """The benchmark `faults`. The lab must be up.

    Args:
        seed: of the whole; each run's own is drawn from it.
        hosts: how many.
        builds: of each run.
        times: faults of each class, those that were met before among them.
        only: classes, of which a run meets one fault; none: it meets one of each of all.
        first: the own seed of a run that is made again, and not written down; 0: what is due.
        minutes: after which no run is begun; 0: what was written down is told.
        rounds_file: where they are written down.
    """
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up")
    ends, classes = time.monotonic() + minutes * 60, tuple(only) or CLASSES
    if first and len(only) > 1:
        raise SystemExit("benchmarks: --first: of which class?\nhint: name one with --only")
    commit = (await report("faults", ())).commit
    made = [] if first else rounds.read(rounds_file, hosts=hosts, builds=builds)
    next_ = partial(rounds.due, made, classes, times=times, seed=seed, chained=not only)
    due = (only[0] if only else rounds.CHAIN, first) if first else next_()
    if due is not None and minutes > 0:
        async with standing(lab, hosts) as pool:
            bench = _Bench(lab, pool, builds=builds, commit=commit)
            await bench.begin()
            while due is not None and time.monotonic() < ends:
                these = await bench.run(*due)
                made += these
                if first:
                    break
                rounds.append(rounds_file, these)
                due = next_()
    told = await report("faults", rounds.figures(made, CLASSES, times=times))
    return msgspec.structs.replace(told, commit=made[-1].commit, date=made[-1].date[:10]) if made else told


class _Bench:
    """Runs on one pool over one source, after one in which nothing breaks.

    Args:
        lab: has the registry.
        pool: is whole before each run and afterwards.
        builds: of each run.
        commit: that is measured.
    """

    def __init__(self, lab: Lab, pool: Standing, *, builds: int, commit: str) -> None:
        self._lab = lab
        self._pool = pool
        self._builds = builds
        self._commit = commit
        self._source = pool.root / "source"
        self._calm: Mapping[str, str | None] = {}
        self._usual = 0.0
        """Seconds that a build takes, the median."""

    async def begin(self) -> None:
        """Make the sources, and build them in peace.

        Raises:
            SystemExit: even that went wrong.
        """
        image = request(ROOT, context=await shell_root(*_PROGRAMS), exporter=push_to(self._lab.registry, _BASE))
        async with client(self._lab.buildkitd) as daemon:
            made = await daemon.solve(image, on_status=Watched())
        _plant(self._source, self._builds, base=f"{self._pool.registry}/{_BASE}@{made.digest}")
        watch = Watch()
        published = await self._pool.build(self._source, watch, registry=self._pool.registry)
        wrong = wrongs(watch.digests, watch, published, left=await self._pool.left())
        if wrong or len(watch.digests) != self._builds:
            said = f"{len(watch.digests)} images; {'; '.join(wrong)}"
            raise SystemExit(f"benchmarks: a run in which nothing broke: {said}")
        await self._pool.mend()
        self._calm, self._usual = watch.digests, statistics.median(watch.seconds)
        sys.stderr.write(f"calm: {self._builds} builds, each in {self._usual:.1f} s\n")

    async def run(self, fault: str, seed: int) -> Sequence[Round]:
        """A run with a fault of a class, or with one of each; what it tells is kept where it went wrong."""
        slots = SLOTS * len(self._pool.hosts)
        one = (Link(fault, drawing.drawn(seed, self._builds)),)
        links = drawing.chain(seed, slots) if fault == rounds.CHAIN else one
        began, busy, log = time.monotonic(), load(), Path(tempfile.gettempdir(), f"fleetpacks-faults-{seed}.jsonl")
        watch = Watch([self._fault(link) for link in links])
        published = await self._built(watch, links, log)
        wrong = tuple(wrongs(self._calm, watch, published, left=await self._pool.left()))
        await self._pool.mend()
        if not wrong:
            await anyio.Path(log).unlink()
        ran = Round(
            fault=fault,
            seed=seed,
            hosts=len(self._pool.hosts),
            builds=self._builds,
            commit=self._commit,
            date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            seconds=round(time.monotonic() - began, 1),
            load=round(busy, 2),
            drawn=links[0].drawn,
            felt=0,
            again=watch.again,
            wrong=wrong,
        )
        said = f"{'; '.join(wrong)}: see {log}" if wrong else "right"
        sys.stderr.write(f"{fault or 'all'}: {ran.drawn.transport}: seed {seed}: {ran.seconds:.0f} s: {said}\n")
        sys.stderr.write("".join(f"  {each.name}: {_how(each)}\n" for each in watch.faults))
        return rounds.of_run(ran, links, watch.faults)

    def _fault(self, link: Link) -> Fault:
        name, what = link.fault, link.drawn
        if name in _OF_HOSTS:
            return HostFault(name, what, usual=self._usual)
        cut = name == drawing.CUT_SHORT
        return RegistryFault(name, what, status=CUT if cut else what.status, bodies=cut)

    async def _built(self, watch: Watch, links: Sequence[Link], log: Path) -> Mapping[str, str]:
        async with AsyncExitStack() as held:
            registry = self._pool.registry
            if any(link.fault in drawing.OF_REGISTRIES for link in links):
                address = registry.rpartition(":")[0]
                registry = await held.enter_async_context(refusing(self._lab, watch.refuse, address=address))
            return await self._pool.build(
                self._source,
                watch,
                registry=registry,
                transport=links[0].drawn.transport,
                breaks=_OF_HOSTS,
                log=log,
            )


def _how(fault: Fault) -> str:
    felt = ", ".join(f"{app} {way}" for app, way in fault.felt.items())
    return felt or ("not counted: nobody has felt it" if fault.begun else "not counted: it was not its turn")


def _plant(source: Path, builds: int, *, base: str) -> None:
    """The same apps whenever they are planted."""
    source.mkdir()
    # Whole images are alike then, and not their layers only.
    (source / "fleetpacks.toml").write_text('env = { SOURCE_DATE_EPOCH = "0" }\n')
    for number in range(builds):
        app = source / f"app{number:03}"
        app.mkdir()
        seed = app / "seed.bin"
        seed.write_bytes(random.Random(number).randbytes(_FILE_BYTES))  # noqa: S311 -- the same whenever it is made
        os.utime(seed, (0, 0))
        (app / "Dockerfile").write_text(_DOCKERFILE.format(base=base))
