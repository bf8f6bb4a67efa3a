"""The solve of one step that looks into a cache mount or copies it, and the end of what it leaves on the builder.

What a copy leaves there beside its result is deleted at once: it is as large as the cache.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

import anyio

from orchestrator.app.mountsteps import ATTRS, Mount, Word, told
from orchestrator.buildkit import Exporter, MemorySource, SolveRequest, SolveResult, Source, StatusUpdate, UsageRecord
from orchestrator.buildkit.build import OnStatus
from orchestrator.errors import BuildFailedError, ProtocolError
from orchestrator.registry.reference import parse

CONTEXT: Final = "context"
"""The source that a step without another one copies from."""
_DOCKERFILE: Final = "Dockerfile"
_OUTPUT: Final = 64 * 1024
"""Bytes of a step's output that are looked at: a builder may send any number."""
_PATIENCE: Final = 30.0
"""Seconds in which a builder must delete what is over."""
_STDOUT: Final = 1
Ready = Callable[[SolveRequest, str], Awaitable[SolveRequest]]
"""Adds to a solve what all solves need: tokens, registries, mirrors. The text is its Dockerfile's."""


class Builder(Protocol):
    """A builder, as far as it is needed here."""

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """See `Client.solve`."""
        ...

    async def disk_usage(self, *, filters: Sequence[str] = ()) -> tuple[UsageRecord, ...]:
        """See `Client.disk_usage`."""
        ...

    async def prune(self, *, filters: Sequence[str] = (), everything: bool = False) -> tuple[UsageRecord, ...]:
        """See `Client.prune`."""
        ...


class Runs:
    """Runs steps of `mountsteps` on one builder.

    Args:
        builder: where the mounts are.
        ready: see `Ready`.
    """

    def __init__(self, builder: Builder, ready: Ready) -> None:
        self._builder = builder
        self._ready = ready

    async def once(
        self,
        mount: Mount,
        text: str,
        nonce: str,
        *,
        ignore: str = "",
        source: Source | None = None,
        exporter: Exporter | None = None,
    ) -> Word:
        """Run a step, delete what it leaves, and return what it said.

        Raises:
            ProtocolError: it said nothing.
            FleetpacksError: the builder's answer.
        """
        try:
            ref = f"fleetpacks-{nonce}"
            said, _ = await self.run(mount, text, ref, ignore=ignore, source=source, exporter=exporter)
        finally:
            await self.forget(nonce)
        return heard(mount, said)

    async def run(
        self,
        mount: Mount,
        text: str,
        ref: str,
        *,
        attrs: Mapping[str, str] | None = None,
        ignore: str = "",
        source: Source | None = None,
        exporter: Exporter | None = None,
        watch: Callable[[StatusUpdate], Awaitable[None]] | None = None,
    ) -> tuple[Word | None, SolveResult]:
        """Run a step; returns what it said, which is nothing when it was cached.

        Args:
            mount: which it is for.
            text: its Dockerfile.
            ref: the solve's.
            attrs: more of the frontend's attributes.
            ignore: what is left out of `source`, in the words of a .dockerignore.
            source: the main context; None: an empty one.
            exporter: takes the result.
            watch: hears of the solve.

        Raises:
            BuildFailedError: the step could not copy.
            FleetpacksError: the builder's answer.
        """
        output = bytearray()

        async def hear(update: StatusUpdate) -> None:
            for log in update.logs:
                if log.stream == _STDOUT and len(output) < _OUTPUT:
                    output.extend(log.data[:_OUTPUT])
            if watch is not None:
                await watch(update)

        files = {_DOCKERFILE: text.encode(), f"{_DOCKERFILE}.dockerignore": ignore.encode()}
        request = SolveRequest(
            ref=ref,
            attrs={"filename": _DOCKERFILE, **ATTRS, **(attrs or {})},
            exporter=exporter,
            sources=(MemorySource(name="dockerfile", files=files), source or MemorySource(name=CONTEXT, files={})),
            # The builder's copy of the directory is the same each time, and goes first when it needs room.
            shared_key=f"fleetpacks-packages-{mount.id}",
            registries=(parse(mount.image).host,),
        )
        result = await self._builder.solve(await self._ready(request, text), on_status=hear)
        said = told(bytes(output), [mount]).get(mount.name)
        if said is not None and said.word == "failed":
            raise BuildFailedError(
                f"the packages of {mount.name} could not be copied on the builder: {said.reason}",
                hint="Make room on the builder's disk (fleetpacks cache prune), or look after it.",
            )
        return said.word if said else None, result

    async def forget(self, *words: str) -> None:
        """Delete what is described with these words, but not a mount, which may have been made by that very step.

        A builder that does not do it now will when it needs the room.
        """
        filters = [f'type!=exec.cachemount,description~="{word}"' for word in words]
        # Whatever comes of it, the copy's own end is what matters.
        with anyio.move_on_after(_PATIENCE, shield=True), suppress(Exception):
            await self._builder.prune(filters=filters, everything=True)


def heard(mount: Mount, said: Word | None) -> Word:
    """What a step said.

    Raises:
        ProtocolError: nothing.
    """
    if said is None:
        raise ProtocolError(
            f"the step that copies packages of {mount.name} has said nothing",
            hint=f"It runs in {mount.image}, which needs a shell, cp, du and find.",
        )
    return said
