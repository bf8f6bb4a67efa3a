"""A Docker Engine of our own: with a bridge, rules and a containerd, none of which outlives it."""

import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.app import isolated
from orchestrator.app.builder import opened
from remote.address import parse
from tests.buildkit.real import ROOT, request, shell_root
from tests.conftest import RealCount
from tests.daemon.conftest import DAEMONS
from tests.daemon.real import configured, engine_variables, fuse_variables, rules, traces
from tests.daemon.test_running import left
from tests.docker.real import client as engine_client
from tests.lab import Lab, tools
from tests.lab.state import layout

# Starting one takes seconds; that what is ours serves both event loops is shown with a buildkitd.
pytestmark = [*DAEMONS, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


@pytest.mark.parametrize("newer", [False, pytest.param(True, marks=pytest.mark.full)])
async def test_an_engine_has_a_network_of_its_own_and_is_gone_without_a_trace(
    lab: Lab, home: Path, real_count: RealCount, *, newer: bool
) -> None:
    said = await engine_variables(lab, home, newer=newer)
    config = configured(said)
    wanted = msgspec.structs.replace(config.isolated, kind="dockerd", root=home / "d", mtu=1300)
    before, filtered = traces(home), await rules(home, said)

    async with isolated.started(config, wanted) as daemon:
        there, let_out = traces(home), await rules(home, said)
        async with engine_client(daemon.settings.socket) as engine:
            info = await engine.info()
        mtu = await built(daemon.settings.url, "cat /sys/class/net/eth0/mtu")
        joined = await ports(daemon.settings.name)
    after = await left(home, before)
    real_count.record("build")

    assert daemon.settings.version is not None
    assert info.version.startswith("{}.{}.".format(*daemon.settings.version))
    assert daemon.settings.store is newer
    assert there.interfaces == (daemon.settings.name,)
    assert len(let_out) - len(filtered) == 3
    assert mtu == "1300"
    assert [port for port in joined if await anyio.Path(f"/sys/class/net/{port}").exists()] == []
    assert after == before
    assert await rules(home, said) == filtered


@pytest.mark.full
@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize(
    ("driver", "mounted"), [("fuse-overlayfs", "fuse.fuse-overlayfs"), ("vfs", "/docker/vfs/dir/")]
)
async def test_an_engine_stacks_layers_as_it_is_told(
    lab: Lab, home: Path, real_count: RealCount, *, driver: str, mounted: str, newer: bool
) -> None:
    said = {**await fuse_variables(await engine_variables(lab, home, newer=newer)), "STORAGE_DRIVER": driver}
    config = configured(said)
    wanted = msgspec.structs.replace(config.isolated, kind="dockerd", root=home / "d")
    before = traces(home)

    async with isolated.started(config, wanted) as daemon:
        mounts = await built(daemon.settings.url, "cat /proc/self/mountinfo")
    after = await left(home, before)
    real_count.record("build")

    assert mounted in mounts.splitlines()[0]
    assert after == before


async def ports(bridge: str) -> list[str]:
    """Join a pair of interfaces to a bridge, as an engine does for a step; returns what is joined, and the peer."""
    ip = await tools.debian_program(layout(), "iproute2", "sbin/ip", installed=True)
    mine = bridge.replace("fpd", "fpt")
    for words in (f"link add {mine} type veth peer name {mine}p", f"link set {mine} master {bridge}"):
        await anyio.run_process([str(ip), *words.split()])
    joined = [path.name async for path in anyio.Path(f"/sys/class/net/{bridge}/brif").iterdir()]
    assert mine in joined
    return [*joined, f"{mine}p"]


async def built(url: str, command: str) -> str:
    """What a step of a build says that has the engine's own network."""
    said = bytearray()

    async def hear(update: object) -> None:
        for log in getattr(update, "logs", ()):
            said.extend(log.data)

    async with opened(parse(url)) as (builder, _):
        await builder.solve(request(f"{ROOT}RUN {command}\n", context=await shell_root()), on_status=hear)
    return said.decode().strip()


async def test_an_engine_whose_maker_is_killed_leaves_nothing(lab: Lab, home: Path) -> None:
    said = await engine_variables(lab, home)
    before, filtered = traces(home), await rules(home, said)
    words = [str(Path(sys.executable).with_name("fleetpacks")), "daemon", "run", "--engine", "dockerd"]

    async with await anyio.open_process([*words, "--data-root", str(home / "d")], env=said) as process:
        assert process.stdout is not None
        with anyio.fail_after(60):
            address = await process.stdout.receive()
        process.kill()
    after = await left(home, before)

    assert address.startswith(b"docker://")
    assert after == before
    assert await rules(home, said) == filtered
    assert not await anyio.Path(home / "d" / "run").exists()
