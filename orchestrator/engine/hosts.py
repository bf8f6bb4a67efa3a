"""The builder hosts of a run: who waits for one, who has one, which are set aside.

Whoever builds holds a `lease`, and waits for it until the pool has a place. A host of several that is lost, or whose
disk is full, is set aside: builds that ran there fail by themselves, for their connections were its own, and wait for
another host. It is asked ever more rarely whether it is well, and takes builds again when it is.
"""

import bisect
import itertools
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import anyio
import msgspec

from orchestrator.engine.carrying import Carrier
from orchestrator.engine.host import BuilderHost, Lease
from orchestrator.errors import BuilderUnreachableError, CacheLostError, DaemonLostError, DiskFullError, FleetpacksError
from orchestrator.events import AppFailed, AppWarning, Event
from orchestrator.schedule.placement import Host, Job, Part, Placed, Pool, suits
from orchestrator.text import duration

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
    placed: Placed | None = None
    held: float | None = None
    """Since when it waits for memory."""


class Hosts:
    """The hosts of one run; a context manager, whose block is the run's."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        limit: int,
        tell: Callable[[Event], Awaitable[None]],
        lies: Mapping[Part, Iterable[str]] | None = None,
    ) -> None:
        """Get ready.

        Args:
            members: the hosts, at least one; their names are unique.
            limit: builds at once on all of them, at least 1.
            tell: tells what happens to hosts.
            lies: where earlier builds have left what.
        """
        self._members = {member.facts.name: member for member in members}
        self._pool = Pool((member.facts for member in members), limit=limit, lies=lies)
        self._tell = tell
        self._waiting: list[_Waiter] = []
        self._aside: dict[str, AppFailed] = {}
        self._turns = itertools.count()
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
        """Of all hosts, also of those that are set aside."""
        return tuple(self._members)

    @property
    def memory(self) -> int:
        """Bytes that all have for builds, as far as that is known."""
        return sum(member.facts.memory for member in self._members.values())

    @property
    def many(self) -> bool:
        """Whether a build that loses its host may find another."""
        return len(self._members) > 1

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
        self._wake()
        await self._say(f"{name} is set aside, and what was built there is built elsewhere: {failure.message}")

    async def _probe(self, name: str, seconds: float) -> None:
        member = self._members[name]
        while True:
            await anyio.sleep(seconds * (0.5 + _jitter() / 2))
            try:
                await member.probe()
                break
            except FleetpacksError:
                seconds = min(_LONGEST_SECONDS, seconds * 2)
        del self._aside[name]
        self._pool.add(member.facts)
        self._dispatch()
        self._wake()
        await self._say(f"{name} answers again, and takes builds")

    async def _wait(self, waiter: _Waiter) -> None:
        """Wait until something has changed for whoever waits."""
        if self._pool.suits(waiter.job):
            await waiter.woken.wait()
            return
        gone = [failure for name, failure in self._aside.items() if suits(self._members[name].facts, waiter.job)]
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

    def _dispatch(self) -> None:
        """Give places to those that wait."""
        while (placed := self._pool.next([waiter.job for waiter in self._waiting])) is not None:
            waiter = next(each for each in self._waiting if each.job is placed.job)
            self._waiting.remove(waiter)
            self._pool.began(placed)
            waiter.placed = placed
            waiter.woken.set()
        for waiter in self._waiting:
            if waiter.held is None and waiter.job.app in self._pool.held:
                waiter.held = anyio.current_time()

    def _wake(self) -> None:
        for waiter in self._waiting:
            waiter.woken.set()
            waiter.woken = anyio.Event()

    async def _say(self, message: str) -> None:
        await self._tell(AppWarning(time=time.time(), app=None, message=message))
