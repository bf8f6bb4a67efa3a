"""The cache of an app that is published: written by a solve of its own, within a time, and nobody's failure."""

import itertools
import random
import time
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from orchestrator.buildkit import OnStatus, SolveRequest, StatusUpdate
from orchestrator.engine.host import BuilderHost
from orchestrator.engine.progress import Progress
from orchestrator.engine.retry import pause
from orchestrator.engine.standing import Standing
from orchestrator.errors import FleetpacksError, StepCancelledError
from orchestrator.events import CacheExported, Event
from orchestrator.model import AppPlan

_SECONDS = 900.0
"""A cache that takes longer to write than this is not worth it."""
_jitter = random.random


class Exporting:
    """Writes the caches of one run's apps.

    Args:
        emit: tells what happens.
        standing: what apps stand on.
        retries: attempts after a first one that ended with another client.
    """

    def __init__(self, emit: Callable[[Event], Awaitable[None]], standing: Standing, *, retries: int) -> None:
        self._emit = emit
        self._standing = standing
        self._retries = retries

    async def export(self, plan: AppPlan, request: SolveRequest, host: BuilderHost) -> None:
        """Write an app's cache."""
        began, progress = time.monotonic(), Progress(plan.app.name)
        problem: str | None = f"not done after {_SECONDS:.0f} s"

        async def on_status(update: StatusUpdate) -> None:
            for _ in progress.feed(update):
                pass

        with anyio.move_on_after(_SECONDS):
            try:
                request = await self._standing.held(plan, request, host)
                await self._written(request, host, on_status)
                problem = None
            except FleetpacksError as failure:
                problem = failure.message
        attrs = request.cache_exports[0].attrs
        await self._emit(
            CacheExported(
                time=time.time(),
                app=plan.app.name,
                ref=attrs.get("ref") or attrs.get("dest", ""),
                seconds=time.monotonic() - began,
                executed=progress.steps - progress.cached,
                error=problem,
            )
        )

    async def _written(self, request: SolveRequest, host: BuilderHost, on_status: OnStatus) -> None:
        """Write a cache; again where the writing of a layer ended with another client. A busy registry is left alone.

        Raises:
            FleetpacksError: the last attempt's failure.
        """
        ref = request.ref
        for failed in itertools.count(1):
            try:
                await host.solver.solve(request, on_status=on_status)
            except StepCancelledError as error:
                wait = pause(error, failed=failed, retries=self._retries, jitter=_jitter())
                if wait is None:
                    raise
            else:
                return
            # The daemon may still hold the last one's.
            request = msgspec.structs.replace(request, ref=f"{ref}-{failed}")
            await anyio.sleep(wait)
