"""A Docker Engine: its images, its cache, its disk.

What needs asyncio (aiodocker) crosses `remote.bridge`, so that all of this serves callers on asyncio and on trio.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio

from orchestrator.docker import api, names, replies
from orchestrator.docker.border import lost, translated
from orchestrator.docker.connection import Connections
from orchestrator.docker.model import (
    Credential,
    DiskUsage,
    EngineInfo,
    Logins,
    OnProgress,
    Patience,
    Pruned,
)
from orchestrator.errors import TransientError
from remote.address import EngineAddress
from remote.bridge import Bridge, open_bridge

_Result = TypeVar("_Result")

_SECONDS = 60.0
"""In which an engine must answer what takes it a moment."""
_HUB = ("docker.io", "https://index.docker.io/v1/")
"""The name by which engines know Docker Hub's credentials."""


class Engine:
    """Speaks to one Docker Engine. An async context manager: nothing of it outlives the block.

    Every method raises BuilderUnreachableError when nothing answers at the address, DaemonLostError when the connection
    ends under a request, ProtocolError when what answers is no Docker Engine of 20.10 or newer, DiskFullError, and
    EngineError for other refusals. They may be called at the same time; each has a connection of its own, which a
    cancellation closes.

    Args:
        address: of the engine.
        logins: where credentials of registries are looked up; None is anonymous everywhere.
        patience: with registries.
    """

    def __init__(
        self,
        address: EngineAddress,
        *,
        logins: Logins | None = None,
        patience: Patience = Patience(),  # noqa: B008 -- frozen
    ) -> None:
        self._address = str(address)
        self._connections = Connections(address.at, name=self._address)
        self._logins = logins
        self._patience = patience
        self._open = AsyncExitStack()
        self._bridge: Bridge | None = None

    async def __aenter__(self) -> Self:
        """Read the address' certificates; nothing is asked of the engine yet.

        Raises:
            UsageError: they cannot be read.
        """
        await self._connections.prepare()
        self._bridge = await self._open.enter_async_context(open_bridge())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bridge = None
        await self._open.aclose()

    @property
    def address(self) -> str:
        """The engine's address."""
        return self._address

    async def info(self) -> EngineInfo:
        """Ask which engine answers, and how it keeps images."""

        async def ask(docker: api.Client) -> EngineInfo:
            version, spoken = await self._connections.version()
            return replies.info(await docker.system.info(), version=version.version, api=spoken)

        return await self.ask(ask, doing="say who it is")

    async def load(self, tar: AsyncIterable[bytes]) -> tuple[str, ...]:
        """Put images into the engine's store.

        Args:
            tar: an archive as `docker save` or an exporter of type `docker` writes it; read as fast as the engine
                takes it. An error of it is raised here; on trio, large chunks spare time.

        Returns:
            The references of the images that were in it; the id of an image that has none.
        """
        doing = "load an image"

        async def upload(chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
            found: list[str] = []
            with translated(self._address, doing):
                async with self._connections.opened(seconds=None) as docker:
                    async for reply in docker.images.import_image(chunks, stream=True):
                        found += filter(None, [replies.line(reply).loaded])
            if not found:
                raise lost(self._address, doing, "its answer ended before the image was there")
            return tuple(found)

        return await self._running.feed(upload, tar)

    async def tag(self, image: str, reference: str) -> None:
        """Give an image of the engine one more name.

        Args:
            image: a reference, or an id, `sha256:...`.
            reference: the new name, with a tag; another image that has it loses it.

        Raises:
            ImageNotFoundError: the engine has no such image.
            UsageError: a name is none.
        """
        name, tag = names.tagged(reference)
        source = names.image(image)

        async def ask(docker: api.Client) -> None:
            await docker.images.tag(source, name.repository, tag=tag)

        await self.ask(ask, doing=f"tag {source} as {reference}")

    async def push(self, reference: str, *, progress: OnProgress | None = None) -> str:
        """Send an image of the engine to its registry; try again when that or the network fails.

        Args:
            reference: a name that the image has on the engine, with a tag.
            progress: hears how far layers are.

        Returns:
            The digest of the manifest, as the registry has it.

        Raises:
            ImageNotFoundError: the engine has no such image.
            RegistryError: the registry refuses, or our credential.
            RegistryUnavailableError: the registry fails or cannot be reached by the engine, time after time.
            UsageError: the name is none.
        """
        name, tag = names.tagged(reference)
        auth = await self._auth(name.host)

        def lines(docker: api.Client) -> AsyncIterator[api.Reply]:
            return docker.images.push(name.repository, tag=tag, auth=auth, stream=True)

        return await self._patiently(
            lambda: self._transfer(f"push {reference}", reference, lines, progress, _PushEnd())
        )

    async def pull(self, reference: str, *, platform: str | None = None, progress: OnProgress | None = None) -> str:
        """Fetch an image from its registry into the engine; try again when that or the network fails.

        Args:
            reference: with a tag or a digest.
            platform: `linux/arm64`; None is the engine's own.
            progress: hears how far layers are.

        Returns:
            The digest of the manifest or index that the name points to.

        Raises:
            ImageNotFoundError: there is no such image, or we may not read it.
            RegistryError, RegistryUnavailableError, UsageError: as for `push`.
        """
        name = names.split(reference)
        # The engine would pull all tags when it is given none.
        tag = None if name.digest else name.tag or "latest"
        source = f"{name.repository}@{name.digest}" if name.digest else name.repository
        auth = await self._auth(name.host)

        def lines(docker: api.Client) -> AsyncIterator[api.Reply]:
            return docker.images.pull(source, tag=tag, platform=platform, auth=auth, stream=True)

        return await self._patiently(
            lambda: self._transfer(f"pull {reference}", reference, lines, progress, _PullEnd())
        )

    async def prune(self, *, older_than: float, unused_images: bool = False) -> Pruned:
        """Free disk: build cache, and images that nothing uses.

        Args:
            older_than: seconds: cache that was used within this time stays, and images that were made; for an engine
                with containerd's store, images that came to it.
            unused_images: also images with a name that no container uses; else those alone that have none.
        """
        until = f"{older_than:.0f}s"

        async def ask(docker: api.Client) -> Pruned:
            # Images first: they hold on to cache.
            filters = {"dangling": "false" if unused_images else "true", "until": until}
            images = await docker.images.prune(filters=filters)
            cache = await docker.images.prune_builds(all_builds=True, filters={"until": until})
            return replies.pruned(cache=cache, images=images)

        return await self.ask(ask, doing="prune", seconds=None)

    async def disk_usage(self) -> DiskUsage:
        """Ask what lies on the engine's disk; it may have to count for minutes."""

        async def ask(docker: api.Client) -> DiskUsage:
            return replies.usage(await api.get(docker, "system/df"))

        return await self.ask(ask, doing="count its disk usage", seconds=None)

    async def ask(
        self,
        function: Callable[[api.Client], Coroutine[Any, Any, _Result]],
        *,
        doing: str,
        seconds: float | None = _SECONDS,
    ) -> _Result:
        """Run a function of aiodocker, on an asyncio loop, with its errors translated.

        Args:
            function: gets a client that is closed behind it.
            doing: what is asked, for errors, beginning with a verb.
            seconds: in which each of its requests must be answered.
        """

        async def run() -> _Result:
            with translated(self._address, doing):
                async with self._connections.opened(seconds=seconds) as docker:
                    return await function(docker)

        return await self._running.call(run)

    async def _transfer(
        self,
        doing: str,
        reference: str,
        lines: Callable[[api.Client], AsyncIterator[api.Reply]],
        progress: OnProgress | None,
        end: "_PushEnd | _PullEnd",
    ) -> str:
        async def run() -> AsyncGenerator[replies.Line]:
            with translated(self._address, doing):
                async with self._connections.opened(seconds=None) as docker:
                    async for reply in lines(docker):
                        yield replies.line(reply)

        async with self._running.stream(run) as told:
            async for line in told:
                end.see(line)
                seen = line.progress(reference)
                if progress is not None and seen is not None:
                    await progress(seen)
        if end.digest is None:
            # aiodocker takes a lost connection for the end of the stream.
            raise lost(self._address, doing, "its answer ended before that was done")
        return end.digest

    async def _patiently(self, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
        began = time.monotonic()
        attempts = 0
        while True:
            try:
                return await attempt()
            except TransientError:
                attempts += 1
                pause = self._patience.pause(attempts=attempts, elapsed=time.monotonic() - began)
                if pause is None:
                    raise
            await anyio.sleep(pause)

    async def _auth(self, host: str) -> Mapping[str, str]:
        found: Credential | None = await self._logins.lookup(host) if self._logins else None
        if found is None:
            return {"identitytoken": ""}
        # aiodocker takes what has an identity token as it is. Else it would write the registry's name itself, which
        # for Docker Hub is one that engines with containerd's store do not know.
        return {
            "username": found.username,
            "password": found.password,
            "identitytoken": found.identity_token,
            "serveraddress": _HUB[1] if host == _HUB[0] else host,
        }

    @property
    def _running(self) -> Bridge:
        if self._bridge is None:
            raise anyio.ClosedResourceError
        return self._bridge


class _PushEnd:
    """What a push comes to."""

    def __init__(self) -> None:
        self.digest: str | None = None

    def see(self, line: replies.Line) -> None:
        self.digest = line.pushed or self.digest


class _PullEnd:
    """What a pull comes to: the digest is said long before its end."""

    def __init__(self) -> None:
        self._said: str | None = None
        self.digest: str | None = None

    def see(self, line: replies.Line) -> None:
        self._said = line.pulled or self._said
        if line.complete:
            self.digest = self._said
