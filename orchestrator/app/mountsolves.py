"""The solves that look into cache mounts and copy what is in them, one mount at a time.

What a copy leaves on the builder beside its result is deleted at once: it is as large as the cache. The layer itself
stays until the builder needs its room, so that what is unchanged is not made again.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio

from orchestrator.app import mountusage
from orchestrator.app.mountsteps import ATTRS, Mount, Word, copy_in, copy_out, look, told
from orchestrator.buildkit import Client, Exporter, MemorySource, SolveRequest, SolveResult, StatusUpdate, TokenProvider
from orchestrator.cache.artifact import label
from orchestrator.engine.progress import Progress
from orchestrator.errors import FleetpacksError, ProtocolError
from orchestrator.events import StepProgress
from orchestrator.registry.reference import parse

Tell = Callable[[str, int, int], None]
"""An activity, bytes so far, bytes in all."""

_NO_LIMIT = 1 << 60
_LOOKS = 2
_PAUSE = 0.5
"""Seconds between two looks: a builder hides what it is measuring."""
_PATIENCE = 30.0
"""Seconds in which a copy must be deleted."""
_STDOUT = 1


class MountSolves:
    """A builder's cache mounts.

    Args:
        client: the builder.
        tokens: for the registry that content goes to or comes from, and those of the images that steps stand on.
        host: that registry.
    """

    def __init__(self, client: Client, tokens: TokenProvider, host: str) -> None:
        self._client = client
        self._tokens = tokens
        self._host = host

    async def state(self, mounts: Sequence[Mount]) -> tuple[frozenset[str], frozenset[str]]:
        """Which of these mounts the builder has, and which of them a running build uses: by id."""
        there: set[str] = set()
        busy: set[str] = set()
        for look_again in (*(True for _ in range(_LOOKS)), False):
            records = await self._client.disk_usage(filters=mountusage.filters(mounts))
            found = mountusage.kept(records, mounts)
            there |= found.keys()
            busy |= {mount for mount, its in found.items() if its.in_use}
            if len(there) == len(mounts) or not look_again:
                break
            await anyio.sleep(_PAUSE)
        return frozenset(there), frozenset(busy)

    async def out(self, mount: Mount, exporter: Exporter, tell: Tell) -> tuple[str | None, Word]:
        """Copy a mount's content into an image.

        Returns:
            The digest of what was exported, and what the step said; without a digest, nothing was.

        Raises:
            FleetpacksError: the builder's answer.
        """
        nonce = secrets.token_hex(8)
        text = copy_out([mount], mount.image, nonce=nonce, limit=_NO_LIMIT, lasting=True)
        try:
            word = await self._copied(mount, text, "copying", tell)
            if word != "taken":
                return None, word
            # Only now, for what is empty shall not be pushed. The step of the same text is cached.
            said, result = await self._run(mount, text, "exporting and pushing", tell, exporter=exporter)
        finally:
            await self._forget(nonce)
        if result.digest is None:
            raise ProtocolError(
                f"{self._client.address}: the builder has pushed the packages of {mount.name}, and gives no digest",
                hint="fleetpacks needs a buildkitd of v0.12 or newer at the builder's address",
            )
        return (result.digest, word) if said in {None, word} else (None, said or word)

    async def is_empty(self, mount: Mount, tell: Tell) -> bool:
        """Whether there is nothing in a mount; a builder that has none makes one.

        Raises:
            FleetpacksError: the builder's answer.
        """
        nonce = secrets.token_hex(8)
        try:
            return await self._copied(mount, look([mount], mount.image, nonce=nonce), "looking", tell) == "empty"
        finally:
            await self._forget(nonce)

    async def fill(self, mount: Mount, source: str, tell: Tell) -> bool:
        """Copy an image's content into a mount; False when it was not empty.

        Raises:
            FleetpacksError: the builder's answer.
        """
        nonce = secrets.token_hex(8)
        try:
            text = copy_in([mount], mount.image, source, nonce=nonce)
            return await self._copied(mount, text, "pulling", tell) == "filled"
        finally:
            # What was pulled is as large as the copy, and never needed again here.
            await self._forget(nonce, source.rpartition("@")[2])

    async def _copied(self, mount: Mount, text: str, activity: str, tell: Tell) -> Word:
        said, _ = await self._run(mount, text, activity, tell)
        if said is None:
            raise ProtocolError(
                f"{self._client.address}: the step that copies packages of {mount.name} has said nothing",
                hint=f"it runs in {mount.image}, which needs a shell, cp, du and find",
            )
        return said

    async def _run(
        self, mount: Mount, text: str, activity: str, tell: Tell, *, exporter: Exporter | None = None
    ) -> tuple[Word | None, SolveResult]:
        ref = f"fleetpacks-packages-{secrets.token_hex(8)}"
        output = bytearray()
        progress = Progress(mount.name)

        async def note(update: StatusUpdate) -> None:
            output.extend(b"".join(log.data for log in update.logs if log.stream == _STDOUT))
            for event in progress.feed(update):
                if isinstance(event, StepProgress):
                    tell(activity, event.current, event.total)

        tell(activity, 0, 0)
        labels = {f"label:{name}": value for name, value in label(mount.name).items()}
        request = SolveRequest(
            ref=ref,
            attrs={"filename": "Dockerfile", **ATTRS, **labels},
            exporter=exporter,
            sources=(MemorySource(name="dockerfile", files={"Dockerfile": text.encode()}),),
            shared_key=ref,
            tokens=self._tokens,
            registries=(self._host, parse(mount.image).host),
        )
        result = await self._client.solve(request, on_status=note)
        return told(bytes(output), [mount]).get(mount.name), result

    async def _forget(self, *words: str) -> None:
        """Delete what is described with these words; a builder that does not do it now will when it needs the room."""
        # A mount itself is described by the step that made it, which may be one of these.
        filters = [f'type==regular,description~="{word}"' for word in words]
        with anyio.move_on_after(_PATIENCE, shield=True), suppress(FleetpacksError):
            await self._client.prune(filters=filters)
