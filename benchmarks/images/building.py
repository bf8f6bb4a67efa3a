"""One build of one side, with push: what it took, and what it brought to the registry."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import anyio
import httpx
import msgspec

from benchmarks.commands import raw_steps
from benchmarks.rest import spent
from orchestrator.errors import FleetpacksError
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import content
from orchestrator.text import inline
from tests.e2e.languages import Real
from tests.lab import Lab
from tests.lab.container import started
from tests.lab.errors import LabError

_LONGEST_REASON, _LONGEST_LOG = 500, 300
# A daemon that gets a trace works on it after the build, when the other side's has begun.
_UNTRACED = {"OTEL_TRACES_SAMPLER": "always_off"}
_TICK = 0.01
"""Seconds: what the kernel counts processor time in."""


class BuildFailedError(Exception):
    """A Dockerfile could not be built."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One build."""

    seconds: Annotated[float, msgspec.Meta(gt=0)]
    """From before its client started until after that had ended, with the push."""
    processor: Annotated[float, msgspec.Meta(gt=0)]
    """Seconds of the daemon and of what ended below it."""
    executed: int
    cached: int
    size: int
    """Bytes of the image as it was pushed: layers, configuration and manifest."""
    pushed: int
    """Those of them that this side had not pushed before."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """One that builds nothing for anybody else."""

    socket: Path
    process: int


class _Log(msgspec.Struct, frozen=True):
    data: bytes


class _Status(msgspec.Struct, frozen=True):
    logs: tuple[_Log, ...] | None = None


class _Metadata(msgspec.Struct, frozen=True):
    digest: str = msgspec.field(name="containerimage.digest")


def registry_client(lab: Lab) -> RegistryClient:
    """A client of the lab's registry, to be entered."""
    return RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)})


async def digest_of(lab: Lab, client: RegistryClient, base: str) -> str | None:
    """Of the base image that the daemon takes for this name; None where there is none."""
    at = reference.parse(base)
    found = await client.head(reference.parse(f"{lab.registry}/{at.path}:{at.identifier}"))
    return None if found is None else found.digest


class Contestant:
    """A Dockerfile over a copy of an app.

    Args:
        buildctl: the program.
        daemon: that builds it.
        client: of the registry.
        source: the copy.
        files: where the Dockerfile is, and its ignore file.
        image: where it is pushed.
        arguments: values of the Dockerfile's `ARG`s.
    """

    def __init__(
        self,
        buildctl: Path,
        daemon: Daemon,
        client: RegistryClient,
        *,
        source: Path,
        files: Path,
        image: str,
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        self.source = source
        self.image = image
        self._arguments = arguments or {}
        self._buildctl, self._daemon, self._client, self._files = buildctl, daemon, client, files
        self._known: set[str] = set()

    @property
    def dockerfile(self) -> str:
        """Its text."""
        return (self._files / "Dockerfile").read_text(encoding="utf-8")

    async def build(self) -> Measured:
        """Build and push it.

        Raises:
            BuildFailedError: it cannot be built.
        """
        metadata = self._files / "metadata.json"
        command = [str(self._buildctl), "--addr", f"unix://{self._daemon.socket}", *self._words(metadata)]
        before, began = spent(self._daemon.process), time.perf_counter()
        done = await anyio.run_process(command, check=False, env={"HOME": str(self._files), **_UNTRACED})
        seconds = time.perf_counter() - began
        processor = spent(self._daemon.process) - before
        if done.returncode != 0:
            raise BuildFailedError(_reason(done.stderr))
        digest = msgspec.json.decode(metadata.read_bytes(), type=_Metadata).digest
        size, pushed = await self._pushed(digest)
        steps = raw_steps([done.stderr])
        return Measured(
            seconds=seconds,
            processor=max(processor, _TICK),
            executed=steps.executed,
            cached=steps.cached,
            size=size,
            pushed=pushed,
        )

    def _words(self, metadata: Path) -> Sequence[str]:
        return (
            *("build", "--frontend", "dockerfile.v0", "--progress", "rawjson", "--metadata-file", str(metadata)),
            *("--local", f"context={self.source}", "--local", f"dockerfile={self._files}"),
            *(word for name, value in self._arguments.items() for word in ("--opt", f"build-arg:{name}={value}")),
            *("--output", f"type=image,name={self.image},push=true,oci-mediatypes=true"),
        )

    async def _pushed(self, digest: str) -> tuple[int, int]:
        """Bytes of an image, and of what of it is new."""
        manifest = await self._client.get_manifest(reference.parse(self.image).with_digest(digest))
        held = content(manifest, self.image)
        blobs = {each.digest: each.size for each in (held.config, *held.layers)}
        new = sum(size for each, size in blobs.items() if each not in self._known)
        self._known |= set(blobs)
        return sum(blobs.values()) + len(manifest.body), new + len(manifest.body)


async def problem(lab: Lab, image: str, real: Real) -> str:
    """What is wrong with the answer of an image that is started; empty where it is right.

    Its root may be written to, and names be looked up: not every peer's image can do without.
    """
    try:
        async with (
            started(lab, image, path=real.path, writable=True, online=True) as container,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            answer = await http.get(container.url + real.path)
    except (LabError, FleetpacksError) as error:
        return inline(str(error), _LONGEST_REASON)
    if isinstance(real.answer, str):
        right = answer.text.strip() == real.answer.strip()
    else:
        try:
            right = answer.json() == real.answer
        except ValueError:
            right = False
    return "" if right else inline(f"it answers {answer.status_code}: {answer.text}", _LONGEST_REASON)


def _reason(errors: bytes) -> str:
    """The client's last words, and before them the end of what steps have written."""
    lines = errors.splitlines()
    statuses = [msgspec.json.decode(line, type=_Status) for line in lines if line.startswith(b"{")]
    written = b"".join(log.data for status in statuses for log in status.logs or ()).decode(errors="replace")
    said = b" ".join(line for line in lines if not line.startswith(b"{")).decode(errors="replace")
    words = " ".join(written.split())[-_LONGEST_LOG:], said.rpartition("error: ")[2].strip()
    return inline(": ".join(each for each in words if each), _LONGEST_REASON)
