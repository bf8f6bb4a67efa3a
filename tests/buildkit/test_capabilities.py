"""What daemons can do, by asking real ones."""

import secrets
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.buildkit import Client, Exporter, MemorySource, SolveRequest, StatusUpdate
from orchestrator.buildkit.capabilities import TABLE, Kind
from orchestrator.buildkit.session.destinations import Destination, DirectoryDestination, FileDestination
from orchestrator.errors import BuildFailedError
from remote import address, connect
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

EXPORTERS = ("docker", "image", "local", "moby", "oci", "tar")


@pytest.fixture
def daemons(lab: Lab, engine_graph: Engine, engine_containerd: Engine) -> dict[Kind, str]:
    return {
        "buildkitd": lab.buildkit_host,
        "engine, containerd's image store": f"docker://{engine_containerd.socket}",
        "engine, graph driver": f"docker://{engine_graph.socket}",
    }


async def nobody(_update: StatusUpdate) -> None:
    """Nobody watches."""


async def has(client: Client, exporter: str, place: Path) -> bool:
    """Whether a daemon has an exporter."""
    ref = secrets.token_hex(12)
    request = SolveRequest(
        ref=ref,
        attrs={"filename": "Dockerfile"},
        exporter=Exporter(type=exporter, attrs={}, destination=destination(exporter, place / ref)),
        sources=(
            MemorySource(name="context", files={"file": b"content"}),
            MemorySource(name="dockerfile", files={"Dockerfile": b"FROM scratch\nCOPY file /\n"}),
        ),
        shared_key=ref,
    )
    try:
        await client.solve(request, on_status=nobody)
    except BuildFailedError as error:
        assert f'exporter "{exporter}" could not be found' in error.message, error.message  # noqa: PT017 -- most are there
        return False
    return True


def destination(exporter: str, place: Path) -> Destination | None:
    match exporter:
        case "local":
            return DirectoryDestination(path=place)
        case "docker" | "oci" | "tar":
            return FileDestination(path=place)
        case _:
            return None


@pytest.mark.parametrize("kind", list(TABLE))
async def test_a_daemon_is_recognised_and_has_the_exporters_of_the_table_and_no_other(
    daemons: dict[Kind, str], kind: Kind, tmp_path: Path
) -> None:
    url = address.parse(daemons[kind])
    exporters: set[str] = set()

    async def ask(client: Client, exporter: str) -> None:
        if await has(client, exporter, tmp_path):
            exporters.add(exporter)

    async with Client(await connect.dialer(url), address=str(url)) as client:
        found = await client.capabilities()
        async with anyio.create_task_group() as tasks:
            for exporter in EXPORTERS:
                tasks.start_soon(ask, client, exporter)

    young = kind != "engine, graph driver"
    names = ("several_exporters", "named_contexts", "source_policy", "registry_caches", "rewrites_times")
    by_version = dict.fromkeys(names, young)
    by_daemon = {"platform": found.platform, "platforms": found.platforms, "worker": found.worker}
    assert found == msgspec.structs.replace(TABLE[kind], **by_version, **by_daemon)
    assert found.worker
    assert found.platforms[0] == found.platform
    assert exporters == found.exporters
