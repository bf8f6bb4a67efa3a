"""One package cache of one builder, carried one way: how long that took and what came of it is told.

A builder hides a mount whose size somebody has it measure, and counts that as a use: it is looked at until two looks
in a row tell the same.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import anyio

from orchestrator.app import mountusage
from orchestrator.app.mountcopies import Copies
from orchestrator.app.mountruns import Builder, Ready
from orchestrator.app.mountsteps import Mount
from orchestrator.app.mountusage import Kept
from orchestrator.cache.local import LostError
from orchestrator.engine.carrying import Tell
from orchestrator.errors import FleetpacksError
from orchestrator.events import PackagesCarried
from orchestrator.model import MountCache
from orchestrator.text import duration

_LOOKS: Final = 5
_PAUSE: Final = 0.3
"""Seconds between two looks at a builder, which hides what somebody else has it measure."""
MORE_ROOM: Final = "cache.mounts_size makes room for more."
MORE_TIME: Final = "cache.mounts_time gives more."


class NotCarried(Exception):  # noqa: N818 -- an answer, not a defect
    """Why a cache was not carried, in words."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class Known:
    """What has become of one mount of a builder in this run."""

    def __init__(self) -> None:
        self.carried = 0.0
        """Seconds, there and back."""
        self.ran = 0.0
        """Seconds of steps that have used it."""
        self.filled = False
        self.cold: float | None = None
        """Seconds that steps took without it."""
        self.cold_now = False
        """Whether that is what they take in this run."""


class Side:
    """A builder of the run, as far as its package caches matter.

    Args:
        builder: where they are.
        ready: see `Ready`.
        name: the builder's, where there are several.
    """

    def __init__(self, builder: Builder, ready: Ready, *, name: str) -> None:
        self.builder = builder
        self.copies = Copies(builder, ready)
        self.name = name
        self.known: dict[str, Known] = {}
        """By the mounts' ids: those that builds may have used."""

    async def look(self, mount: Mount) -> Kept | None:
        """A mount as it is now: what two looks in a row have told.

        Raises:
            FleetpacksError: the builder's answer.
        """
        last: Kept | None = None
        for number in range(_LOOKS):
            records = await self.builder.disk_usage(filters=mountusage.filters([mount]))
            now = mountusage.kept(records, [mount]).get(mount.id)
            if now is not None and now == last:
                return now
            last = now
            if now is None and number:
                await anyio.sleep(_PAUSE)
        return last


async def carry(
    mount: Mount,
    to: Literal["builder", "directory"],
    how: Callable[[Mount], Awaitable[int | None]],
    tell: Tell,
    *,
    side: Side,
    seconds: float,
    of: MountCache,
    passed: tuple[str, ...] = (),
) -> tuple[float, bool]:
    """Carry a cache, and tell of it where there is something to tell.

    Args:
        mount: which.
        to: where.
        how: does it; returns bytes, or None where there is nothing to do.
        tell: hears of it.
        side: the builder.
        seconds: for which it may take.
        of: what was said about that.
        passed: the builders whose news are not in it.

    Returns:
        How many seconds it took, and whether it was carried.
    """
    began, carried, why, hint = time.monotonic(), None, None, ""
    try:
        with anyio.move_on_after(max(0.0, seconds)) as scope:
            carried = await how(mount)
        if scope.cancelled_caught:
            why, hint = f"there is no more than {duration(of.seconds)} for it", MORE_TIME
    except FleetpacksError as error:
        why, hint = error.message, error.hint
    except NotCarried as error:
        why, hint = str(error), error.hint
    except (LostError, OSError) as error:
        why = str(error)
    took = time.monotonic() - began
    if carried is not None or why is not None:
        told = PackagesCarried(
            time=time.time(),
            cache=mount.name,
            to=to,
            seconds=took,
            size=carried or 0,
            error=why,
            hint=hint,
            host=side.name,
            passed=passed if carried is not None else (),
        )
        await tell(told)
    return took, carried is not None
