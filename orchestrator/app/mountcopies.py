"""The solves that copy between cache mounts and a directory of this machine, one mount at a time."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import anyio

from orchestrator.app.mountsteps import ATTRS, Mount, Word, copy_in, copy_out, look, told
from orchestrator.buildkit import (
    DirectoryDestination,
    DirectorySource,
    Exporter,
    MemorySource,
    SolveRequest,
    SolveResult,
    Source,
    StatusUpdate,
    UsageRecord,
)
from orchestrator.buildkit.build import OnStatus
from orchestrator.errors import ProtocolError
from orchestrator.registry.reference import parse

_DOCKERFILE: Final = "Dockerfile"
_CONTEXT: Final = "context"
_OUTPUT: Final = 64 * 1024
"""Bytes of a step's output that are looked at."""
_PATIENCE: Final = 10.0
"""Seconds in which a builder must delete what is over."""
_STDOUT: Final = 1


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


class Copies:
    """Copies of cache mounts.

    Args:
        builder: where the mounts are.
        ready: adds to a solve what all solves of the run need.
    """

    def __init__(self, builder: Builder, ready: Callable[[SolveRequest], SolveRequest]) -> None:
        self._builder = builder
        self._ready = ready

    async def is_empty(self, mount: Mount) -> bool:
        """Whether there is nothing in a mount; where there was none, there is one then.

        Raises:
            FleetpacksError: the builder's answer.
        """
        nonce = secrets.token_hex(8)
        return await self._run(mount, look([mount], mount.image, nonce=nonce), nonce) == "empty"

    async def fill(self, mount: Mount, root: Path, *, ignore: str) -> Word:
        """Copy a directory's content into a mount, if that is empty.

        Args:
            mount: which.
            root: holds the content in a directory by the mount's name.
            ignore: what is left out of it, in the words of a .dockerignore.

        Raises:
            FleetpacksError: the builder's answer, or the directory cannot be read.
        """
        nonce = secrets.token_hex(8)
        text = copy_in([mount], mount.image, None, nonce=nonce)
        source = DirectorySource(name=_CONTEXT, root=root)
        return await self._run(mount, text, nonce, ignore=ignore, source=source)

    async def read(self, mount: Mount, place: Path, *, base: Path | None, limit: int) -> Word:
        """Copy a mount's content into a directory by the mount's name.

        Args:
            mount: which.
            place: the directory that holds that one; it is made, if there is anything.
            base: an earlier such directory, of which unchanged files are taken.
            limit: bytes.

        Raises:
            FleetpacksError: the builder's answer, or the directory cannot be written.
        """
        nonce = secrets.token_hex(8)
        text = copy_out([mount], mount.image, nonce=nonce, limit=limit)
        to = DirectoryDestination(path=place, base=base, limit=limit)
        return await self._run(mount, text, nonce, exporter=Exporter(type="local", attrs={}, destination=to))

    async def _run(
        self,
        mount: Mount,
        text: str,
        nonce: str,
        *,
        ignore: str = "",
        source: Source | None = None,
        exporter: Exporter | None = None,
    ) -> Word:
        output = bytearray()

        async def hear(update: StatusUpdate) -> None:
            for log in update.logs:
                if log.stream == _STDOUT and len(output) < _OUTPUT:
                    output.extend(log.data)

        name = _named(nonce)
        files = {_DOCKERFILE: text.encode(), f"{_DOCKERFILE}.dockerignore": ignore.encode()}
        request = SolveRequest(
            ref=name,
            attrs={"filename": _DOCKERFILE, **ATTRS},
            exporter=exporter,
            sources=(MemorySource(name="dockerfile", files=files), source or MemorySource(name=_CONTEXT, files={})),
            # The builder's copy of the directory is the same each time, and goes first when it needs room.
            shared_key=f"fleetpacks-packages-{mount.id}",
            registries=(parse(mount.image).host,),
        )
        try:
            await self._builder.solve(self._ready(request), on_status=hear)
        finally:
            await self._forget(nonce)
        word = told(bytes(output), [mount]).get(mount.name)
        if word is None:
            raise ProtocolError(
                f"the step that copies {mount.name} has said nothing",
                hint=f"{mount.image} needs a shell, cp, du and find.",
            )
        return word

    async def _forget(self, nonce: str) -> None:
        """Delete what the builder keeps of the copy, but not the mount, which may have been made by that very step."""
        with anyio.move_on_after(_PATIENCE, shield=True), suppress(Exception):
            await self._builder.prune(
                filters=[f'type!=exec.cachemount,description~="{_named(nonce)}"'], everything=True
            )


def _named(nonce: str) -> str:
    # What `mountsteps` calls its paths.
    return f"fleetpacks-{nonce}"
