"""The storage benchmark, from what was asked to its report.

Everything is made inside of blocks that end it: storages, inputs, daemons. What can be refused at once comes first, the
storages and whether a daemon runs here: to make what is built takes seconds. Behind each run everything is written that
waits for that (`Meter.stop`), and behind all that is done between runs: so no run pays for another one, or for these.
"""

import os
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec

from orchestrator import temporary
from orchestrator.bench.ground import Ground, Meter, Target, metered, prepared, probe, renew, sync
from orchestrator.bench.result import Report, Sample, load
from orchestrator.bench.work import base, inputs, pulled, steps
from orchestrator.bench.work.blame import blaming
from orchestrator.bench.work.builder import Builder, Daemons
from orchestrator.bench.work.clock import Clock
from orchestrator.bench.work.dockerfile import OURS
from orchestrator.bench.work.doing import do, fault
from orchestrator.bench.work.record import BUILDS, Record, own_python
from orchestrator.bench.work.rounds import Phase, Place, Scenario, phases, turned
from orchestrator.bench.work.sizes import Sizes
from orchestrator.bench.work.solves import Inputs, Solves, lay_out, takes_layouts
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.errors import UsageError

_DROP = Path("/proc/sys/vm/drop_caches")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    targets: tuple[Target, ...]
    sizes: Sizes
    rounds: int | None = None
    """None: as many as the sizes say, and as fit into their time."""
    seed: int = 1
    base: str = ""
    """The base image; "": one of our own."""
    drop_caches: bool = False
    """Whether each run finds nothing of files in memory. That is the whole machine's memory."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is."""

    what: str
    done: int = 0
    total: int = 0
    """Runs, of all rounds; 0: nobody knows yet."""
    seconds: float
    """Since the beginning."""
    left: float | None = None
    """Seconds that are left, about; None: nobody knows yet."""
    value: float | None = None
    """Seconds of the run, when it has just ended."""
    stays: bool = False
    """Whether people are to read it when all is over: no report tells it."""


Hear = Callable[[Progress], None]


