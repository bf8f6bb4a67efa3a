"""What goes into the client and what comes out of it: frozen values, free of protobuf.

Times are seconds since the epoch.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

import anyio.abc
import msgspec

from orchestrator.buildkit.session.auth import TokenProvider
from orchestrator.buildkit.session.content import ReadableStore
from orchestrator.buildkit.session.destinations import Destination
from orchestrator.buildkit.session.sources import Source

Dial = Callable[[], Awaitable[anyio.abc.ByteStream]]
"""Opens a new connection to the daemon. `OSError` and `remote.errors.UnreachableError` mean that nothing answers, other
errors of `remote` that what answers is no builder."""

SecretReader = Callable[[], Awaitable[bytes]]
"""Reads a secret's value, at the moment a step asks for it."""


class Exporter(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the result. Attributes are BuildKit's, e.g. `name`, `push`, `push-by-digest` of `image`."""

    type: str
    attrs: Mapping[str, str]
    destination: Destination | None = None
    """Where the result of `local`, `tar`, `oci` or `docker` goes; None for exporters whose result stays elsewhere."""


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A place where a build's cache is kept outside of the daemon."""

    type: str
    """`registry`, `inline`, `local`."""
    attrs: Mapping[str, str]
    """Of a registry: `ref`; of an export to it `mode` (`min` or `max`), too. Of `local` the name of a store: `src` and
    the `digest` of its manifest, or `dest`."""


class SourceRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon does with sources of a build (sourcepolicy/pb/policy.proto, v0.30.0)."""

    action: Literal["allow", "deny", "convert"]
    """What is converted is judged again, by all rules; of those that allow or deny, the last one counts."""
    identifier: str
    """Of the sources that it is for, in full: `docker-image://docker.io/library/debian:trixie`."""
    match: Literal["wildcard", "exact", "regex"] = "wildcard"
    """How it is compared. By an exact one, daemons up to v0.30 convert nothing; a wildcard without `*` is as exact."""
    to: str = ""
    """The identifier that a source is converted to; `${1}` is what the first `*` stands for."""


class SolveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One build by the Dockerfile frontend that is part of the daemon."""

    ref: str
    """Unique among the daemon's builds, now and in its history."""
    attrs: Mapping[str, str]
    """The frontend's attributes: `filename`, `target`, `build-arg:NAME`, `label:NAME`."""
    exporter: Exporter | None = None
    """None builds and keeps the result in the daemon's cache only."""
    outputs: tuple[Exporter, ...] = ()
    """More exporters of the same result. Daemons before v0.13 have only one: what needs `destination` then fails."""
    sources: tuple[Source, ...]
    shared_key: str
    """Names the daemon's copy of our sources: no two running builds may share one, the next build of an app should."""
    secrets: Mapping[str, SecretReader] = {}
    """By id. An id that is not here does not exist for the build."""
    tokens: TokenProvider | None = None
    """None: the daemon uses registries anonymously."""
    registries: tuple[str, ...] = ()
    """Hosts that this build names: no other host's password is ever given to the daemon (see `session.auth`)."""
    cache_imports: tuple[CacheEntry, ...] = ()
    """What cannot be read is passed over."""
    cache_exports: tuple[CacheEntry, ...] = ()
    """The build fails when one cannot be written, unless `ignore-error` says otherwise."""
    stores: Mapping[str, ReadableStore] = {}
    """What `local` caches are read from and written to, by the names that their entries use."""
    layouts: Mapping[str, ReadableStore] = {}
    """Images that named contexts are, by the names that they use: `context:base` is `oci-layout://<name>@<digest>` then
    (see `session.layout`). Daemons before v0.11, and engines with a graph driver, cannot."""
    ssh: Mapping[str, Path] = {}
    """Sockets of SSH agents, by id. An id that is not here does not exist for the build."""
    entitlements: tuple[str, ...] = ()
    """What its steps may ask for besides: `network.host`, `security.insecure`. The daemon must allow it, too."""
    source_policy: tuple[SourceRule, ...] = ()
    """Daemons before v0.11 know of none, and pass over it without a word."""

    @property
    def exporters(self) -> tuple[Exporter, ...]:
        """All of them, in the order by which the daemon numbers them.

        `exporter` is the last: the daemon answers with one digest, the last exporter's, and an archive for Docker has
        another one than the image that is pushed (solver/llbsolver/solver.go, v0.30.0).
        """
        return (*self.outputs, *([self.exporter] if self.exporter else []))


class SolveResult(msgspec.Struct, frozen=True, kw_only=True):
    """A build that succeeded."""

    digest: str | None
    """Of the image's manifest or index; None without an exporter."""
    exporter_response: Mapping[str, str]
    sent_bytes: int
    """Everything written to this build's session connection: context, metadata and framing."""
    entries: int = 0
    """Files, directories and links of the sources that the daemon was told of."""
    files_sent: int = 0
    """Files whose content it asked for, because its copy differed."""
    warnings: tuple[str, ...] = ()
    """What was received and could not be written as it is."""


class Vertex(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a build, as far as it has come."""

    digest: str
    name: str
    inputs: tuple[str, ...]
    started: float | None
    completed: float | None
    """A step may start and complete several times: it waits for others between."""
    cached: bool
    error: str | None


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a step's output: neither whole lines nor whole characters."""

    vertex: str
    data: bytes
    stream: int
    """1 is standard output, 2 standard error."""


class VertexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a part of a step has come: a layer that is pulled, a context that is sent, `pushing layers`."""

    vertex: str
    id: str
    """Unique in the step: a layer's digest, else words for people."""
    current: int
    """Bytes so far; 0 for what is not counted in bytes."""
    total: int
    """Bytes in all; 0 when nobody knows."""
    completed: bool
    began: float | None = None
    ended: float | None = None
    """None until it is completed."""


class BuildWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What the Dockerfile frontend thinks of the Dockerfile."""

    vertex: str
    message: str
    detail: str
    url: str | None
    file: str | None
    line: int | None


class StatusUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a build since the last update."""

    vertexes: tuple[Vertex, ...] = ()
    statuses: tuple[VertexStatus, ...] = ()
    logs: tuple[Log, ...] = ()
    warnings: tuple[BuildWarning, ...] = ()


class DaemonInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which BuildKit answers."""

    version: str
    revision: str
    package: str


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One of a daemon's workers."""

    id: str
    platforms: tuple[str, ...]
    """`os/architecture[/variant]`, the worker's own first."""
    labels: Mapping[str, str]
