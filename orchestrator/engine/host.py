"""A builder host, as the engine sees it: what solves, what publishes, what makes its solves; and a place on it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from orchestrator.buildkit import MemoryUse, OnStatus, SolveRequest, SolveResult
from orchestrator.engine.carrying import Carrier
from orchestrator.engine.publish import Published
from orchestrator.model import AppPlan
from orchestrator.schedule.placement import Placed

PrepareExport = Callable[[AppPlan], AbstractContextManager[Sequence[SolveRequest]]]
Prepare = Callable[[AppPlan], AbstractContextManager[SolveRequest]]
Measure = Callable[[str], Awaitable[MemoryUse]]


class Solver(Protocol):
    """A builder."""

    @property
    def address(self) -> str:
        """Where it is, for people."""
        ...

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """Build; raises a `FleetpacksError`. Cancelling it cancels the build on the daemon."""
        ...


class Publisher(Protocol):
    """A registry."""

    async def publish(
        self,
        repository: str,
        digest: str,
        tags: Sequence[str],
        *,
        record: str | None = None,
        on_status: OnStatus | None = None,
    ) -> Published:
        """Put what the builder made under its tags, and under its record's. Raises a `FleetpacksError`."""
        ...


class Joiner(Protocol):
    """A registry, for images whose platforms several builders push."""

    async def join(
        self, repository: str, parts: Sequence[tuple[str, str]], tags: Sequence[str], *, record: str | None = None
    ) -> Published:
        """Put an index of what was pushed for each platform under its tags. Raises a `FleetpacksError`."""
        ...


class BuilderHost(msgspec.Struct, frozen=True, kw_only=True):
    """All that differs from one builder to the next."""

    solver: Solver
    publisher: Publisher
    prepare: Prepare
    """Makes an app's solve; its block is held for as long as the solve runs."""
    export: PrepareExport | None = None
    """Makes the solves that write the caches of a published app; None: there are none."""
    carrier: Carrier | None = None
    """Fills package caches before builds, and keeps them afterwards; None: the builder has what it has."""
    measure: Measure | None = None
    """Knows what a build needed of its memory, by its ref; None: nobody does."""
    worker: str = ""
    """Its id of its own."""
    source_policy: bool = True
    """Whether it takes images from elsewhere when it is told to."""
    platform: str = ""
    """What it builds for where nothing is said; "": not known."""

    @property
    def name(self) -> str:
        """Its address, for people and for records."""
        return self.solver.address


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A build's place."""

    host: BuilderHost
    placed: Placed
    held: float
    """Seconds for which it waited for memory, with a slot free."""
