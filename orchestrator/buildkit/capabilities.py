"""What a daemon can do: looked at, never assumed.

Three kinds of daemon speak BuildKit's API: buildkitd, a Docker Engine that keeps images in containerd's image store,
and a Docker Engine that keeps them by a graph driver. The list of a daemon's workers tells which one it is; it needs no
engine's API, so it works wherever the connection leads. What each kind can do is the table below, found out from real
ones: `tests/buildkit/test_capabilities.py` asks every daemon of the lab for every exporter.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from orchestrator.buildkit.model import Worker

Kind = Literal["buildkitd", "engine, containerd's image store", "engine, graph driver"]

_SNAPSHOTTER = "org.mobyproject.buildkit.worker.snapshotter"
"""A worker's label, with a value unless a graph driver keeps the layers."""
_NAMESPACE = "org.mobyproject.buildkit.worker.containerd.namespace"
_ENGINES_NAMESPACE = "moby"
"""An engine's own; a buildkitd that works with containerd has another."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.")
_SEVERAL_SINCE = (0, 13)
_CONTEXTS_SINCE = (0, 11)
"""They came with v0.10, which does not say its version."""
_POLICIES_SINCE = (0, 11)
_TIMES_SINCE = (0, 13)
"""`rewrite-timestamp` came with v0.13 (docs/build-repro.md, v0.30.0)."""
_CACHES_SINCE = (0, 13)
"""The oldest that was seen to read what a v0.30 has written, also by plain HTTP; an Engine 20.10 passes over it."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of daemon can do."""

    kind: Kind
    image_exporter: str
    """The type of the exporter that makes an image in the daemon."""
    pushes: bool
    """Whether that exporter can push, by digest and without a tag; else only the engine's own API can, under a tag."""
    oci_media_types: bool
    """Whether images may have OCI's media types; else they have Docker's."""
    exporters: frozenset[str]
    """The types of all exporters that it has."""
    exports_cache: bool = True
    """Whether it writes a build's cache to a registry; else only into the image itself."""
    platform: str = ""
    """The builder's own: `linux/amd64`."""
    platforms: tuple[str, ...] = ()
    """Whose programs it runs, natively or by emulation, its own first; empty: it does not say."""
    worker: str = ""
    """The builder's id, which it keeps beside its cache: with another cache it has another one. Engines with a graph
    driver all have the same."""
    several_exporters: bool = True
    """Whether one build may have several of them; that depends on the daemon's version, whatever its kind."""
    named_contexts: bool = True
    """Whether a Dockerfile may name other contexts. The frontend of one that cannot takes such a name for that of an
    image in a registry, whoever's that is. Depends on the version, too."""
    source_policy: bool = True
    """Whether it takes a source from elsewhere when it is told to; else it passes over that without a word. Depends on
    the version, too."""
    rewrites_times: bool = True
    """Whether it can give all files of an image's layers one time. Depends on the version, too."""
    registry_caches: bool = True
    """Whether it reads the caches that builders of today write to registries; else it passes over them without a word,
    and reads only those that are kept in images. Depends on the version, too."""


_FILES = frozenset({"local", "tar"})
_ARCHIVES = frozenset({"docker", "oci"})

TABLE: Mapping[Kind, Capabilities] = {
    each.kind: each
    for each in (
        Capabilities(
            kind="buildkitd",
            image_exporter="image",
            pushes=True,
            oci_media_types=True,
            exporters=_FILES | _ARCHIVES | {"image"},
        ),
        Capabilities(
            kind="engine, containerd's image store",
            image_exporter="image",
            pushes=True,
            oci_media_types=True,
            exporters=_FILES | _ARCHIVES | {"image", "moby"},
        ),
        Capabilities(
            kind="engine, graph driver",
            image_exporter="moby",
            pushes=False,
            oci_media_types=False,
            exports_cache=False,
            exporters=_FILES | {"moby"},
        ),
    )
}


def recognise(workers: Sequence[Worker], *, version: str | None) -> Capabilities:
    """Tell what a daemon can do.

    Args:
        workers: as it lists them.
        version: of its BuildKit; None when it cannot say, which only the old ones cannot.
    """
    runs = tuple(dict.fromkeys(name for worker in workers for name in worker.platforms))
    return msgspec.structs.replace(
        TABLE[_kind(workers)],
        several_exporters=is_since(version, _SEVERAL_SINCE),
        named_contexts=is_since(version, _CONTEXTS_SINCE),
        source_policy=is_since(version, _POLICIES_SINCE),
        rewrites_times=is_since(version, _TIMES_SINCE),
        registry_caches=is_since(version, _CACHES_SINCE),
        platform=next(iter(runs), ""),
        platforms=runs,
        worker=workers[0].id if workers else "",
    )


def _kind(workers: Sequence[Worker]) -> Kind:
    if not any(worker.labels.get(_SNAPSHOTTER) for worker in workers):
        return "engine, graph driver"
    if any(worker.labels.get(_NAMESPACE) == _ENGINES_NAMESPACE for worker in workers):
        return "engine, containerd's image store"
    return "buildkitd"


def is_since(version: str | None, since: tuple[int, int]) -> bool:
    """Whether a version of BuildKit, None for one that does not say it, is not older."""
    if version is None:
        return False
    numbers = _VERSION.match(version)
    # One built from a commit has no number, or (in Debian's engines) v0.0.0+unknown: it is no old one.
    said = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    return said == (0, 0) or said >= since
