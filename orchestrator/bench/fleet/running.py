"""The benchmark of a pool, from what was asked to its report."""

import random
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from orchestrator.bench.fleet.host import Host, between, load_of
from orchestrator.bench.fleet.lost import Lost
from orchestrator.bench.fleet.solves import HostSolves
from orchestrator.bench.fleet.telling import POOL, SCALING, notes
from orchestrator.bench.fleet.turns import ELSEWHERE, RAW, SCENARIOS, TRANSFER, Do, Turn, counts
from orchestrator.bench.ground.shapes import OWN, UNITS
from orchestrator.bench.model import Raw
from orchestrator.bench.result import Report, Sample, load
from orchestrator.bench.together import together
from orchestrator.bench.work import pulled, rounds, running, steps
from orchestrator.bench.work.clock import Clock
from orchestrator.bench.work.dockerfile import OURS
from orchestrator.bench.work.doing import fault
from orchestrator.bench.work.record import BUILDS, Record, own_python
from orchestrator.bench.work.rounds import Scenario
from orchestrator.bench.work.running import Hear, Progress
from orchestrator.bench.work.sizes import Sizes
from orchestrator.bench.work.solves import Inputs, takes_layouts
from orchestrator.errors import FleetpacksError, UsageError

if TYPE_CHECKING:
    from orchestrator.bench.work.steps import Steps


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    sizes: Sizes
    rounds: int
    base: str = ""
    """The base image; "": one of our own."""


Warn = Callable[[str], None]
"""Told of what stands in no report."""


async def measure(
    asked: Asked,
    hosts: Sequence[Host],
    *,
    left_out: Sequence[str],
    work: Path,
    commit: str,
    date: str,
    hear: Hear,
    warn: Warn,
) -> Report:
    """Measure the hosts of a pool.

    Args:
        asked: what.
        hosts: at least one.
        left_out: what is to be said of others.
        work: an empty directory.
        commit: what measures: for the report.
        date: today.
        hear: told of progress.
        warn: told of what would stand in the report, when there is none.

    Raises:
        UsageError: no daemon takes the base image.
        FleetpacksError: a build failed on the last host that was left.
    """
    clock = Clock()
    hear(Progress(what="making what is built", seconds=0.0))
    with clock.of("inputs"):
        build = running.Asked(targets=(), sizes=asked.sizes, seed=secrets.randbits(32), base=asked.base)
        inputs = await running.inputs_for(build, work)
    bench = _Bench(asked, hosts, inputs, work, clock=clock, hear=hear)
    bench.record.notes.extend(left_out)
    measured = False
    try:
        await bench.all()
        measured = True
    finally:
        with anyio.CancelScope(shield=True):
            await bench.forget(hosts)
        for note in () if measured else bench.record.notes:
            warn(note)
    settings = {
        "size": asked.sizes.name,
        "base": asked.base or own_python(),
        **{f"host:{host.name}": host.about for host in bench.hosts},
    }
    report = bench.record.report(commit=commit, date=date, settings=settings, grounds=(), clock=clock)
    return msgspec.structs.replace(report, benchmark="fleet", notes=(*report.notes, *notes(report)))


