"""Images of ours as an OCI layout: layers out of files, without any daemon and any registry."""

import gzip
import hashlib
import io
import platform
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

Fill = Callable[[tarfile.TarFile], None]
"""Puts a layer's files into a tar."""
_LEVEL = 1
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""As the kernel calls them, and as images do, where the two differ."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def write(layout: Path, layers: Iterable[Fill], *, env: Sequence[str] = ()) -> str:
    """Write an image into a layout, which may have others; returns its manifest's digest.

    Args:
        layout: the directory.
        layers: the lowest first.
        env: what its processes find in their environment, as `NAME=value`.
    """
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (layout / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    described: list[Mapping[str, object]] = []
    diffs: list[str] = []
    for fill in layers:
        layer, diff = _layer(blobs, fill)
        described.append(layer)
        diffs.append(diff)
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Env": list(env)},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _blob(blobs, _CONFIG, msgspec.json.encode(config)),
        "layers": described,
    }
    return str(_blob(blobs, _MANIFEST, msgspec.json.encode(manifest))["digest"])


def directory(tar: tarfile.TarFile, path: str, mode: int = 0o755) -> None:
    """Put a directory into a layer."""
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def file(tar: tarfile.TarFile, path: str, content: bytes, *, mode: int = 0o644, time: int = 0) -> None:
    """Put a file into a layer."""
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size, member.mode, member.mtime = len(content), mode, time
    tar.addfile(member, io.BytesIO(content))


def link(tar: tarfile.TarFile, path: str, to: str) -> None:
    """Put a symlink into a layer."""
    member = tarfile.TarInfo(path.lstrip("/"))
    member.type, member.linkname = tarfile.SYMTYPE, to
    tar.addfile(member)


def _blob(blobs: Path, kind: str, content: bytes) -> Mapping[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def _layer(blobs: Path, fill: Fill) -> tuple[Mapping[str, object], str]:
    """Write a layer; returns its descriptor, and the digest of what is in it."""
    grown = blobs / "new"
    with grown.open("wb") as opened:
        packed = _Hashed(opened)
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=_LEVEL, mtime=0) as zipped:
            plain = _Hashed(zipped)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                fill(tar)
    digest = packed.hash.hexdigest()
    grown.rename(blobs / digest)
    return {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": packed.size}, f"sha256:{plain.hash.hexdigest()}"


class _Hashed(io.RawIOBase):
    """Hashes what is written to a file."""

    def __init__(self, to: "BinaryIO | gzip.GzipFile") -> None:
        self._to = to
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        self.hash.update(data)
        self.size += len(data)
        return self._to.write(data)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is made of."""

    layers: Sequence[Path]
    """The blobs, the lowest first."""
    env: Sequence[str]


def content(layout: Path, digest: str) -> Content:
    """What an image that `write` has written is made of."""
    blobs = layout / "blobs/sha256"

    def blob(name: str) -> Path:
        return blobs / name.removeprefix("sha256:")

    manifest = msgspec.json.decode(blob(digest).read_bytes(), type=_Manifest)
    config = msgspec.json.decode(blob(manifest.config.digest).read_bytes(), type=_Config)
    return Content(layers=[blob(layer.digest) for layer in manifest.layers], env=config.config.env)


class _Named(msgspec.Struct, frozen=True):
    digest: str


class _Manifest(msgspec.Struct, frozen=True):
    config: _Named
    layers: Sequence[_Named]


class _Process(msgspec.Struct, frozen=True, rename={"env": "Env"}):
    env: Sequence[str]


class _Config(msgspec.Struct, frozen=True):
    config: _Process
