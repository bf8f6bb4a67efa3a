"""Pulling: the right platform, the right bytes, and nothing left of a pull that failed."""

import gzip
import json
import tarfile
from pathlib import Path

import anyio
import pytest

from orchestrator.errors import FleetpacksError, ImageNotFoundError, ProtocolError
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST, RunConfig
from orchestrator.registry.pull import pull
from orchestrator.registry.reference import Reference, parse
from tests.registry.server import Answer, Fault, Seen, Server, running, sha256
from tests.registry.test_unpack import layer, tree

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
RUN = {"User": "1000", "Env": ["PATH=/bin"], "Entrypoint": None, "Cmd": ["app"], "WorkingDir": "/srv"}


def add_image(server: Server, tag: str, *layers: bytes, architecture: str = "amd64") -> str:
    config = json.dumps({"os": "linux", "architecture": architecture, "config": RUN}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _describe(server, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [_describe(server, content, LAYER) for content in layers],
    }
    return server.add_manifest("app", tag, json.dumps(manifest).encode())


def add_index(server: Server, tag: str, **digests: str) -> None:
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(server.manifests[f"app/manifests/{digest}"][1]),
            "platform": {"os": "unknown" if name == "unknown" else "linux", "architecture": name},
        }
        for name, digest in digests.items()
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    server.add_manifest("app", tag, body, OCI_INDEX)


def _describe(server: Server, body: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": server.add_blob(body), "size": len(body)}


def image(server: Server, tag: str) -> Reference:
    return parse(f"{server.host}/app:{tag}")


def client() -> RegistryClient:
    return RegistryClient(Credentials(None), {}, patience=Patience(attempts=1))


async def test_an_image_is_pulled_for_its_platform_out_of_an_index(tmp_path: Path) -> None:
    async with running(Server()) as server, client() as registry:
        lower = gzip.compress(layer(("etc/name", tarfile.REGTYPE, b"lower"), ("gone", tarfile.REGTYPE, b"")))
        upper = gzip.compress(layer(("etc/name", tarfile.REGTYPE, b"upper"), (".wh.gone", tarfile.REGTYPE, b"")))
        ours = add_image(server, "ours", lower, upper)
        other = add_image(server, "other", lower, architecture="arm64")
        add_index(server, "1", unknown=other, arm64=other, amd64=ours)

        pulled = await pull(registry, image(server, "1"), tmp_path / "image")

    assert tree(tmp_path) == {"image/": "", "image/etc/": "", "image/etc/name": "upper"}
    assert pulled.digest == ours
    assert pulled.config == RunConfig(user="1000", env=("PATH=/bin",), cmd=("app",), working_dir="/srv")


async def test_a_missing_platform_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    async with running(Server()) as server, client() as registry:
        other = add_image(server, "other", architecture="arm64")
        add_index(server, "1", unknown=other, arm64=other)

        with pytest.raises(ImageNotFoundError, match="no image for linux/amd64, only for linux/arm64"):
            await pull(registry, image(server, "1"), tmp_path / "image")
        with pytest.raises(ImageNotFoundError, match="is for linux/arm64"):
            await pull(registry, image(server, "other"), tmp_path / "image")

    assert tree(tmp_path) == {}


@pytest.mark.parametrize("what", ["broken layer", "unsafe layer", "wrong bytes", "lost blob", "cut blob"])
async def test_a_pull_that_fails_leaves_nothing(tmp_path: Path, what: str) -> None:
    good = gzip.compress(layer(("a", tarfile.REGTYPE, b"1" * 4000)))
    bad = gzip.compress(layer(("../a", tarfile.REGTYPE, b"")) if what == "unsafe layer" else b"no tar")
    async with running(Server()) as server, client() as registry:
        add_image(server, "1", good, bad)
        digest = sha256(bad)
        if what == "wrong bytes":
            server.blobs[digest] = b"x" * len(bad)
        elif what == "lost blob":
            del server.blobs[digest]
        elif what == "cut blob":
            server.faults.append(Fault(path=digest, answer=Answer(body=bad, cut_after=len(bad) - 1)))

        with pytest.raises(FleetpacksError) as caught:
            await pull(registry, image(server, "1"), tmp_path / "image")

    assert caught.value.hint
    assert tree(tmp_path) == {}


async def test_a_cancelled_pull_leaves_nothing(tmp_path: Path) -> None:
    half_way: list[str] = []
    async with running(Server()) as server, client() as registry:
        content = gzip.compress(layer(("a", tarfile.REGTYPE, b"1")))
        add_image(server, "1", content)
        with anyio.CancelScope() as scope:

            def stop(request: Seen) -> None:
                if sha256(content) in request.path:
                    half_way.extend(path.name for path in tmp_path.iterdir())
                    scope.cancel()

            server.on_request = stop
            await pull(registry, image(server, "1"), tmp_path / "image")

    assert scope.cancelled_caught
    assert len(half_way) == 1
    assert tree(tmp_path) == {}


async def test_an_existing_destination_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    async with running(Server()) as server, client() as registry:
        with pytest.raises(FileExistsError):
            await pull(registry, image(server, "1"), tmp_path / "image")

        assert server.seen == []


@pytest.mark.parametrize("body", [b"{}", b'{"config": 1, "layers": []}', b'{"layers": []}'])
async def test_a_manifest_that_is_none_is_a_protocol_error(tmp_path: Path, body: bytes) -> None:
    async with running(Server()) as server, client() as registry:
        server.add_manifest("app", "1", body)

        with pytest.raises(ProtocolError):
            await pull(registry, image(server, "1"), tmp_path / "image")
