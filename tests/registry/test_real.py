"""The client against the distribution project's own registry: the lab's, and one with passwords."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import httpx
import pytest

from orchestrator.errors import ImageNotFoundError, RegistryError
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from orchestrator.registry.pull import pull
from orchestrator.registry.reference import Reference, parse
from orchestrator.registry.tokens import BasicCredential, RegistryTokens
from tests.lab import Lab
from tests.lab.state import layout
from tests.lab.tools import debian_program
from tests.registry.server import sha256
from tests.registry.test_unpack import FILE, layer, tree

pytestmark = [pytest.mark.real, pytest.mark.apart]

HTPASSWD = "alice:$2b$04$yVT0o52eQ76GqtZuzFzte.x14W4dF.jLoUx9zNbh1acD0hSlSeYFy\n"
"""bcrypt of `s3cret`."""


async def upload(host: str, path: str, body: bytes, auth: tuple[str, str] | None = None) -> dict[str, object]:
    """Put a blob, which the product leaves to builders, and say what points to it."""
    async with httpx.AsyncClient(base_url=f"http://{host}", auth=auth, trust_env=False) as http:
        started = await http.post(f"/v2/{path}/blobs/uploads/")
        url = httpx.URL(started.headers["location"]).copy_merge_params({"digest": sha256(body)})
        done = await http.put(url, content=body)
    assert done.status_code == httpx.codes.CREATED
    return {"mediaType": "application/octet-stream", "digest": sha256(body), "size": len(body)}


async def publish(host: str, path: str, media_type: str = OCI_MANIFEST) -> tuple[Manifest, Descriptor]:
    """A small real image's manifest, whose blobs are in the registry, and its layer."""
    content = layer(("etc/answer", FILE, path.encode()))
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["answer"]}}).encode()
    lower = await upload(host, path, content)
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": await upload(host, path, config),
            "layers": [lower],
        }
    ).encode()
    manifest = Manifest(media_type=media_type, body=body, digest=sha256(body))
    return manifest, Descriptor(media_type="application/octet-stream", digest=sha256(content), size=len(content))


def fresh(host: str) -> Reference:
    """A repository that nobody has used."""
    return parse(f"{host}/tests/registry-{uuid4().hex}")


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
async def test_a_manifest_goes_under_several_tags_and_comes_back_the_same(lab: Lab, media_type: str) -> None:
    reference = fresh(lab.registry)
    manifest, _ = await publish(lab.registry, reference.path, media_type)

    async with RegistryClient(Credentials(None), {}) as client:
        await client.put_manifest(reference.with_digest(manifest.digest), manifest)
        published = await client.get_manifest(reference.with_digest(manifest.digest))
        for tag in ("1", "latest"):
            await client.put_manifest(reference.with_tag(tag), published)
        heads = [await client.head(reference.with_tag(tag)) for tag in ("1", "latest", "none")]
        read = await client.get_manifest(reference.with_tag("1"))

    expected = Descriptor(media_type=media_type, digest=manifest.digest, size=len(manifest.body))
    assert heads == [expected, expected, None]
    assert read == manifest


async def test_an_index_is_put_read_and_pulled_for_a_platform(lab: Lab, tmp_path: Path) -> None:
    reference = fresh(lab.registry)
    manifest, _ = await publish(lab.registry, reference.path)
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"mediaType": OCI_MANIFEST, "digest": manifest.digest, "size": len(manifest.body), "platform": platform}
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    index = Manifest(media_type=OCI_INDEX, body=body, digest=sha256(body))

    async with RegistryClient(Credentials(None), {}) as client:
        await client.put_manifest(reference.with_digest(manifest.digest), manifest)
        await client.put_manifest(reference.with_tag("1"), index)
        read = await client.get_manifest(reference.with_tag("1"))
        pulled = await pull(client, reference.with_tag("1"), tmp_path / "image")

    assert read == index
    assert pulled.digest == manifest.digest
    assert pulled.config.cmd == ("answer",)
    assert tree(tmp_path / "image") == {"etc/": "", "etc/answer": reference.path}


async def test_a_blob_is_streamed_and_verified(lab: Lab) -> None:
    reference = fresh(lab.registry)
    body = b"0123456789" * 100_000
    await upload(lab.registry, reference.path, body)
    received = bytearray()

    async def sink(chunk: bytes) -> None:
        received.extend(chunk)

    async with RegistryClient(Credentials(None), {}) as client:
        await client.get_blob(reference, Descriptor(media_type="x/y", digest=sha256(body), size=len(body)), sink)

    assert bytes(received) == body


async def test_unknown_names_tags_and_blobs_are_not_found(lab: Lab) -> None:
    reference = fresh(lab.registry)
    missing = Descriptor(media_type="x/y", digest=sha256(b"missing"), size=7)

    async def sink(chunk: bytes) -> None:
        raise AssertionError(chunk)

    async with RegistryClient(Credentials(None), {}) as client:
        await client.challenges(lab.registry)
        assert await client.head(reference) is None
        with pytest.raises(ImageNotFoundError, match="MANIFEST_UNKNOWN"):
            await client.get_manifest(reference)
        with pytest.raises(ImageNotFoundError, match="BLOB_UNKNOWN"):
            await client.get_blob(reference, missing, sink)


async def test_a_manifest_whose_blobs_are_not_there_is_refused_with_the_registrys_code(lab: Lab) -> None:
    reference = fresh(lab.registry)
    manifest, _ = await publish(lab.registry, f"{reference.path}-elsewhere")

    async with RegistryClient(Credentials(None), {}) as client:
        with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
            await client.put_manifest(reference.with_tag("1"), manifest)


@asynccontextmanager
async def guarded(directory: Path) -> AsyncGenerator[str, None]:
    """A real registry that wants alice's password; gives its host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (directory / "htpasswd").write_text(HTPASSWD)
    file = directory / "registry.json"
    # JSON is YAML.
    content = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}},
    }
    file.write_text(json.dumps(content))
    log = await anyio.open_file(directory / "log", "wb")
    program = await debian_program(layout(), "docker-registry", "usr/bin/docker-registry", installed=True)
    async with (
        log,
        await anyio.open_process(
            [str(program), "serve", str(file)], stdin=None, stdout=log.wrapped, stderr=log.wrapped
        ) as process,
    ):
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            with anyio.CancelScope(shield=True):
                await process.wait()


async def test_a_registry_with_passwords_lets_us_in_with_the_right_one_only(lab: Lab, tmp_path: Path) -> None:
    async with guarded(tmp_path) as host:
        files: dict[str, Path] = {}
        for password in ("s3cret", "wrong"):
            files[password] = tmp_path / f"{password}.json"
            entry = {"username": "alice", "password": password}
            files[password].write_text(json.dumps({"auths": {host: entry}}))

        ours = Credentials(files["s3cret"])
        async with RegistryClient(ours, {}) as client:
            await client.challenges(host)
            missing = await client.head(fresh(host))
            shared = await RegistryTokens(client, ours).basic_credential(host)
        refused: list[str] = []
        for stranger in (Credentials(None), Credentials(files["wrong"])):
            async with RegistryClient(stranger, {}) as client:
                with pytest.raises(RegistryError) as caught:
                    await client.get_manifest(fresh(host))
                refused.append(caught.value.hint)

    assert missing is None
    assert shared == BasicCredential(username="alice", password="s3cret")
    assert all(f"docker login {host}" in hint for hint in refused)