class _Up(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon that is up for a phase."""

    place: Place
    solves: Solves
    meter: Meter
    files: Path
    """Where package caches and layer caches are in this round."""


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemons are that are measured with."""

    version: str
    can: Capabilities


async def measure(asked: Asked, daemons: Daemons, *, work: Path, commit: str, date: str, hear: Hear) -> Report:
    """Measure the builds on all targets.

    Args:
        asked: what.
        daemons: start a daemon.
        work: an empty directory, not on what is measured.
        commit: what measures: for the report.
        date: today.
        hear: told of progress.

    Raises:
        UsageError, StorageError: a target cannot be measured.
        FleetpacksError: a build failed, or a daemon does not start.
    """
    if asked.drop_caches:
        await anyio.to_thread.run_sync(_check_drop)
    clock = Clock()
    left: list[str] = []
    grounds: dict[str, Ground] = {}
    try:
        async with AsyncExitStack() as stack:
            for target in asked.targets:
                hear(Progress(what=f"getting {target.name} ready", seconds=clock.wall))
                with clock.of("storage"):
                    opened = prepared(target, size=asked.sizes.room, need="layers", told=left.append)
                    grounds[target.name] = await stack.enter_async_context(opened)
            hear(Progress(what="starting a daemon", seconds=clock.wall))
            found = await _looked(daemons, next(iter(grounds.values())), clock)
            hear(Progress(what="making what is built", seconds=clock.wall))
            with clock.of("inputs"):
                made = await inputs_for(asked, work)
            bench = _Bench(asked, daemons, grounds, made, found, work=work, clock=clock, hear=hear)
            await bench.all()
            with clock.of("storage"):
                await stack.aclose()
    except BaseException:
        for said in left:
            hear(Progress(what=said, seconds=clock.wall, stays=True))
        raise
    bench.record.notes.extend(left)
    settings = {
        "seed": str(asked.seed),
        "size": asked.sizes.name,
        "base": asked.base or own_python(),
        "daemon": found.version,
        "page-cache": "dropped" if asked.drop_caches else "kept",
    }
    return bench.record.report(commit=commit, date=date, settings=settings, grounds=list(grounds.values()), clock=clock)


def _check_drop() -> None:
    """See whether the page cache can be emptied, before minutes have been spent."""
    try:
        os.close(os.open(_DROP, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        raise UsageError(
            f"--drop-caches: {_DROP}: {error.strerror}",
            hint="Leave it out, or run it as root; in a container, in one with --privileged.",
        ) from error


async def _looked(daemons: Daemons, ground: Ground, clock: Clock) -> _Found:
    """Find out whether daemons run here, and what they can do: by one that is started and ended again."""
    root = ground.path / "l"
    with clock.of("daemons"), blaming(ground):
        async with daemons.started(root) as builder:
            found = _Found(version=builder.version, can=builder.can)
    with clock.of("deleting"):
        await _deleted(root)
    return found


async def inputs_for(asked: Asked, work: Path) -> Inputs:
    """Make what is built, in an empty directory."""
    collected: Mapping[str, Path] = {} if asked.base else await base.collect(whole=asked.sizes.whole_base)
    place, layout = work / "inputs", work / "layout"

    def make() -> Inputs:
        place.mkdir()
        return Inputs(
            states=inputs.make(place, asked.sizes, asked.seed, check=anyio.from_thread.check_cancelled),
            layout=layout,
            base=asked.base,
            base_digest=base.write(layout, collected) if collected else "",
            pulled_digest=pulled.write(layout, asked.sizes, asked.seed),
        )

    return await anyio.to_thread.run_sync(make)


class _Bench:
    """One benchmark, as far as it has come."""

    def __init__(
        self,
        asked: Asked,
        daemons: Daemons,
        grounds: Mapping[str, Ground],
        made: Inputs,
        found: _Found,
        *,
        work: Path,
        clock: Clock,
        hear: Hear,
    ) -> None:
        self.record = Record()
        self._asked = asked
        self._daemons = daemons
        self._grounds = grounds
        self._inputs = made
        self._work = work
        self._clock = clock
        self._hear = hear
        self._found = found
        self._caches = found.can.exports_cache and takes_layouts(found.can)
        self._rounds = asked.rounds or asked.sizes.rounds
        self._done = 0
        self._worked = 0.0
        """The weight of what is done."""
        self._began = 0.0
        self._taken = (0.0, 0.0)
        """The seconds and processor seconds of the harness up to the last run."""

    async def all(self) -> None:
        """Make all rounds, or as many as there is time for."""
        await self._without_caches()
        limit = None if self._asked.rounds else self._asked.sizes.seconds
        self._began, longest = self._clock.wall, 0.0
        self._taken = (self._clock.own, self._clock.own_processor)
        for number in range(self._rounds):
            began = self._clock.wall
            if number and limit is not None and began + longest > limit:
                self.record.notes.append(
                    f"{number} of {self._rounds} rounds: one more would have ended after {limit:.0f} s (--rounds)"
                )
                break
            await self._round(number)
            longest = max(longest, self._clock.wall - began)

    async def _without_caches(self) -> None:
        """Get ready for daemons that cannot do all of it."""
        if not self._caches:
            await anyio.to_thread.run_sync(lay_out, self._inputs)
            self.record.notes.append(
                f"{self._found.version} keeps no layer cache in a directory: cache/first, export, import, "
                "packages/keep and split storages are missing; and it takes no image of ours: they are unpacked from "
                "the context (ADD)"
            )

    async def _round(self, number: int) -> None:
        await anyio.to_thread.run_sync(self._renew)
        for name, ground in turned(list(self._grounds.items()), number):
            self._tell(f"raw figures of {name}")
            with self._clock.of("probes"), blaming(ground):
                loaded = load()
                found = await probe(ground.path, seconds=self._asked.sizes.probe, image=ground.image)
                await anyio.to_thread.run_sync(sync, ground.path)
            for raw in found:
                self.record.add_raw(raw, name, Sample(round=number, value=raw.value, load=loaded))
        for index, phase in enumerate(self._phases()):
            async with self._up(phase, number, index) as up:
                for scenario, place in phase.runs(number):
                    await self._run(scenario, up[place], number)
        await self._delete(*(ground.files / f"r{number}" for ground in self._grounds.values()))

    def _renew(self) -> None:
        temporary.renew(self._work)
        for ground in self._grounds.values():
            renew(ground)

    def _on(self, place: Place) -> Sequence[Ground]:
        """The storages of a place."""
        return [self._grounds[name] for name in dict.fromkeys((place.layers, place.packages))]

    def _phases(self) -> list[Phase]:
        return list(phases(list(self._grounds), caches=self._caches))

    @asynccontextmanager
    async def _up(self, phase: Phase, number: int, index: int) -> AsyncGenerator[Mapping[Place, _Up]]:
        """The daemons of a phase, on empty directories that go with them; after a failure they go with the storage."""
        roots = {place: self._grounds[place.layers].path / f"{number}{index}" for place in phase.places}
        async with AsyncExitStack() as stack:
            up: dict[Place, _Up] = {}
            for place in phase.places:
                ground, name = self._grounds[place.layers], f"{place.layers}-{place.packages}"
                files = self._grounds[place.packages].files / f"r{number}"
                with blaming(*self._on(place)):
                    builder = await stack.enter_async_context(self._daemon(roots[place]))
                    meter = await stack.enter_async_context(metered(ground, tree=_always(builder.pid)))
                    await anyio.Path(files).mkdir(exist_ok=True)
                solves = Solves(builder, self._inputs, copy=f"{OURS}-{name}")
                up[place] = _Up(place=place, solves=solves, meter=meter, files=files)
            yield up
        await self._delete(*roots.values())

    async def _delete(self, *directories: Path) -> None:
        """Delete directories, all at once: they lie on different storages. What that writes is written then, too."""
        with self._clock.of("deleting"):
            async with anyio.create_task_group() as tasks:
                for directory in directories:
                    tasks.start_soon(_deleted, directory)

    @asynccontextmanager
    async def _daemon(self, root: Path) -> AsyncGenerator[Builder]:
        """A daemon on a directory, whose start and end are told from what is done with it."""
        async with AsyncExitStack() as stack:
            with self._clock.of("daemons"):
                builder = await stack.enter_async_context(self._daemons.started(root))
            yield builder
            with self._clock.of("daemons"):
                await stack.aclose()

    async def _run(self, scenario: Scenario, up: _Up, number: int) -> None:
        what = f"round {number + 1}: {scenario.name} on {up.place.name}"
        self._tell(what)
        if self._asked.drop_caches:
            with self._clock.of("dropping caches"):
                await anyio.to_thread.run_sync(_DROP.write_bytes, b"3")
        loaded = load()
        up.meter.start()
        with self._clock.of(BUILDS), blaming(*self._on(up.place)):
            began = time.perf_counter()
            builds = await do(scenario, up.solves, up.files, apps=self._asked.sizes.apps)
            seconds = time.perf_counter() - began
        with self._clock.of("settling"):
            facts = dict(await up.meter.stop())
        facts |= steps.facts(builds)
        facts |= self._own(client=facts.pop("harness-cpu", 0.0))
        if wrong := fault(scenario, builds):
            self.record.notes.append(f"{what} does not count: {wrong}")
        elif scenario.measured:
            sample = Sample(round=number, value=seconds, load=loaded, facts=facts)
            self.record.add(scenario.name, up.place.name, sample)
        self._done += 1
        self._worked += scenario.weight
        self._tell(what, seconds)

    def _own(self, *, client: float) -> Mapping[str, float]:
        """What the harness took since the last run; the client's part in a build belongs to that."""
        before, self._taken = self._taken, (self._clock.own, self._clock.own_processor)
        return {
            "overhead": self._taken[0] - before[0],
            "harness-cpu": self._taken[1] - before[1],
            "client-cpu": client,
        }

    def _tell(self, what: str, value: float | None = None) -> None:
        runs = [scenario for phase in self._phases() for scenario, _ in phase.runs(0)]
        weight = sum(scenario.weight for scenario in runs)
        limit = None if self._asked.rounds else self._asked.sizes.seconds
        left = None
        if self._worked:
            pace = (self._clock.wall - self._began) / self._worked
            left = pace * (self._rounds * weight - self._worked)
            if limit is not None:
                # A round that has begun is made to its end.
                left = max(pace * weight * (-self._done % len(runs)) / len(runs), min(left, limit - self._clock.wall))
        self._hear(
            Progress(
                what=what,
                done=self._done,
                total=self._rounds * len(runs),
                seconds=self._clock.wall,
                left=left,
                value=value,
            )
        )


async def _deleted(directory: Path) -> None:
    await anyio.to_thread.run_sync(partial(shutil.rmtree, directory, ignore_errors=True))
    await anyio.to_thread.run_sync(sync, directory.parent)


def _always(pid: int) -> Callable[[], int]:
    return lambda: pid
