"""Images of random bytes, the same ones each time, in the lab's registry: what they hold does not compress."""

import gzip
import hashlib
import io
import platform
import random
import tarfile
from collections.abc import Sequence

import httpx
import msgspec

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_OWN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


class Blob(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something in the registry."""

    media_type: str
    digest: str
    size: int


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the registry."""

    tag: str
    blobs: tuple[Blob, ...]
    """Its configuration and its layers."""

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(blob.size for blob in self.blobs)


async def push(registry: str, repository: str, images: Sequence[Sequence[int]]) -> tuple[Pushed, ...]:
    """Push images, tagged by their numbers.

    Args:
        registry: `ADDRESS:PORT`, plain HTTP.
        repository: its path there.
        images: for each, the bytes of its layers; layers of one size are the same one.
    """
    base = f"http://{registry}/v2/{repository}"
    known: dict[int, tuple[Blob, str]] = {}
    pushed: list[Pushed] = []
    async with httpx.AsyncClient(trust_env=False, timeout=60) as real:
        for number, sizes in enumerate(images):
            for size in sizes:
                if size not in known:
                    known[size] = await _layer(real, base, size)
            layers = [known[size] for size in sizes]
            described = {
                "architecture": _OWN_NAMES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [unpacked for _, unpacked in layers]},
            }
            config = await _blob(real, base, _CONFIG, msgspec.json.encode(described))
            blobs = (config, *(blob for blob, _ in layers))
            manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": blobs[1:]}
            answer = await real.put(
                f"{base}/manifests/{number}",
                content=msgspec.json.encode(manifest),
                headers={"content-type": _MANIFEST},
            )
            answer.raise_for_status()
            pushed.append(Pushed(tag=f"{number}", blobs=blobs))
    return tuple(pushed)


async def _layer(real: httpx.AsyncClient, base: str, size: int) -> tuple[Blob, str]:
    """A layer of one file, and the digest of its archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        file = tarfile.TarInfo(f"file-{size}")
        file.size = size
        tar.addfile(file, io.BytesIO(random.Random(size).randbytes(size)))  # noqa: S311 -- no secret
    unpacked = hashlib.sha256(archive.getvalue()).hexdigest()
    packed = gzip.compress(archive.getvalue(), compresslevel=1, mtime=0)
    return await _blob(real, base, _LAYER, packed), f"sha256:{unpacked}"


async def _blob(real: httpx.AsyncClient, base: str, media_type: str, data: bytes) -> Blob:
    blob = Blob(media_type=media_type, digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size=len(data))
    if not (await real.head(f"{base}/blobs/{blob.digest}")).is_success:
        place = (await real.post(f"{base}/blobs/uploads/")).raise_for_status().headers["location"]
        answer = await real.put(
            httpx.URL(place).copy_merge_params({"digest": blob.digest}),
            content=data,
            headers={"content-type": "application/octet-stream"},
        )
        answer.raise_for_status()
    return blob
