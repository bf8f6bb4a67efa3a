"""What tests against real engines share: images made from nothing, and an engine that a test may kill."""

import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import Process

from orchestrator.config import environment
from orchestrator.docker import Engine, Logins, Patience
from remote.address import EngineAddress, UnixAddress
from tests.buildkit.real import shell_root
from tests.lab import Lab, tools
from tests.lab.state import layout

if TYPE_CHECKING:
    import aiodocker


def client(socket: Path, *, logins: Logins | None = None) -> Engine:
    """A client of the engine at a socket, which does not wait long for registries."""
    address = EngineAddress(at=UnixAddress(path=str(socket)))
    return Engine(address, logins=logins, patience=Patience(attempts=2, first=0.01))


async def archive(name: str | None, *, created: str = "2026-01-01T00:00:00Z", ballast: int = 0) -> bytes:
    """An image that has a shell, as `docker save` writes it; none is like another.

    Args:
        name: its reference; None for an image without a name.
        created: when it was made.
        ballast: bytes that do not compress, in a layer of their own.
    """
    layers = [_tar({**await shell_root(), "marker": secrets.token_hex(8).encode()})]
    if ballast:
        layers.append(_tar({"ballast": secrets.token_bytes(ballast)}))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created": created, "created_by": "test"} for _ in layers],
    }
    files = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [name] if name else None, "Layers": list(files)}]
    return _tar({**files, "config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()})


def _tar(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


async def chunks(data: bytes) -> AsyncGenerator[bytes]:
    """Bytes as a stream."""
    for begin in range(0, len(data), 1 << 18):
        await anyio.lowlevel.checkpoint()
        yield data[begin : begin + (1 << 18)]


@asynccontextmanager
async def loaded(engine: Engine, name: str, *, created: str = "2026-01-01T00:00:00Z") -> AsyncGenerator[str]:
    """An image that the engine has, under this name, until the block is left."""
    await engine.load(chunks(await archive(name, created=created)))
    try:
        yield name
    finally:
        with anyio.CancelScope(shield=True):
            await remove(engine, name)


async def remove(engine: Engine, image: str) -> None:
    """Delete an image from the engine."""
    # The product deletes none by name.
    await engine.ask(lambda docker: cast("aiodocker.Docker", docker).images.delete(image, force=True), doing="delete")


@asynccontextmanager
async def private_engine(
    lab: Lab, folder: Path, *options: str, disk: int | None = None
) -> AsyncGenerator[tuple[Process, Path]]:
    """Debian's Docker Engine, for a test that kills it or fills its disk; yields its process and its socket.

    Args:
        lab: whose programs it uses.
        folder: holds everything of it; what it mounts goes with its mount namespace.
        options: more words for `dockerd`.
        disk: bytes of the disk that it has, when it is to be a small one.
    """
    docker, containerd, tini, mapper = [
        await tools.debian_package(layout(), name) for name in ("docker.io", "containerd", "tini", "libdevmapper1.02.1")
    ]
    programs = [docker / "usr/sbin", docker / "usr/bin", containerd / "usr/bin", tini / "usr/bin", lab.runc.parent]
    root, socket = folder / "root", folder / "s"
    await anyio.Path(root).mkdir()
    words = [str(docker / "usr/sbin/dockerd"), "--bridge", "none", "--iptables=false", "--data-root", str(root)]
    words += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "--host", f"unix://{socket}"]
    small = ["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(root), "&&"] if disk else []
    command = ["unshare", "--mount", "/bin/sh", "-c", " ".join([*small, "exec", *words, *options])]
    env = {
        **environment.read(),
        "PATH": ":".join([*map(str, programs), "/usr/sbin:/usr/bin:/sbin:/bin"]),
        "LD_LIBRARY_PATH": ":".join(str(found) for found in mapper.glob("lib/*")),
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        async with await anyio.open_process(command, stdin=None, stdout=log, stderr=log, env=env) as process:
            try:
                await _until_there(process, socket, folder / "log")
                yield process, socket
            finally:
                with anyio.CancelScope(shield=True):
                    if process.returncode is None:
                        # Gently, so that it ends its containerd.
                        process.terminate()
                        with anyio.move_on_after(15):
                            await process.wait()
                    if process.returncode is None:
                        process.kill()
                    await process.wait()


async def _until_there(process: Process, socket: Path, log: Path) -> None:
    with anyio.fail_after(60):
        while not await anyio.Path(socket).is_socket():
            assert process.returncode is None, (await anyio.Path(log).read_text())[-2000:]
            await anyio.sleep(0.05)
        async with client(socket) as engine:
            await engine.info()


def unique(registry: str, words: Sequence[str] = ()) -> str:
    """A name that no other test has."""
    return "/".join([registry, "docker-room", *words, secrets.token_hex(6)]) + ":1"
