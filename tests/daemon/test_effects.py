"""What is said of a daemon has an effect in it: looked at from inside its steps, and at what it deletes."""

import os
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.app import isolated
from orchestrator.buildkit import Client
from tests.buildkit.real import ROOT, client, request, shell_root
from tests.conftest import RealCount
from tests.daemon.conftest import DAEMONS
from tests.daemon.real import configured, variables
from tests.lab import Lab

# What is ours serves both event loops, as `test_running` shows; this is about the daemon.
pytestmark = [*DAEMONS, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_steps_ask_the_name_servers_that_were_said(lab: Lab, home: Path, real_count: RealCount) -> None:
    config = configured(variables(lab, home))
    said = bytearray()

    async def hear(update: object) -> None:
        for log in getattr(update, "logs", ()):
            said.extend(log.data)

    wanted = msgspec.structs.replace(config.isolated, root=home / "d", dns=("198.51.100.7",))
    async with isolated.started(config, wanted) as daemon, client(daemon.settings.socket) as builder:
        await builder.solve(request(f"{ROOT}RUN cat /etc/resolv.conf\n", context=await shell_root()), on_status=hear)
    real_count.record("build")

    assert [line for line in said.decode().splitlines() if line.startswith("nameserver")] == ["nameserver 198.51.100.7"]


@pytest.mark.full
async def test_a_cache_that_is_too_large_loses_its_layers_first(lab: Lab, home: Path, real_count: RealCount) -> None:
    config = configured(variables(lab, home))
    large = msgspec.structs.replace(config.isolated, root=home / "d")
    # Two layers of 40 MB, and a cache mount of 20 MB.
    context = {**await shell_root(), "ballast": os.urandom(20_000_000)}
    steps = "RUN --mount=type=cache,id=kept,target=/kept cat /ballast > /kept/one\nRUN cat /ballast /ballast > /more\n"

    async with isolated.started(config, large) as daemon, client(daemon.settings.socket) as builder:
        await builder.solve(request(ROOT + steps, context=context), on_status=unheard)
        before = await kinds(builder)
    # The size that is reserved is at most this size; so much has to go that no layer can stay.
    small = msgspec.structs.replace(large, size=50_000_000)
    async with isolated.started(config, small) as daemon, client(daemon.settings.socket) as builder:
        with anyio.fail_after(90):
            while sum((await kinds(builder)).values()) > small.size:  # noqa: ASYNC110 -- the daemon tells no one
                await anyio.sleep(0.2)
        after = await kinds(builder)
    real_count.record("build")

    assert before["regular"] > 60_000_000
    assert before["exec.cachemount"] > 20_000_000
    assert after.get("regular", 0) < before["regular"]
    assert after["exec.cachemount"] == before["exec.cachemount"]
    assert after["source.local"] == before["source.local"] > 20_000_000


async def unheard(_: object) -> None:
    """Whatever happens in a build."""


async def kinds(builder: Client) -> dict[str, int]:
    """Bytes by the kind of what a cache holds."""
    found: dict[str, int] = {}
    for record in await builder.disk_usage():
        found[record.type] = found.get(record.type, 0) + record.size
    return found
