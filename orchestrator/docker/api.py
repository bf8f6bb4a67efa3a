"""The part of aiodocker that is used here, with types: its own hints leave some of it open.

`connection` hands out aiodocker's client as this. What it may not keep of these promises is caught at the border.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Reply = Mapping[str, Any]
"""A JSON object of an engine."""


class Images(Protocol):
    """`Docker.images`."""

    async def tag(self, name: str, repo: str, *, tag: str) -> bool:
        """`POST /images/NAME/tag`."""
        ...

    def push(self, name: str, *, auth: Mapping[str, str], tag: str, stream: bool) -> AsyncIterator[Reply]:
        """`POST /images/NAME/push`."""
        ...

    def pull(
        self, from_image: str, *, auth: Mapping[str, str], tag: str | None, platform: str | None, stream: bool
    ) -> AsyncIterator[Reply]:
        """`POST /images/create`."""
        ...

    def import_image(self, data: AsyncIterator[bytes], stream: bool) -> AsyncIterator[Reply]:  # noqa: FBT001 -- aiodocker's signature
        """`POST /images/load`."""
        ...

    async def prune(self, *, filters: Mapping[str, str]) -> Reply:
        """`POST /images/prune`."""
        ...

    async def prune_builds(self, *, all_builds: bool, filters: Mapping[str, str]) -> Reply:
        """`POST /build/prune`."""
        ...


class OneContainer(Protocol):
    """`DockerContainer`."""

    async def start(self) -> None:
        """`POST /containers/ID/start`."""
        ...

    async def show(self) -> Reply:
        """`GET /containers/ID/json`."""
        ...

    async def wait(self) -> Reply:
        """`POST /containers/ID/wait`."""
        ...

    async def log(self, *, stdout: bool, stderr: bool, tail: int) -> list[str]:
        """`GET /containers/ID/logs`."""
        ...

    async def delete(self, *, force: bool, v: bool) -> None:
        """`DELETE /containers/ID`."""
        ...


class Containers(Protocol):
    """`Docker.containers`."""

    async def create(self, config: Mapping[str, Any], *, name: str) -> OneContainer:
        """`POST /containers/create`."""
        ...

    def container(self, container_id: str) -> OneContainer:
        """One that is there, by id or name; nothing is asked."""
        ...


class System(Protocol):
    """`Docker.system`."""

    async def info(self) -> Reply:
        """`GET /info`."""
        ...


class Client(Protocol):
    """`Docker`."""

    images: Images
    containers: Containers
    system: System

    async def version(self) -> Reply:
        """`GET /version`."""
        ...

    async def _query_json(self, path: str) -> Reply: ...


async def get(client: Client, path: str) -> Reply:
    """Ask for what aiodocker has no method for."""
    return await client._query_json(path)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- as said
