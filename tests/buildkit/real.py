"""What tests against a real buildkitd share: a client, requests, and a root file system that can run a shell."""

import re
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import anyio
from anyio.abc import ByteStream, Process

from orchestrator.buildkit import (
    Client,
    Exporter,
    Log,
    MemorySource,
    SecretReader,
    SolveRequest,
    StatusUpdate,
    TokenProvider,
    Vertex,
)
from orchestrator.config import environment
from remote.address import UnixAddress
from remote.connect import connect
from tests.lab import Lab

_LIBRARY = re.compile(r"(/\S+) \(0x")
PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/cat")

ROOT = "FROM scratch\nCOPY --chmod=755 . /\n"
"""Begins a Dockerfile over `shell_root`."""


def client(socket: Path) -> Client:
    """A client of the daemon at a unix socket."""

    async def dial() -> ByteStream:
        return await connect(UnixAddress(path=str(socket)))

    return Client(dial, address=f"unix://{socket}")


async def shell_root(*more: str) -> Mapping[str, bytes]:
    """This machine's shell, `sleep`, `cat` and `more` programs with the libraries they need: a context for `ROOT`."""
    programs = (*PROGRAMS, *more)
    listed = await anyio.run_process(["ldd", *programs])
    paths = {*programs, *_LIBRARY.findall(listed.stdout.decode())}
    return {path.removeprefix("/"): await anyio.Path(path).read_bytes() for path in sorted(paths)}


def request(
    dockerfile: str,
    *,
    context: Mapping[str, bytes],
    exporter: Exporter | None = None,
    secrets_by_id: Mapping[str, SecretReader] | None = None,
    tokens: TokenProvider | None = None,
    registries: tuple[str, ...] = (),
    ssh: Mapping[str, Path] = MappingProxyType({}),
) -> SolveRequest:
    """A build under a ref and a shared key of its own."""
    ref = secrets.token_hex(12)
    return SolveRequest(
        ref=ref,
        attrs={"filename": "Dockerfile"},
        exporter=exporter,
        sources=(
            MemorySource(name="context", files=context),
            MemorySource(name="dockerfile", files={"Dockerfile": dockerfile.encode()}),
        ),
        shared_key=f"test-{ref}",
        secrets=secrets_by_id or {},
        tokens=tokens,
        registries=registries,
        ssh=ssh,
    )


def push_to(registry: str, name: str) -> Exporter:
    """By digest, as the engine does."""
    return Exporter(type="image", attrs={"name": f"{registry}/{name}", "push": "true", "push-by-digest": "true"})


class Watched:
    """Collects a build's events."""

    def __init__(self) -> None:
        self.vertexes: dict[str, Vertex] = {}
        self.logs: list[Log] = []
        self._waiting: dict[bytes, anyio.Event] = {}

    async def __call__(self, update: StatusUpdate) -> None:
        self.vertexes |= {vertex.digest: vertex for vertex in update.vertexes}
        self.logs += update.logs
        for text, event in self._waiting.items():
            if text in b"".join(log.data for log in self.logs):
                event.set()

    def log(self, stream: int) -> bytes:
        """All output on one stream."""
        return b"".join(log.data for log in self.logs if log.stream == stream)

    def step(self, part: str) -> Vertex:
        """The one step whose name holds this."""
        [found] = [vertex for vertex in self.vertexes.values() if part in vertex.name]
        return found

    def said(self, text: bytes) -> anyio.Event:
        """Set as soon as the build's output holds this."""
        return self._waiting.setdefault(text, anyio.Event())


@asynccontextmanager
async def private_daemon(
    lab: Lab,
    folder: Path,
    *,
    shut_in: Sequence[str] = (),
    program: Path | None = None,
    snapshotter: str = "native",
    config: str = "",
) -> AsyncGenerator[tuple[Process, Path]]:
    """A buildkitd that a test may kill; yields its process and its socket.

    Args:
        lab: whose programs and base images it uses.
        folder: holds everything of it, also the temporary directories that a killed daemon leaves.
        program: another buildkitd than the lab's.
        snapshotter: one that works on the folder's file system.
        config: more of its configuration, in TOML.
        shut_in: more namespaces, as words for `unshare`; what it has mounted goes with its mount namespace anyway.
    """
    socket = folder / "s"
    file = folder / "buildkitd.toml"
    file.write_text(
        f'root = "{folder}/root"\n[grpc]\naddress = ["unix://{socket}"]\n[otel]\nsocketPath = "{folder}/otel"\n'
        f"[cdi]\ndisabled = true\n[worker.containerd]\nenabled = false\n[worker.oci]\nenabled = true\n"
        f'binary = "{lab.runc}"\nnetworkMode = "host"\nsnapshotter = "{snapshotter}"\n'
        f'[registry."docker.io"]\nmirrors = ["{lab.registry}"]\n[registry."{lab.registry}"]\nhttp = true\n{config}'
    )
    program = program or lab.buildctl.with_name("buildkitd")
    command = ["unshare", "--mount", *shut_in, str(program), "--config", str(file)]
    env = {**environment.read(), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        async with await anyio.open_process(command, stdin=None, stdout=log, stderr=log, env=env) as process:
            try:
                with anyio.fail_after(30):
                    while not socket.exists():  # noqa: ASYNC110 -- another process makes it
                        await anyio.sleep(0.05)
                yield process, socket
            finally:
                with anyio.CancelScope(shield=True):
                    if process.returncode is None:
                        process.kill()
                    await process.wait()
