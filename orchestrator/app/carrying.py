"""Package caches between a directory and a builder: filled before the first build that uses them, kept after the last.

A builder that has a cache keeps its own. Nothing here fails a build: what cannot be done is told, and left.
"""

from collections.abc import Mapping

import anyio
import anyio.to_thread

from orchestrator.app import mountusage
from orchestrator.app.carriage import MORE_ROOM, Known, NotCarried, Side, carry
from orchestrator.app.keeping import Keeping
from orchestrator.app.mountruns import Builder, Ready
from orchestrator.app.mountsteps import Mount
from orchestrator.app.mountusage import Kept
from orchestrator.cache import mounts as stores
from orchestrator.engine.carrying import Tell
from orchestrator.events import Event, StepCompleted
from orchestrator.model import AppPlan
from orchestrator.text import size


class PackageCarrier:
    """Carries the package caches of one run to one builder and back; see `orchestrator.engine.carrying.Carrier`.

    Args:
        builder: where the caches are used.
        keeping: the run's caches, and their directory.
        no_cache: whether builds begin without any: a builder empties cache mounts for them, too.
        ready: see `Ready`.
        name: the builder's, where there are several.
    """

    def __init__(
        self,
        builder: Builder,
        keeping: Keeping,
        *,
        no_cache: bool,
        ready: Ready,
        name: str = "",
    ) -> None:
        self._side = Side(builder, ready, name=name)
        self._keeping = keeping
        self._no_cache = no_cache
        self._locks = {mount: anyio.Lock() for mount in keeping.mounts}
        self._asking = anyio.Lock()
        self._there: Mapping[str, Kept] | None = None
        keeping.add(self._side)

    def note(self, event: Event) -> None:
        """Hear of an event of the run: how long steps take that use a cache."""
        if isinstance(event, StepCompleted) and not event.cached:
            for mount, known in self._side.known.items():
                if f"id={mount}," in event.name:
                    known.ran += event.seconds

    async def bring(self, plan: AppPlan, tell: Tell) -> None:
        """See `Carrier`."""
        mounts = self._keeping.mounts
        for mount in (mounts[each.id] for each in plan.build.cache if each.id in mounts):
            # Whoever comes later waits until it is there.
            async with self._locks[mount.id]:
                if mount.id not in self._side.known:
                    known = self._side.known[mount.id] = Known()
                    said = self._keeping.said
                    took, _ = await carry(
                        mount, "builder", self._fill, tell, side=self._side, seconds=said.seconds, of=said
                    )
                    known.carried += took

    async def take(self, tell: Tell) -> None:
        """See `Carrier`."""
        await self._keeping.take(tell)

    async def _fill(self, mount: Mount) -> int | None:
        """Fill a mount from the directory; returns bytes, or None where there is nothing to do."""
        known, said = self._side.known[mount.id], self._keeping.said
        if self._no_cache:
            known.cold_now = True
            return None
        there = (await self._usage()).get(mount.id)
        if there is not None and not there.may_be_empty:
            return None
        source = await anyio.to_thread.run_sync(self._keeping.source, mount.name)
        if source is None:
            known.cold_now = there is None
            return None
        if source.size > said.size:
            raise NotCarried(f"it has {size(source.size)}, and {size(said.size)} are the most", hint=MORE_ROOM)
        if there is not None and not await self._side.copies.is_empty(mount):
            return None
        ignore = "" if source.ours else stores.left_out(mount.name)
        if await self._side.copies.fill(mount, source.root, ignore=ignore) != "filled":
            return None
        known.filled, known.cold = True, source.cold
        return source.size

    async def _usage(self) -> Mapping[str, Kept]:
        """The builder's mounts before anything was built."""
        async with self._asking:
            if self._there is None:
                mounts = tuple(self._keeping.mounts.values())
                records = await self._side.builder.disk_usage(filters=mountusage.filters(mounts))
                self._there = mountusage.kept(records, mounts)
            return self._there
