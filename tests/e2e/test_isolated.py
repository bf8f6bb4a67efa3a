"""`fleetpacks build --isolated`: a daemon that nobody has started, and that nobody finds afterwards."""

import gzip
import hashlib
import io
import os
import secrets
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from orchestrator.events import RunStarted
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import content
from tests.conftest import RealCount
from tests.daemon.real import engine_variables, traces, variables
from tests.e2e.conftest import Start, exit_code_of
from tests.e2e.test_outputs import loaded
from tests.lab import Engine, Lab

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [
    pytest.mark.real,
    pytest.mark.apart,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces and mounts"),
]

_DOCKERFILE = """\
FROM debian:bookworm-slim
WORKDIR /srv
COPY . .
RUN sha256sum message.txt > sum && rm message.txt && mkdir -m 700 kept && chown 1000:1000 sum
USER 1000:1000
"""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A socket's path must be short.
    return tmp_path_factory.mktemp("i")


def app(folder: Path) -> Path:
    (folder / "app").mkdir()
    (folder / "app" / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "app" / "message.txt").write_text(secrets.token_hex(8))
    return folder / "app"


async def test_an_app_is_built_and_published_by_a_daemon_that_is_gone_then(
    lab: Lab, build: Start, home: Path, real_count: RealCount
) -> None:
    before = traces(home)
    source = app(home)
    # Nothing to pull: what is shown does not need it.
    (source / "Dockerfile").write_text("FROM scratch\nCOPY message.txt /\n")
    image = f"{lab.registry}/isolated-{secrets.token_hex(6)}"

    async with build(source, "--push", "--isolated", image=image, host=None, variables=variables(lab, home)) as running:
        ran = await running.end()
    real_count.record("build")

    assert ran.code == exit_code_of(ran) == 0, ran.err
    first = ran.events[0]
    assert isinstance(first, RunStarted)
    assert first.builder == f"unix://{home}/.cache/fleetpacks/daemon/buildkitd/run/buildkitd.sock"
    assert "sha256:" in str(ran.completed()["app"].digest)
    assert traces(home) == before
    assert ran.left == ()


async def test_where_it_cannot_run_the_run_ends_with_what_to_do(lab: Lab, build: Start, home: Path) -> None:
    said = {**variables(lab, home), "PATH": "/nowhere"}
    result = home / "result.json"

    async with build(app(home), "--isolated", "--result-file", str(result), host=None, variables=said) as running:
        ran = await running.end()

    assert ran.code == 1
    assert "there is no program buildkitd" in ran.err
    assert "hint: " in ran.err
    assert result.exists()


@pytest.mark.parametrize("newer", [False, pytest.param(True, marks=pytest.mark.full)])
async def test_an_engine_of_the_run_loads_into_the_one_that_stays_or_says_that_it_cannot(
    *, lab: Lab, engine_graph: Engine, build: Start, home: Path, real_count: RealCount, newer: bool
) -> None:
    source, name = app(home), f"isolated-{secrets.token_hex(6)}:1"
    (source / "Dockerfile").write_text("FROM scratch\nCOPY message.txt /\n")
    said = {**await engine_variables(lab, home, newer=newer), "DOCKER_HOST": engine_graph.docker_host}

    async with build(source, "--isolated=dockerd", "--load", image=name, host=None, variables=said) as running:
        ran = await running.end()
    async with loaded(engine_graph, name) as answer:
        there = answer.status_code

    assert (ran.code, there) == ((0, 200) if newer else (2, 404)), ran.err
    assert ("hands no image on" in ran.err) is not newer
    if newer:
        real_count.record("build")


@pytest.mark.full
async def test_every_builder_makes_the_same_files(
    lab: Lab, request: pytest.FixtureRequest, build: Start, home: Path, real_count: RealCount
) -> None:
    engines: list[Engine] = [request.getfixturevalue(f"engine_{kind}") for kind in ("graph", "containerd")]
    source = app(home)
    place = f"{lab.registry}/alike-{secrets.token_hex(6)}"
    own = variables(lab, home)
    builders: dict[str, tuple[str | None, tuple[str, ...], Mapping[str, str]]] = {
        "buildkitd": (lab.buildkit_host, (), {}),
        **{engine.kind: (f"docker://{engine.socket}", (), {}) for engine in engines},
        "own-buildkitd": (None, ("--isolated",), own),
        "own-dockerd": (None, ("--isolated=dockerd",), await engine_variables(lab, home)),
        "own-copies": (None, ("--isolated",), {**own, "STORAGE_DRIVER": "vfs"}),
    }
    before = traces(home)

    files: dict[str, list[dict[str, tuple[object, ...]]]] = {}
    for name, (host, words, said) in builders.items():
        async with build(
            source, "--push", "--force", *words, image=f"{place}/{name}", host=host, variables=said
        ) as running:
            ran = await running.end()
        assert ran.code == 0, (name, ran.err)
        real_count.record("build")
        files[name] = await layers(lab, f"{place}/{name}:latest")

    assert len(files["buildkitd"]) > 2
    assert {name: found == files["buildkitd"] for name, found in files.items()} == dict.fromkeys(builders, True)
    assert traces(home) == before


async def layers(lab: Lab, image: str) -> list[dict[str, tuple[object, ...]]]:
    """Of each layer that has any, its files: kind, mode, owner, and what is in them."""
    found: list[dict[str, tuple[object, ...]]] = []
    at = reference.parse(image)
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        manifest = await client.get_manifest(at)
    async with httpx.AsyncClient(trust_env=False) as http:
        for layer in content(manifest, image).layers:
            blob = (await http.get(f"http://{lab.registry}/v2/{at.path}/blobs/{layer.digest}")).raise_for_status()
            data = gzip.decompress(blob.content) if blob.content[:2] == b"\x1f\x8b" else blob.content
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                files = {member.name.strip("/"): _told(tar, member) for member in tar if not member.isdir()}
            if files:
                found.append(files)
    return found


def _told(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    if member.name.rpartition("/")[2].startswith(".wh."):
        return ("deleted",)
    data = tar.extractfile(member) if member.isreg() else None
    digest = hashlib.sha256(data.read()).hexdigest() if data else None
    # Graph drivers write the kind of a file into its mode, too.
    return member.type, member.mode & 0o7777, member.uid, member.gid, member.linkname, digest
