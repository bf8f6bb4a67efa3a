"""Starting an image on an engine for a look at it: as strict as a cluster's strictest policy, and gone afterwards.

The container runs as uid 1000 on a read-only root with a tmpfs at /tmp, without capabilities and new privileges, and
is told its port by `$PORT`. Whatever happens, leaving the block kills and removes it, also under a cancellation.
"""

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiodocker
import anyio
import anyio.lowlevel
import msgspec

from orchestrator.docker import names
from orchestrator.docker.api import Client
from orchestrator.docker.border import is_missing
from orchestrator.docker.engine import Engine
from orchestrator.docker.model import Network
from orchestrator.errors import EngineError

_USER = "1000:1000"
_CLEAN_UP_SECONDS = 60.0
_LOG_BYTES = "10m"


class _Binding(msgspec.Struct, frozen=True, rename="pascal"):
    host_port: str


class _NetworkSettings(msgspec.Struct, frozen=True, rename="pascal"):
    ports: Mapping[str, tuple[_Binding, ...] | None]


class _Shown(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to `GET /containers/ID/json`."""

    network_settings: _NetworkSettings


class Container:
    """A running container.

    Attributes:
        name: known to the engine.
        port: on the loopback of the engine's machine, what the app listens on is found here.
    """

    def __init__(self, engine: Engine, name: str, *, port: int) -> None:
        self._engine = engine
        self.name = name
        self.port = port

    async def wait(self) -> int:
        """Wait for its end; returns its exit status, for a signal 128 and the signal's number."""

        async def ask(docker: Client) -> int:
            answer = await docker.containers.container(self.name).wait()
            return msgspec.convert(answer["StatusCode"], int)

        return await self._engine.ask(ask, doing="wait for a container", seconds=None)

    async def logs(self, *, last: int = 200) -> str:
        """What it wrote to both of its output streams so far.

        Args:
            last: lines, at most.
        """

        async def ask(docker: Client) -> str:
            container = docker.containers.container(self.name)
            return "".join(await container.log(stdout=True, stderr=True, tail=last))

        return await self._engine.ask(ask, doing="read a container's log")


@asynccontextmanager
async def started(
    engine: Engine,
    image: str,
    *,
    port: int = 5000,
    network: Network = "published",
    env: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
) -> AsyncGenerator[Container]:
    """Start an image that the engine has; kill and remove the container on leaving.

    Args:
        engine: where.
        image: a reference, or an id.
        port: what the app is told to listen on. With `network="host"` it must be free on the engine's machine.
        network: how the port is reached: published on a free port of the loopback, or as it is.
        env: variables beside the image's own and `$PORT`.
        command: instead of the image's own arguments.

    Raises:
        ImageNotFoundError: the engine has no such image.
        EngineError: it cannot be started.
        UsageError: the image's name is none.
        FleetpacksError: as for every method of `Engine`.
    """
    name = f"fleetpacks-{secrets.token_hex(8)}"
    config = _config(names.image(image), port=port, network=network, env={**(env or {}), "PORT": str(port)})
    if command is not None:
        config["Cmd"] = list(command)
    try:
        # An engine that is left while it makes a container makes it all the same, under a name not yet known there.
        with anyio.CancelScope(shield=True):
            await engine.ask(lambda docker: docker.containers.create(config, name=name), doing=f"start {image}")
        # Not even a request to start it, when nobody waits for it any more.
        await anyio.lowlevel.checkpoint_if_cancelled()
        await engine.ask(lambda docker: docker.containers.container(name).start(), doing=f"start {image}")
        if network == "published":
            port = await engine.ask(lambda docker: _published(docker, name, port), doing=f"look at {image}")
        yield Container(engine, name, port=port)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEAN_UP_SECONDS):
            await engine.ask(lambda docker: _remove(docker, name), doing="remove a container")


async def _published(docker: Client, name: str, port: int) -> int:
    shown = msgspec.convert(await docker.containers.container(name).show(), _Shown)
    for binding in shown.network_settings.ports.get(f"{port}/tcp") or ():
        return int(binding.host_port)
    raise EngineError(
        "the engine publishes no ports: it has no bridge network", hint="start the container on the host's network"
    )


async def _remove(docker: Client, name: str) -> None:
    try:
        await docker.containers.container(name).delete(force=True, v=True)
    except aiodocker.DockerError as error:
        if not is_missing(error):
            raise


def _config(image: str, *, port: int, network: Network, env: Mapping[str, str]) -> dict[str, Any]:
    """The body of `POST /containers/create`."""
    host: dict[str, Any] = {
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777"},  # noqa: S108 - the container's
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        # Whatever the engine's default is: it must be one that can be read back.
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LOG_BYTES}},
    }
    if network == "host":
        host["NetworkMode"] = "host"
    else:
        host["PortBindings"] = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return {
        "Image": image,
        "User": _USER,
        "Env": [f"{key}={value}" for key, value in env.items()],
        "ExposedPorts": {f"{port}/tcp": {}},
        "HostConfig": host,
    }
