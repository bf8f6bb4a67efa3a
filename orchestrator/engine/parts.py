"""An image whose platforms are built on hosts of their own: all of them, or it has failed."""

import time
from collections.abc import Awaitable, Callable, Sequence

import anyio
import msgspec

from orchestrator.engine.host import Lease
from orchestrator.events import AppCompleted, AppFailed, ImagePart
from orchestrator.model import AppPlan

End = Callable[[AppCompleted | AppFailed, Lease | None], Awaitable[None]]
"""Hears how a build ended, and where; it has its place until this returns."""
Place = Callable[[AppPlan, End], Awaitable[None]]
"""Builds where there is room, and tells how it ended, once."""


class Parts:
    """What has become of the parts of one image."""

    def __init__(self) -> None:
        self.failure: AppFailed | None = None
        """Of the part that failed first; None: all are built."""
        self._began = time.monotonic()
        self._done: dict[str, tuple[AppCompleted, Lease]] = {}
        self._order: tuple[str, ...] = ()

    async def build(self, parts: Sequence[AppPlan], place: Place) -> None:
        """Build them at once; when one has failed, the others are cancelled.

        Args:
            parts: their plans.
            place: builds one of them.
        """
        self._order = tuple(part.part for part in parts)
        async with anyio.create_task_group() as tasks:

            async def one(part: AppPlan) -> None:
                async def end(outcome: AppCompleted | AppFailed, lease: Lease | None) -> None:
                    if isinstance(outcome, AppCompleted) and lease is not None:
                        self._done[part.part] = outcome, lease
                    elif isinstance(outcome, AppFailed) and self.failure is None:
                        message = f"{part.part}: {outcome.message}"
                        self.failure = msgspec.structs.replace(outcome, message=message)
                        tasks.cancel_scope.cancel()

                await place(part, end)

            for part in parts:
                tasks.start_soon(one, part)

    @property
    def seconds(self) -> float:
        """How long it took until now."""
        return time.monotonic() - self._began

    @property
    def leases(self) -> tuple[Lease, ...]:
        """The places of those that are built, in the order of the platforms."""
        return tuple(self._done[platform][1] for platform in self._order if platform in self._done)

    @property
    def built(self) -> tuple[ImagePart, ...]:
        """The parts that are built, in the order of the platforms."""
        return tuple(
            ImagePart(
                platform=platform,
                host=lease.host.name,
                digest=outcome.digest,
                seconds=outcome.seconds,
                steps=outcome.steps,
                cached=outcome.cached,
                sent_bytes=outcome.sent_bytes,
            )
            for platform in self._order
            if platform in self._done
            for outcome, lease in [self._done[platform]]
        )
