"""Package caches between a directory and a builder: filled before the first build that uses them, kept after the last.

A builder that has a cache keeps its own. Nothing here fails a build: what cannot be done is told, and left.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal

import anyio
import anyio.to_thread

from orchestrator.app import mountusage
from orchestrator.app.mountcopies import Copies
from orchestrator.app.mountruns import Builder
from orchestrator.app.mountsteps import Mount, mounts_of
from orchestrator.app.mountusage import Kept
from orchestrator.buildkit import SolveRequest
from orchestrator.cache import mounts as stores
from orchestrator.cache.local import LostError
from orchestrator.cache.mounts import Source, Store, Writing
from orchestrator.cache.refs import keys
from orchestrator.cache.succession import Current, waiting
from orchestrator.config import Config
from orchestrator.engine.carrying import Tell
from orchestrator.errors import FleetpacksError
from orchestrator.events import AppWarning, Event, PackagesCarried, StepCompleted
from orchestrator.model import AppPlan, MountCache, Plan
from orchestrator.text import duration, size

_LOOKS: Final = 5
_PAUSE: Final = 0.3
"""Seconds between two looks at a builder, which hides what somebody else has it measure."""
_MORE_ROOM: Final = "cache.mounts_size makes room for more."
_MORE_TIME: Final = "cache.mounts_time gives more."


class _NotCarried(Exception):  # noqa: N818 -- an answer, not a defect
    """Why a cache was not carried, in words."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class PackageCarrier:
    """Carries the package caches of one run; satisfies `orchestrator.engine.carrying.Carrier`.

    Args:
        builder: where the caches are used.
        said: how much may be done.
        root: the directory.
        plan: what is built.
        scopes: who builds, then those that it trusts; none: nobody said.
        unknown: whether it matters that nobody said.
        no_cache: whether builds begin without any: a builder empties cache mounts for them, too.
        ready: adds to a solve what all solves of the run need.
    """

    def __init__(
        self,
        builder: Builder,
        said: MountCache,
        root: Path,
        plan: Plan,
        *,
        scopes: tuple[str, ...],
        unknown: bool,
        no_cache: bool,
        ready: Callable[[SolveRequest], SolveRequest],
    ) -> None:
        self._builder = builder
        self._copies = Copies(builder, ready)
        self._said = said
        self._root = root
        self._mounts = {mount.id: mount for mount in mounts_of(plan)}
        self._scopes = scopes
        self._unknown = unknown
        self._no_cache = no_cache
        self._locks = {mount: anyio.Lock() for mount in self._mounts}
        self._asking = anyio.Lock()
        self._there: Mapping[str, Kept] | None = None
        self._known: dict[str, _Known] = {}

    def note(self, event: Event) -> None:
        """Hear of an event of the run: how long steps take that use a cache."""
        if isinstance(event, StepCompleted) and not event.cached:
            for mount, known in self._known.items():
                if f"id={mount}," in event.name:
                    known.ran += event.seconds

    async def bring(self, plan: AppPlan, tell: Tell) -> None:
        """See `Carrier`."""
        for mount in (self._mounts[each.id] for each in plan.build.cache if each.id in self._mounts):
            # Whoever comes later waits until it is there.
            async with self._locks[mount.id]:
                if mount.id not in self._known:
                    known = self._known[mount.id] = _Known()
                    took = await self._carry(mount, "builder", self._fill, tell, seconds=self._said.seconds)
                    known.carried += took

    async def take(self, tell: Tell) -> None:
        """See `Carrier`."""
        deadline = time.monotonic() + self._said.seconds
        late: list[str] = []
        for mount, known in self._known.items():
            left = deadline - time.monotonic()
            if left <= 0:
                late.append(self._mounts[mount].name)
                continue
            known.carried += await self._carry(self._mounts[mount], "directory", self._keep, tell, seconds=left)
            if known.filled and mountusage.does_not_pay(carried=known.carried, cold=known.cold, warm=known.ran):
                message = (
                    f"the package cache {self._mounts[mount].name} does not pay: to carry it took "
                    f"{known.carried:.1f}s, and the steps that use it took {known.ran:.1f}s with it and "
                    f"{known.cold:.1f}s without"
                )
                await tell(AppWarning(time=time.time(), app=None, message=message))
        if late:
            message = f"no time was left to keep what is new in the package caches of {', '.join(late)}"
            await tell(AppWarning(time=time.time(), app=None, message=message, hint=_MORE_TIME))
        if self._known:
            with suppress(OSError):
                await anyio.to_thread.run_sync(partial(stores.prune, self._root, budget=self._said.size))

    async def _carry(
        self,
        mount: Mount,
        to: Literal["builder", "directory"],
        carry: Callable[[Mount], Awaitable[int | None]],
        tell: Tell,
        *,
        seconds: float,
    ) -> float:
        """Carry a cache, tell of it, and say how many seconds that took."""
        began, carried, why, hint = time.monotonic(), None, None, ""
        try:
            with anyio.move_on_after(seconds) as scope:
                carried = await carry(mount)
            if scope.cancelled_caught:
                why, hint = f"there is no more than {duration(self._said.seconds)} for it", _MORE_TIME
        except FleetpacksError as error:
            why, hint = error.message, error.hint
        except _NotCarried as error:
            why, hint = str(error), error.hint
        except (LostError, OSError) as error:
            why = str(error)
        took = time.monotonic() - began
        if carried is not None or why is not None:
            await tell(
                PackagesCarried(
                    time=time.time(), cache=mount.name, to=to, seconds=took, size=carried or 0, error=why, hint=hint
                )
            )
        return took

    async def _fill(self, mount: Mount) -> int | None:
        """Fill a mount from the directory; returns bytes, or None where there is nothing to do."""
        if self._no_cache:
            self._known[mount.id].cold_now = True
            return None
        there = (await self._usage()).get(mount.id)
        if there is not None and not there.may_be_empty:
            return None
        source = await anyio.to_thread.run_sync(self._source, mount.name)
        known = self._known[mount.id]
        if source is None:
            known.cold_now = there is None
            return None
        if source.size > self._said.size:
            raise _NotCarried(f"it has {size(source.size)}, and {size(self._said.size)} are the most", hint=_MORE_ROOM)
        if there is not None and not await self._copies.is_empty(mount):
            return None
        ignore = "" if source.ours else stores.left_out(mount.name)
        if await self._copies.fill(mount, source.root, ignore=ignore) != "filled":
            return None
        known.filled, known.cold = True, source.cold
        return source.size

    async def _keep(self, mount: Mount) -> int | None:
        """Refresh the directory from a mount; returns bytes, or None where there is nothing to do."""
        before = await self._look(mount)
        if before is None:
            return None
        store = self._stores(mount.name)[0]
        current = await anyio.to_thread.run_sync(_current, store)
        if current is not None and mountusage.is_unchanged(before, current.seen):
            return None
        if waiting(current, now=time.time()).are_many:
            # A later run keeps what is new.
            return None
        await self._refuse(before)
        source = await anyio.to_thread.run_sync(partial(self._source, mount.name, ours=True))
        writing = await anyio.to_thread.run_sync(Writing, store)
        try:
            base = source.root if source else None
            word = await self._copies.read(mount, writing.content, base=base, limit=self._said.size)
            if word == "empty":
                return None
            if word == "large":
                raise _NotCarried("it is larger than all caches together may be", hint=_MORE_ROOM)
            if word != "taken":
                raise _NotCarried("a build wrote into it while it was read")
            after = await self._look(mount)
            if after is None or not mountusage.is_ours_alone(before, after):
                raise _NotCarried("another build used it while it was read")
            known = self._known[mount.id]
            commit = partial(writing.commit, seen=after.used, cold=known.ran if known.cold_now else None)
            written = await anyio.to_thread.run_sync(commit)
            return written.size if written else None
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writing.discard)

    async def _refuse(self, mount: Kept) -> None:
        """Raise why a mount is not to be kept, if there is a reason."""
        if self._unknown:
            raise _NotCarried("nobody says whose run this is", hint="Name it in $FLEETPACKS_TRUST_SCOPE.")
        if mount.in_use:
            raise _NotCarried("another build uses it")
        over = await anyio.to_thread.run_sync(stores.waiting_in, self._root)
        if over > self._said.size:
            raise _NotCarried(f"{size(over)} were replaced lately, and stay for those who read them", hint=_MORE_ROOM)

    async def _usage(self) -> Mapping[str, Kept]:
        """The builder's mounts before anything was built."""
        async with self._asking:
            if self._there is None:
                mounts = tuple(self._mounts.values())
                records = await self._builder.disk_usage(filters=mountusage.filters(mounts))
                self._there = mountusage.kept(records, mounts)
            return self._there

    async def _look(self, mount: Mount) -> Kept | None:
        """A mount as it is now: what two looks in a row have told."""
        last: Kept | None = None
        for number in range(_LOOKS):
            records = await self._builder.disk_usage(filters=mountusage.filters([mount]))
            now = mountusage.kept(records, [mount]).get(mount.id)
            if now is not None and now == last:
                return now
            last = now
            if now is None and number:
                await anyio.sleep(_PAUSE)
        return last

    def _stores(self, tool: str) -> tuple[Store, ...]:
        """The run's own, then those of the scopes that it trusts."""
        names = keys(tool, name=None, scopes=self._scopes, alone=False)
        return tuple(Store(self._root, tool, name) for name in names)

    def _source(self, tool: str, *, ours: bool = False) -> Source | None:
        """What a mount can be filled from.

        Raises:
            LostError: there is something, which cannot be used.
            OSError: the directory cannot be read.
        """
        lost: LostError | None = None
        for store in self._stores(tool):
            try:
                if source := store.source():
                    return source
            except LostError as error:
                lost = error
        source = None if ours else stores.plain(self._root, tool)
        if source is None and lost is not None and not ours:
            raise lost
        return source


def carrier(
    config: Config, root: Path, plan: Plan, builder: Builder, ready: Callable[[SolveRequest], SolveRequest]
) -> PackageCarrier:
    """Who carries a run's package caches.

    Args:
        config: what was said.
        root: their directory.
        plan: what is built.
        builder: where.
        ready: adds to a solve what all solves of the run need.
    """
    environment = config.environment
    scopes = environment.trust_scopes or environment.ci.scopes
    unknown = environment.in_ci and not scopes
    return PackageCarrier(
        builder, config.cache.mounts, root, plan, scopes=scopes, unknown=unknown, no_cache=config.no_cache, ready=ready
    )


class _Known:
    """What has become of one mount in this run."""

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


def _current(store: Store) -> Current | None:
    try:
        return store.current()
    except LostError:
        # It is written anew.
        return None
