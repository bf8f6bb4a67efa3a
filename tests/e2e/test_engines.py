"""The command against real Docker Engines: built there, published, and what is in the registry is the app."""

import secrets
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from orchestrator.events import AppWarning, RunCompleted
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import RunConfig, content
from tests.conftest import RealCount
from tests.e2e.conftest import Start, exit_code_of
from tests.lab import Engine, Lab
from tests.lab.container import started

pytestmark = [pytest.mark.real, pytest.mark.apart]

_SERVER = "require('node:http').createServer((_, answer) => answer.end('TOKEN')).listen(process.env.PORT)\n"


@pytest.fixture(params=["graph", "containerd"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"engine_{request.param}")
    return found


class _Config(msgspec.Struct, frozen=True):
    config: RunConfig


async def published(lab: Lab, image: str) -> tuple[str, RunConfig]:
    """The digest of an image in the registry, and its configuration."""
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        manifest = await client.get_manifest(reference.parse(image))
        config = content(manifest, image).config
        async with httpx.AsyncClient(trust_env=False) as http:
            repository = reference.parse(image).path
            blob = await http.get(f"http://{lab.registry}/v2/{repository}/blobs/{config.digest}")
    return manifest.digest, msgspec.json.decode(blob.raise_for_status().content, type=_Config).config


async def test_an_app_is_built_in_an_engine_published_and_answers(
    lab: Lab, engine: Engine, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    token = secrets.token_hex(8)
    app = tmp_path / "app"
    app.mkdir()
    # Without dependencies: a step in the lab's engines reaches no network.
    (app / "package.json").write_text('{"scripts": {"start": "node server.js"}}')
    (app / "server.js").write_text(_SERVER.replace("TOKEN", token))
    image = f"{lab.registry}/engines-{token}"
    words = ("--tag", "one", "--tag", "two", "--push")

    async with build(app, *words, image=image, host=f"docker://{engine.socket}") as running:
        ran = await running.end()
    real_count.record("build")

    assert ran.code == exit_code_of(ran) == 0, ran.err
    completed = ran.completed()["app"]
    assert completed.tags == (f"{image}:one", f"{image}:two")
    found = [await published(lab, tag) for tag in completed.tags]
    # What was reported is the manifest's digest, also where the engine itself knows the image by another.
    assert {digest for digest, _ in found} == {completed.digest}
    assert "server.js" in str(found[0][1].cmd)
    async with started(lab, f"{image}:two") as container, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(container.url)).text == token
    real_count.record("start")
    real_count.record("answer")
    # Nothing stays under a name without a tag, which could not be removed by it.
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(engine.socket))) as client:
        images = (await client.get("http://engine/images/json")).raise_for_status().json()
    assert image not in {name for each in images for name in each["RepoTags"] or ()}


async def test_an_engine_that_pushes_by_itself_is_said_to_do_so_once(
    lab: Lab, engine: Engine, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    for name in ("one", "two"):
        (tmp_path / "shop" / name).mkdir(parents=True)
        (tmp_path / "shop" / name / "Dockerfile").write_text("FROM scratch\nCOPY token.txt /\n")
        (tmp_path / "shop" / name / "token.txt").write_text(secrets.token_hex(8))
    image = f"{lab.registry}/engines-{secrets.token_hex(4)}/{{app}}"

    async with build(tmp_path / "shop", "--push", image=image, host=f"docker://{engine.socket}") as running:
        ran = await running.end()
    real_count.record("build", times=2)

    warnings = [event.message for event in ran.events if isinstance(event, AppWarning) and event.app is None]
    assert ran.code == 0, ran.err
    assert len(ran.completed()) == 2
    assert len(warnings) == (engine.kind == "graph")
    assert all("--push" in warning for warning in warnings)


@pytest.mark.parametrize(
    "words",
    [
        ("--output", "type=oci,dest={place}"),
        ("--output", "type=docker,dest={place}"),
        ("--push", "--output", "type=local,dest={place}"),
    ],
)
async def test_what_an_engine_with_a_graph_driver_cannot_do_is_refused_before_anything_is_built(
    engine_graph: Engine, lab: Lab, build: Start, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    said = [word.format(place=tmp_path / "out") for word in words]
    host, image = f"docker://{engine_graph.socket}", f"{lab.registry}/engines/refused"

    async with build(tmp_path / "app", *said, image=image, host=host) as running:
        ran = await running.end()

    assert ran.code == 2
    assert [type(event) for event in ran.events] == [RunCompleted]
    assert host in ran.err
    assert "hint: " in ran.err
    assert not await anyio.Path(tmp_path / "out").exists()


async def test_files_are_written_by_an_engine_that_can(
    engine: Engine, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\nCOPY token.txt /\n")
    (tmp_path / "app" / "token.txt").write_text(secrets.token_hex(8))
    words = ("--output", f"type=local,dest={tmp_path}/out")

    async with build(tmp_path / "app", *words, host=f"docker://{engine.socket}") as running:
        ran = await running.end()
    real_count.record("build")

    assert ran.code == 0, ran.err
    assert (tmp_path / "out" / "token.txt").read_text() == (tmp_path / "app" / "token.txt").read_text()


async def test_a_builder_may_be_named_by_docker_host(
    lab: Lab, engine_containerd: Engine, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")

    async with build(tmp_path / "app", host=None, variables={"DOCKER_HOST": engine_containerd.docker_host}) as running:
        ran = await running.end()
    real_count.record("build")

    assert ran.code == 0, ran.err
    assert ran.events[0].builder == f"docker://{engine_containerd.socket}"  # type: ignore[union-attr]  # RunStarted
