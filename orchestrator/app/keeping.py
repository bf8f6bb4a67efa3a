"""What builds have left in package caches is kept in a directory when all have ended: of several builders, each once.

Of the builders that have used a cache since it was read last, the one whose cache is the largest is read; what others
have downloaded besides is not merged, and that is said. All of them are noted as read, so that a run that uses none
keeps nothing again. Nothing here fails a build: what cannot be done is told, and left.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.app import mountusage
from orchestrator.app.carriage import MORE_ROOM, MORE_TIME, NotCarried, Side, carry
from orchestrator.app.mountsteps import Mount, mounts_of
from orchestrator.app.mountusage import Kept
from orchestrator.cache import mounts as stores
from orchestrator.cache.local import LostError
from orchestrator.cache.mounts import Source, Store, Writing
from orchestrator.cache.refs import keys
from orchestrator.cache.succession import Current, waiting
from orchestrator.config import Config
from orchestrator.engine.carrying import Tell
from orchestrator.events import AppWarning
from orchestrator.model import MountCache, Plan
from orchestrator.text import size

_TELLS = "Those with BuildKit 0.11 or newer do."


class Keeping:
    """The package caches of one run, and the directory that they are kept in.

    Args:
        said: how much may be done.
        root: the directory.
        plan: what is built.
        scopes: who builds, then those that it trusts; none: nobody said.
        unknown: whether it matters that nobody said.
    """

    def __init__(
        self, said: MountCache, root: Path, plan: Plan, *, scopes: tuple[str, ...] = (), unknown: bool = False
    ) -> None:
        self.said = said
        self.mounts: Mapping[str, Mount] = {mount.id: mount for mount in mounts_of(plan)}
        self._root = root
        self._scopes = scopes
        self._unknown = unknown
        self._sides: list[Side] = []
        self._taken = False

    def add(self, side: Side) -> None:
        """A builder takes part from now on."""
        self._sides.append(side)

    def source(self, tool: str, *, ours: bool = False) -> Source | None:
        """What a mount can be filled from.

        Args:
            tool: the mount's name.
            ours: whether only what we have written counts.

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

    async def take(self, tell: Tell) -> None:
        """Keep what all builders have; whoever asks first does it for all."""
        if self._taken:
            return
        self._taken = True
        deadline = time.monotonic() + self.said.seconds
        late: list[str] = []
        used = {mount: [side for side in self._sides if mount in side.known] for mount in self.mounts}
        for mount, sides in used.items():
            left = deadline - time.monotonic()
            if left <= 0 and sides:
                late.append(self.mounts[mount].name)
            elif sides:
                await self._keep(self.mounts[mount], sides, tell, seconds=left)
        if late:
            message = f"no time was left to keep what is new in the package caches of {', '.join(late)}"
            await tell(AppWarning(time=time.time(), app=None, message=message, hint=MORE_TIME))
        if any(used.values()):
            with suppress(OSError):
                await anyio.to_thread.run_sync(partial(stores.prune, self._root, budget=self.said.size))

    async def _keep(self, mount: Mount, sides: Sequence[Side], tell: Tell, *, seconds: float) -> None:
        """Keep one cache: of the first builder, in the order of how much they have, that lets it be read."""
        deadline = time.monotonic() + seconds
        looks = await self._looks(mount, sides, tell, seconds=seconds)
        passed = [side.name for side, _ in looks]
        for side, before in looks:
            others = {record: count for other, its in looks if other is not side for record, count in its.used.items()}
            keep = partial(self._read, side, before=before, others=others)
            rest = tuple(name for name in passed if name != side.name)
            took, carried = await carry(
                mount,
                "directory",
                keep,
                tell,
                side=side,
                seconds=deadline - time.monotonic(),
                of=self.said,
                passed=rest,
            )
            side.known[mount.id].carried += took
            await _pay_off(mount, side, tell)
            if carried:
                return

    async def _looks(
        self, mount: Mount, sides: Sequence[Side], tell: Tell, *, seconds: float
    ) -> Sequence[tuple[Side, Kept]]:
        """The builders that have used a mount since it was read, the one with the most of it first."""
        found: dict[Side, Kept] = {}
        several = len(sides) > 1
        store = self._stores(mount.name)[0]

        async def look(side: Side) -> None:
            async def ask(_mount: Mount) -> None:
                kept = await side.look(mount)
                if kept is None and side.known[mount.id].ran:
                    raise NotCarried("the builder does not tell what is in it", hint=_TELLS)
                # What was only filled from the directory is there.
                if kept is None or (several and kept.untouched):
                    return
                # Read here, where a directory that is none is told and stops nobody.
                current = await anyio.to_thread.run_sync(_current, store)
                if current is None or not mountusage.is_unchanged(kept, current.seen):
                    found[side] = kept

            took, _ = await carry(mount, "directory", ask, tell, side=side, seconds=seconds, of=self.said)
            side.known[mount.id].carried += took

        async with anyio.create_task_group() as tasks:
            for side in sides:
                tasks.start_soon(look, side)
        order = {side: number for number, side in enumerate(sides)}
        return sorted(found.items(), key=lambda each: (-each[1].size, order[each[0]]))

    async def _read(self, side: Side, mount: Mount, *, before: Kept, others: Mapping[str, int]) -> int | None:
        """Refresh the directory from a mount; returns bytes, or None where there is nothing to do."""
        store = self._stores(mount.name)[0]
        current = await anyio.to_thread.run_sync(_current, store)
        if waiting(current, now=time.time()).are_many:
            # A later run keeps what is new.
            return None
        await self._refuse(before)
        source = await anyio.to_thread.run_sync(partial(self.source, mount.name, ours=True))
        writing = await anyio.to_thread.run_sync(Writing, store)
        try:
            base = source.root if source else None
            word = await side.copies.read(mount, writing.content, base=base, limit=self.said.size)
            if word == "empty":
                return None
            if word == "large":
                raise NotCarried("it is larger than all caches together may be", hint=MORE_ROOM)
            if word != "taken":
                raise NotCarried("a build wrote into it while it was read")
            after = await side.look(mount)
            if after is None or not mountusage.is_ours_alone(before, after):
                raise NotCarried("another build used it while it was read")
            known = side.known[mount.id]
            seen = {**others, **after.used}
            commit = partial(writing.commit, seen=seen, cold=known.ran if known.cold_now else None)
            written = await anyio.to_thread.run_sync(commit)
            return written.size if written else None
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writing.discard)

    async def _refuse(self, mount: Kept) -> None:
        """Raise why a mount is not to be kept, if there is a reason."""
        if self._unknown:
            raise NotCarried("nobody says whose run this is", hint="Name it in $FLEETPACKS_TRUST_SCOPE.")
        if mount.in_use:
            raise NotCarried("another build uses it")
        over = await anyio.to_thread.run_sync(stores.waiting_in, self._root)
        if over > self.said.size:
            raise NotCarried(f"{size(over)} were replaced lately, and stay for those who read them", hint=MORE_ROOM)

    def _stores(self, tool: str) -> tuple[Store, ...]:
        """The run's own, then those of the scopes that it trusts."""
        names = keys(tool, name=None, scopes=self._scopes, alone=False)
        return tuple(Store(self._root, tool, name) for name in names)


def keeping(config: Config, root: Path, plan: Plan) -> Keeping:
    """The package caches of a run.

    Args:
        config: what was said.
        root: their directory.
        plan: what is built.
    """
    environment = config.environment
    scopes = environment.trust_scopes or environment.ci.scopes
    return Keeping(config.cache.mounts, root, plan, scopes=scopes, unknown=environment.in_ci and not scopes)


async def _pay_off(mount: Mount, side: Side, tell: Tell) -> None:
    """Say where downloading takes less time than carrying."""
    known = side.known[mount.id]
    if known.filled and mountusage.does_not_pay(carried=known.carried, cold=known.cold, warm=known.ran):
        message = (
            f"the package cache {mount.name} does not pay: to carry it took {known.carried:.1f}s, and the steps that "
            f"use it took {known.ran:.1f}s with it and {known.cold:.1f}s without"
        )
        await tell(AppWarning(time=time.time(), app=None, message=message))


def _current(store: Store) -> Current | None:
    try:
        return store.current()
    except LostError:
        # It is written anew.
        return None
