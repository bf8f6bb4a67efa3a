"""The builder hosts of a run: who waits for one, who has one, which are set aside.

Whoever builds holds a `lease`, and waits for it until the pool has a place. A host of several that is lost, or whose
disk is full, is set aside: builds that ran there fail by themselves, for their connections were its own, and wait for
another host. It is asked ever more rarely whether it is well, and takes builds again when it is. Hosts that have not
answered yet are set aside, too, until they join; and so are those that are drained, whose builds end as they would.

Of a full disk a step's program may be the first to tell, in words that whoever wrote the build could write, too: such
a build goes elsewhere, and its host is set aside only when the daemon itself finds no room.
"""

import bisect
import itertools
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import anyio
import msgspec

from orchestrator.engine.carrying import Carrier
from orchestrator.engine.host import BuilderHost, Lease
from orchestrator.errors import BuilderUnreachableError, CacheLostError, DaemonLostError, DiskFullError, FleetpacksError
from orchestrator.events import AppFailed
from orchestrator.schedule.placement import Host, Job, Part, Placed, Pool, suits
from orchestrator.text import duration

_NO_ROOM = "No space left on device"
"""How a step's program says it."""
_ILL = frozenset({CacheLostError.kind, DiskFullError.kind})
LOST = frozenset({BuilderUnreachableError.kind, DaemonLostError.kind, *_ILL})
"""Failures of which a host, and not what is built on it, is the cause."""
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
_FULL_SECONDS = 60.0
"""A full disk answers well, as a cache does that lacks something: it is given time to collect its garbage instead."""
_PATIENCE_SECONDS = 120.0
"""How long builds wait for hosts that are all set aside."""
_jitter = random.random

Probe = Callable[[], Awaitable[object]]
"""Asks a host whether it is well; raises a `FleetpacksError` when it is not."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A host of the pool."""

    facts: Host
    host: BuilderHost
    probe: Probe


class _Waiter(msgspec.Struct, kw_only=True):
    job: Job
    rank: tuple[int, int]
    woken: anyio.Event
    besides: str = ""
    """Where the same is being built already: of a second build, which comes after all others."""
    placed: Placed | None = None
    held: float | None = None
    """Since when it waits for memory."""


_Why = AppFailed | FleetpacksError
"""Why a host is set aside."""


