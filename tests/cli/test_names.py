"""A name that has several addresses, as the hosts of a run."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from orchestrator.app import hostcheck, hosts
from orchestrator.app.hosts import Named
from orchestrator.config import Flags, load
from orchestrator.errors import BuilderUnreachableError, UsageError
from remote.address import TcpAddress, UnixAddress, parse
from remote.unix import UnixStream
from tests.lab import Lab


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that knows one name."""

    async def answer(_host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        await anyio.lowlevel.checkpoint()
        return [(socket.AF_INET, 0, 0, "", (each, port)) for each in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(anyio, "getaddrinfo", answer)


async def test_each_address_is_a_host_with_what_was_said_of_the_name() -> None:
    named = Named(address=parse("tcp://pods:1"), slots=3, memory=5)

    found = await hosts.resolved([named])

    assert [(each.name, each.slots, each.memory) for each in found] == [
        ("tcp://127.0.0.1:1", 3, 5),
        ("tcp://127.0.0.2:1", 3, 5),
    ]


async def test_a_host_that_is_named_by_its_name_and_by_its_address_is_named_twice() -> None:
    named = [Named(address=parse(each), slots=1) for each in ("tcp://127.0.0.2:1", "tcp://pods:1")]

    with pytest.raises(UsageError, match=r"tcp://127\.0\.0\.2:1 is named twice"):
        await hosts.resolved(named)


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_daemon_that_has_several_addresses_is_one_host_and_checked_at_each(lab: Lab, tmp_path: Path) -> None:
    async with forwarded(lab) as port:
        named = await hosts.resolved([Named(address=TcpAddress(host="pods", port=port), slots=1)])
        async with hosts.opened(named) as builders:
            found = [each.named.name for each in builders.all]
        config = load(None, {"HOME": str(tmp_path)}, Flags(hosts=(f"tcp://pods:{port}",)))
        checked = await hostcheck.check(config)

    assert len(named) == 2
    assert found == [named[0].name]
    assert [(host.address, host.state) for host in checked.hosts] == [(each.name, "well") for each in named]


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_host_that_says_nothing_is_waited_for_a_short_time_when_another_has_answered(
    lab: Lab, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        named = [Named(address=UnixAddress(path=str(path)), slots=1) for path in (tmp_path / "silent", lab.buildkitd)]

        async with hosts.opened(named, patience=0.1) as builders:
            found = [each.named for each in builders.all]

    assert found == [named[1]]
    assert [(at, error.kind) for at, error in builders.missing] == [(named[0].address, BuilderUnreachableError.kind)]
    assert builders.warnings[0].startswith(f"set aside until it answers: {named[0].name}: no answer within")


@asynccontextmanager
async def forwarded(lab: Lab) -> AsyncGenerator[int]:
    """The lab's daemon behind a TCP port of every address of this machine."""

    async def copy(source: anyio.abc.ByteStream, target: anyio.abc.ByteStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for data in source:
                await target.send(data)
            await target.send_eof()

    async def serve(near: anyio.abc.SocketStream) -> None:
        async with near, await UnixStream.connect(str(lab.buildkitd)) as far, anyio.create_task_group() as tasks:
            tasks.start_soon(copy, near, far)
            tasks.start_soon(copy, far, near)

    listener = await anyio.create_tcp_listener(local_host="0.0.0.0", local_port=0)  # noqa: S104 -- for a moment
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        tasks.cancel_scope.cancel()