class _Bench:
    """One benchmark, as far as it has come."""

    def __init__(
        self, asked: Asked, hosts: Sequence[Host], inputs: Inputs, work: Path, *, clock: Clock, hear: Hear
    ) -> None:
        self.record = Record()
        self._asked = asked
        self.hosts = hosts
        """Those that got ready."""
        self._lost = Lost([host.name for host in hosts])
        self._inputs = inputs
        self._work = work
        self._clock = clock
        self._hear = hear
        self._word = secrets.token_hex(4)
        self._done, self._total = 0, 0
        self._began = 0.0

    async def all(self) -> None:
        """Make all rounds."""
        for host in self.hosts:
            await self._try(host, None, partial(self._ready, host))
        self.hosts = [host for host in self.hosts if host.name not in self._lost]
        self._lost = Lost([host.name for host in self.hosts])
        self._began = self._clock.wall
        each = len(SCENARIOS) + 2 - (len(self.hosts) == 1)
        self._total = self._asked.rounds * (each * len(self.hosts) + len(counts(len(self.hosts))))
        for number in range(self._asked.rounds):
            if number:
                # What all rounds build together is more than a disk may have.
                await self.forget([host for host in self.hosts if host.name not in self._lost])
                for host in self.hosts:
                    await self._try(host, number, partial(self._ready, host))
            await self._round(number)

    async def forget(self, hosts: Sequence[Host]) -> None:
        """Have daemons delete what was built."""
        with self._clock.of("deleting"):
            await together([partial(self._forget, host) for host in hosts])

    async def _ready(self, host: Host) -> None:
        if not self._asked.base and not takes_layouts(host.builder.can):
            raise UsageError(
                f"{host.name}: its daemon takes no image of ours",
                hint="Name a base image with Python 3 and a shell in it, which it can pull: --base IMAGE.",
            )
        self._tell(f"getting {host.name} ready")
        with self._clock.of("readying"):
            await self._solves(host, self._inputs).ready()

    async def _try(self, host: Host, number: int | None, do: Callable[[], Awaitable[object]]) -> bool:
        """Do something on a host unless it is lost; returns whether it was done."""
        if host.name in self._lost:
            return False
        try:
            await do()
        except FleetpacksError as error:
            self._lose(host, error, number)
            return False
        return True

    def _lose(self, host: Host, error: FleetpacksError, number: int | None) -> None:
        self._note(self._lost.add(host.name, error, number=number))

    async def _forget(self, host: Host) -> None:
        if problem := await host.forget():
            self._note(f"{host.name}: what was built stays in its cache: {problem}")

    async def _round(self, number: int) -> None:
        with self._clock.of("inputs"):
            inputs, sent = await anyio.to_thread.run_sync(self._fresh, number)
        turns = [self._turn(at, number, inputs) for at in range(len(self.hosts))]
        scenarios: list[tuple[Scenario, Do | None]] = [(TRANSFER, None), (RAW, None), *SCENARIOS]
        for index, (scenario, do) in enumerate(scenarios):
            if scenario is ELSEWHERE and len(turns) == 1:
                continue
            for turn in rounds.turned(turns, number + index):
                if scenario is TRANSFER:
                    run = partial(self._transfer, turn, number, sent)
                elif scenario is RAW:
                    run = partial(self._raw, turn, number)
                elif do is not None:
                    run = partial(self._build, scenario, do, turn, number)
                else:
                    continue
                if not await self._try(turn.host, number, run):
                    self._total -= 1
        for count in counts(len(turns)):
            # Fewer hosts are another pool.
            if self._lost:
                self._total -= 1
            else:
                await self._scale(rounds.turned(turns, number)[:count], number)
        with self._clock.of("deleting"):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(sent, ignore_errors=True))

    def _turn(self, at: int, number: int, inputs: Inputs) -> Turn:
        host, word = self.hosts[at], f"{self._word}r{number}"
        return Turn(
            host=host,
            solves=self._solves(host, inputs),
            word=word,
            app=f"{word}h{at}",
            other=f"{word}h{(at + 1) % len(self.hosts)}",
            apps=self._asked.sizes.apps,
        )

    def _solves(self, host: Host, inputs: Inputs) -> HostSolves:
        return HostSolves(host.builder, inputs, copy=f"{OURS}-{self._word}")

    def _fresh(self, number: int) -> tuple[Inputs, Path]:
        """An image and a file that no host has yet."""
        digest = pulled.write(self._inputs.layout, self._asked.sizes, secrets.randbits(32))
        sent = self._work / f"sent{number}"
        sent.mkdir()
        dice = random.Random(f"{self._word}{number}")  # noqa: S311 -- no secret
        (sent / "sent").write_bytes(dice.randbytes(self._asked.sizes.large))
        return msgspec.structs.replace(self._inputs, pulled_digest=digest), sent

    async def _build(self, scenario: Scenario, do: Do, turn: Turn, number: int) -> None:
        what = f"round {number + 1}: {scenario.name} on {turn.host.name}"
        if scenario is rounds.PULL and not takes_layouts(turn.host.builder.can):
            self._note(f"{turn.host.name}: its daemon takes no image of ours: pull is missing")
            return
        builds: Sequence[Steps] = ()
        async with self._timed(what, turn.host) as run:
            builds = await do(turn)
        run.facts |= steps.facts(builds)
        if wrong := fault(scenario, builds):
            self.record.notes.append(f"{what} does not count: {wrong}")
        else:
            self.record.add(scenario.name, turn.host.name, run.sample(number))

    async def _transfer(self, turn: Turn, number: int, sent: Path) -> None:
        what = f"round {number + 1}: sending to {turn.host.name}"
        async with self._timed(what, turn.host) as run:
            await turn.solves.transfer(sent)
        rate = self._asked.sizes.large / run.seconds
        raw = Raw(scenario=TRANSFER.name, value=rate, unit="B/s", by=OWN)
        self.record.add_raw(raw, turn.host.name, run.sample(number, rate))

    async def _raw(self, turn: Turn, number: int) -> None:
        self._tell(f"round {number + 1}: raw figures of {turn.host.name}")
        loaded = load_of(await turn.host.counters())
        with self._clock.of("probes"):
            found = await turn.solves.raw(self._asked.sizes.probe)
        for scenario, unit in UNITS.items():
            if scenario in found:
                raw = Raw(scenario=scenario, value=found[scenario], unit=unit, by=OWN)
                sample = Sample(round=number, value=raw.value, load=load() if loaded is None else loaded)
                self.record.add_raw(raw, turn.host.name, sample)
        self._done += 1

    async def _scale(self, turns: Sequence[Turn], number: int) -> None:
        """Build as many apps as the pool has hosts, on some of them."""
        what = f"round {number + 1}: {len(self.hosts)} apps on {len(turns)} hosts"
        apps = [f"{turns[0].word}s{len(turns)}a{each}" for each in range(len(self.hosts))]
        failed: list[tuple[Host, FleetpacksError]] = []

        async def share(turn: Turn, part: Sequence[str]) -> None:
            try:
                await turn.solves.parallel(part, word=turn.app)
            except FleetpacksError as error:
                failed.append((turn.host, error))
                raise

        try:
            async with self._timed(what, None) as run:
                await together([partial(share, turn, apps[at :: len(turns)]) for at, turn in enumerate(turns)])
        except FleetpacksError:
            self._total -= 1
            for host, error in failed:
                self._lose(host, error, number)
            return
        self.record.add(f"{SCALING}{len(turns)}", POOL, run.sample(number))

    @asynccontextmanager
    async def _timed(self, what: str, host: Host | None) -> AsyncGenerator["_Run"]:
        self._tell(what)
        before = await host.counters() if host is not None else ""
        loaded, processor, own = load_of(before), time.process_time(), self._clock.own
        run = _Run(load=load() if loaded is None else loaded)
        with self._clock.of(BUILDS):
            began = time.perf_counter()
            yield run
            run.seconds = time.perf_counter() - began
        run.facts["harness-cpu"] = time.process_time() - processor
        if host is not None and before:
            run.facts |= between(before, await host.counters(), host.device)
        run.facts["overhead"] = self._clock.own - own
        self._done += 1
        self._tell(what, run.seconds)

    def _note(self, text: str) -> None:
        if text not in self.record.notes:
            self.record.notes.append(text)

    def _tell(self, what: str, value: float | None = None) -> None:
        spent = self._clock.wall - self._began
        left = spent / self._done * (self._total - self._done) if self._done else None
        self._hear(
            Progress(what=what, done=self._done, total=self._total, seconds=self._clock.wall, left=left, value=value)
        )


class _Run(msgspec.Struct, kw_only=True):
    """A run, while it goes on."""

    load: float
    seconds: float = 0.0
    facts: dict[str, float] = {}

    def sample(self, number: int, value: float | None = None) -> Sample:
        """It, in a round."""
        return Sample(
            round=number, value=self.seconds if value is None else value, load=self.load, facts=dict(self.facts)
        )
