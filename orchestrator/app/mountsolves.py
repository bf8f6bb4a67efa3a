"""The solves that look into cache mounts and copy what is in them, one mount at a time.

What a copy leaves on the builder beside its result is deleted at once: it is as large as the cache. The layer itself
stays until the builder needs its room, so that what is unchanged is not made again.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence

import anyio
import msgspec

from orchestrator.app import mountusage
from orchestrator.app.mountruns import Ready, Runs, heard
from orchestrator.app.mountsteps import Mount, Word, copy_in, copy_out, look
from orchestrator.buildkit import Client, Exporter, SolveRequest, SolveResult, StatusUpdate, TokenProvider
from orchestrator.cache.artifact import label
from orchestrator.engine.progress import Progress
from orchestrator.errors import ProtocolError
from orchestrator.events import StepProgress

Tell = Callable[[str, int, int], None]
"""An activity, bytes so far, bytes in all."""

_NO_LIMIT = 1 << 60
_LOOKS = 2
_PAUSE = 0.5
"""Seconds between two looks: a builder hides what it is measuring."""


class MountSolves:
    """A builder's cache mounts.

    Args:
        client: the builder.
        tokens: for the registry that content goes to or comes from, and those of the images that steps stand on.
        host: that registry.
        mirrored: has the images that steps stand on come from mirrors.
    """

    def __init__(self, client: Client, tokens: TokenProvider, host: str, mirrored: Ready) -> None:
        self._client = client

        async def ready(request: SolveRequest, text: str) -> SolveRequest:
            request = await mirrored(request, text)
            return msgspec.structs.replace(request, tokens=tokens, registries=(host, *request.registries))

        self._runs = Runs(client, ready)

    async def state(self, mounts: Sequence[Mount]) -> tuple[Mapping[str, int], frozenset[str]]:
        """Which of these mounts the builder has, with their bytes, and which of them a running build uses: by id."""
        there: dict[str, int] = {}
        busy: set[str] = set()
        for look_again in (*(True for _ in range(_LOOKS)), False):
            records = await self._client.disk_usage(filters=mountusage.filters(mounts))
            found = mountusage.kept(records, mounts)
            there |= {mount: its.size for mount, its in found.items()}
            busy |= {mount for mount, its in found.items() if its.in_use}
            if len(there) == len(mounts) or not look_again:
                break
            await anyio.sleep(_PAUSE)
        return there, frozenset(busy)

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
            await self._runs.forget(nonce)
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
            await self._runs.forget(nonce)

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
            await self._runs.forget(nonce, source.rpartition("@")[2])

    async def _copied(self, mount: Mount, text: str, activity: str, tell: Tell) -> Word:
        said, _ = await self._run(mount, text, activity, tell)
        return heard(mount, said)

    async def _run(
        self, mount: Mount, text: str, activity: str, tell: Tell, *, exporter: Exporter | None = None
    ) -> tuple[Word | None, SolveResult]:
        progress = Progress(mount.name)

        async def note(update: StatusUpdate) -> None:
            for event in progress.feed(update):
                if isinstance(event, StepProgress):
                    tell(activity, event.current, event.total)

        tell(activity, 0, 0)
        labels = {f"label:{name}": value for name, value in label(mount.name).items()}
        ref = f"fleetpacks-packages-{secrets.token_hex(8)}"
        return await self._runs.run(mount, text, ref, attrs=labels, exporter=exporter, watch=note)