class Hosts:
    """The hosts of one run; a context manager, whose block is the run's.

    Attributes:
        say: tells of something that concerns all apps.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        limit: int,
        say: Callable[[str], Awaitable[None]],
        more: Callable[[int], None],
        lies: Mapping[Part, Iterable[str]] | None = None,
        absent: Mapping[str, FleetpacksError] | None = None,
    ) -> None:
        """Get ready.

        Args:
            members: the hosts, at least one; their names are unique.
            limit: builds at once on all of them, at least 1.
            say: tells what happens to hosts.
            more: hears of slots that have come.
            lies: where earlier builds have left what.
            absent: those that have not answered, by name, and why; they may join.
        """
        self._members = {member.facts.name: member for member in members}
        self._pool = Pool((member.facts for member in members), limit=limit, lies=lies)
        self._more = more
        self.say = say
        self._waiting: list[_Waiter] = []
        self._spares: list[_Waiter] = []
        self._aside: dict[str, _Why] = dict(absent or {})
        self._turns = itertools.count()
        self._alarm = math.inf
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all hosts, also of those that are set aside; those that have not answered come last."""
        return tuple(dict.fromkeys((*self._members, *self._aside)))

    @property
    def platforms(self) -> tuple[frozenset[str], ...]:
        """What each of them builds for; nothing: whatever is asked for."""
        return tuple(member.facts.platforms for member in self._members.values())

    @property
    def memory(self) -> int:
        """Bytes that all have for builds, as far as that is known."""
        return sum(member.facts.memory for member in self._members.values())

    @property
    def many(self) -> bool:
        """Whether a build that loses its host may find another."""
        return len(self._members.keys() | self._aside.keys()) > 1

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """Whoever carries package caches to hosts and back."""
        return tuple(member.host.carrier for member in self._members.values() if member.host.carrier is not None)

    @asynccontextmanager
    async def lease(self, job: Job, *, rank: int) -> AsyncGenerator[Lease]:
        """Hold a slot of a host; waits until there is one.

        Args:
            job: what is going to be built there.
            rank: whose smaller is comes before others that wait.

        Raises:
            BuilderUnreachableError: no host builds for its platform, or all that do have been set aside for minutes.
        """
        waiter = _Waiter(job=job, rank=(rank, next(self._turns)), woken=anyio.Event())
        bisect.insort(self._waiting, waiter, key=lambda each: each.rank)
        self._dispatch()
        try:
            while waiter.placed is None:
                await self._wait(waiter)
            held = 0.0 if waiter.held is None else anyio.current_time() - waiter.held
            yield Lease(host=self._members[waiter.placed.host].host, placed=waiter.placed, held=held)
        finally:
            if waiter.placed is None:
                self._waiting.remove(waiter)
            else:
                self._pool.ended(waiter.placed)
            self._dispatch()

    @asynccontextmanager
    async def spare(self, lease: Lease) -> AsyncGenerator[Lease]:
        """Hold a slot of another host for a build that runs already; waits until there is one that nobody waits for."""
        waiter = _Waiter(
            job=lease.placed.job, rank=(0, next(self._turns)), woken=anyio.Event(), besides=lease.placed.host
        )
        self._spares.append(waiter)
        self._dispatch()
        try:
            await waiter.woken.wait()
            assert waiter.placed is not None  # noqa: S101 -- nobody else wakes it
            yield Lease(host=self._members[waiter.placed.host].host, placed=waiter.placed, held=0.0)
        finally:
            if waiter.placed is None:
                self._spares.remove(waiter)
            else:
                self._pool.ended(waiter.placed)
            self._dispatch()

    def elsewhere(self, lease: Lease, failure: AppFailed) -> Job | None:
        """What failed at a place for want of room, to be built on any other host; None: it failed by itself."""
        if failure.exit_code is None or not any(_NO_ROOM in line for line in failure.log):
            return None
        job = lease.placed.job
        job = msgspec.structs.replace(job, besides=job.besides | {lease.placed.host})
        return job if self._pool.suits(job) or any(self._may_suit(name, job) for name in self._aside) else None

    def left(self, lease: Lease) -> None:
        """What a build needs lies on its host from now on."""
        self._pool.left(lease.placed)

    async def lost(self, lease: Lease, failure: AppFailed) -> None:
        """A build says of its host that it is lost or full: it gets no more builds until it is well."""
        name = lease.placed.host
        if name in self._aside:
            return
        self._aside[name] = failure
        self._pool.remove(name)
        self._tasks.start_soon(self._probe, name, _FULL_SECONDS if failure.kind in _ILL else _FIRST_SECONDS)
        self._dispatch()
        self._wake()
        await self.say(f"{name} is set aside, and what was built there is built elsewhere: {failure.message}")

    async def join(self, member: Member, *, limit: int) -> None:
        """A host takes builds from now on that is new, or has not answered before.

        Args:
            member: the host.
            limit: builds at once on all of them from now on.
        """
        name = member.facts.name
        self._members[name] = member
        self._pool.limit = limit
        self._more(member.facts.slots)
        self._take(name)
        await self.say(f"{name} answers, and takes builds")

    async def drain(self, name: str, why: FleetpacksError) -> None:
        """A host gets no more builds, if it ever had one; those that run there end as they would."""
        if name in self._members and name not in self._aside:
            self._pool.remove(name)
        self._aside[name] = why
        self._dispatch()
        self._wake()
        await self.say(why.message)

    async def restore(self, name: str) -> None:
        """A host that was drained takes builds again."""
        self._take(name)
        await self.say(f"{name} takes builds again")

    async def forget(self, name: str, why: FleetpacksError) -> None:
        """A host that has not answered will not join."""
        self._aside.pop(name, None)
        self._wake()
        await self.say(f"not used: {why.message}")

    def _take(self, name: str) -> None:
        self._aside.pop(name, None)
        self._pool.add(self._members[name].facts)
        self._dispatch()
        self._wake()

    async def _probe(self, name: str, seconds: float) -> None:
        member, why = self._members[name], self._aside[name]
        while True:
            await anyio.sleep(seconds * (0.5 + _jitter() / 2))
            try:
                await member.probe()
                break
            except FleetpacksError:
                seconds = min(_LONGEST_SECONDS, seconds * 2)
        # It may have been drained meanwhile.
        if self._aside.get(name) is why:
            self._take(name)
            await self.say(f"{name} answers again, and takes builds")

    async def _wait(self, waiter: _Waiter) -> None:
        """Wait until something has changed for whoever waits."""
        if self._pool.suits(waiter.job):
            await waiter.woken.wait()
            return
        gone = [why for name, why in self._aside.items() if self._may_suit(name, waiter.job)]
        if not gone:
            raise BuilderUnreachableError(
                f"no host builds for {waiter.job.platform}", hint="Name one that does, or build for another platform."
            )
        with anyio.move_on_after(_PATIENCE_SECONDS):
            await waiter.woken.wait()
            return
        raise BuilderUnreachableError(
            f"all hosts have been set aside for {duration(_PATIENCE_SECONDS)}: {gone[-1].message}", hint=gone[-1].hint
        )

    def _may_suit(self, name: str, job: Job) -> bool:
        """Whether a host builds for an app's platform, for all that is known."""
        return name not in self._members or suits(self._members[name].facts, job)

    def _dispatch(self) -> None:
        """Give places to those that wait."""
        now = anyio.current_time()
        while (placed := self._pool.next([waiter.job for waiter in self._waiting], now=now)) is not None:
            waiter = next(each for each in self._waiting if each.job is placed.job)
            self._waiting.remove(waiter)
            self._pool.began(placed)
            waiter.placed = placed
            waiter.woken.set()
        if (until := self._pool.patient_until) is not None and until < self._alarm:
            self._alarm = until
            self._tasks.start_soon(self._at, until)
        for waiter in () if self._waiting else tuple(self._spares):
            waiter.placed = self._pool.spare(waiter.job, besides=waiter.besides)
            if waiter.placed is not None:
                self._spares.remove(waiter)
                self._pool.began(waiter.placed)
                waiter.woken.set()
        for waiter in self._waiting:
            if waiter.held is None and waiter.job.app in self._pool.held:
                waiter.held = anyio.current_time()

    async def _at(self, until: float) -> None:
        """Look again when somebody stops waiting for its home."""
        await anyio.sleep_until(until)
        if self._alarm == until:
            self._alarm = math.inf
            self._dispatch()

    def _wake(self) -> None:
        for waiter in self._waiting:
            waiter.woken.set()
            waiter.woken = anyio.Event()
