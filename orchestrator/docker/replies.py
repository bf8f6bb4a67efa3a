"""An engine's replies as our values: pure functions over what aiodocker hands out.

The API's own description is moby's `api/swagger.yaml`; what it leaves out was recorded from Engine 20.10.24 (graph
driver) and 2.0.0-beta.24 (containerd's image store). `tests/docker/test_replies.py` holds these records.
"""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.docker.model import CacheRecord, DiskUsage, EngineInfo, Progress, Pruned

_SNAPSHOTTER = ("driver-type", "io.containerd.snapshotter.v1")
_PUSHED = re.compile(r"\S+: digest: (sha256:[0-9a-f]{64}) size: \d+")
_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_LOADED = re.compile(r"Loaded image(?: ID)?: (\S+)\n?")
_NEVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
"""Go's zero time."""


class _Pascal(msgspec.Struct, frozen=True, rename="pascal"):
    pass


class Version(_Pascal, frozen=True):
    """The answer to `GET /version`."""

    version: str
    api_version: str
    min_api_version: str = msgspec.field(name="MinAPIVersion", default="")
    components: tuple["_Component", ...] | None = None


class _Component(_Pascal, frozen=True):
    name: str


class _Info(_Pascal, frozen=True):
    driver: str
    driver_status: tuple[tuple[str, str], ...] | None
    docker_root_dir: str
    architecture: str
    n_cpu: int = msgspec.field(name="NCPU")
    security_options: tuple[str, ...] | None = None


class _Record(_Pascal, frozen=True):
    id: str = msgspec.field(name="ID")
    type: str
    size: int
    in_use: bool
    shared: bool
    created_at: dt.datetime
    description: str = ""
    last_used_at: dt.datetime | None = None


class _Container(_Pascal, frozen=True):
    size_rw: int = 0


class _VolumeUsage(_Pascal, frozen=True):
    size: int = 0


class _Volume(_Pascal, frozen=True):
    usage_data: _VolumeUsage | None = None


class _Usage(_Pascal, frozen=True):
    layers_size: int
    images: tuple[Any, ...] | None
    containers: tuple[_Container, ...] | None
    volumes: tuple[_Volume, ...] | None
    build_cache: tuple[_Record, ...] | None


class _DeletedImage(_Pascal, frozen=True):
    untagged: str | None = None
    deleted: str | None = None


class _PrunedImages(_Pascal, frozen=True):
    images_deleted: tuple[_DeletedImage, ...] | None
    space_reclaimed: int


class _PrunedCache(_Pascal, frozen=True):
    caches_deleted: tuple[str, ...] | None
    space_reclaimed: int


class _Detail(msgspec.Struct, frozen=True):
    current: int | None = None
    total: int | None = None


class _Aux(_Pascal, frozen=True):
    digest: str | None = None


class Line(msgspec.Struct, frozen=True, rename={"detail": "progressDetail"}):
    """A line of a progress stream; an error's line is raised by aiodocker."""

    id: str | None = None
    status: str | None = None
    stream: str | None = None
    detail: _Detail | None = None
    aux: _Aux | None = None

    def progress(self, reference: str) -> Progress | None:
        """What it says of a layer, if it does."""
        if not self.id or not self.status:
            return None
        detail = self.detail or _Detail()
        return Progress(
            reference=reference,
            layer=self.id,
            status=self.status,
            current=detail.current,
            # An engine that does not know says 0, or -1.
            total=detail.total if detail.total and detail.total > 0 else None,
        )

    @property
    def pushed(self) -> str | None:
        """The digest with which a push ends: `aux` says it without a graph driver's help only in words."""
        if self.aux is not None and self.aux.digest is not None:
            return self.aux.digest
        match = _PUSHED.fullmatch(self.status or "")
        return match[1] if match else None

    @property
    def pulled(self) -> str | None:
        """The digest that a pull found."""
        match = _DIGEST.fullmatch(self.status or "")
        return match[1] if match and not self.id else None

    @property
    def complete(self) -> bool:
        """Whether it is the last one of a pull that went well."""
        return not self.id and (self.status or "").startswith("Status: ")

    @property
    def loaded(self) -> str | None:
        """The image that a load found: its reference, else its id."""
        match = _LOADED.fullmatch(self.stream or "")
        return match[1] if match else None


def line(reply: Mapping[str, Any]) -> Line:
    """A line of a progress stream.

    Raises:
        msgspec.ValidationError: it is none; so for each function here.
    """
    return msgspec.convert(reply, Line)


def version(reply: Mapping[str, Any]) -> Version:
    """The answer to `GET /version`."""
    return msgspec.convert(reply, Version)


def is_podman(answer: Version) -> bool:
    """Whether it is Podman that answers in an engine's place."""
    return any("podman" in component.name.lower() for component in answer.components or ())


def info(reply: Mapping[str, Any], *, version: str, api: str) -> EngineInfo:
    """The answer to `GET /info`."""
    told = msgspec.convert(reply, _Info)
    return EngineInfo(
        version=version,
        api=api,
        storage=told.driver,
        containerd=_SNAPSHOTTER in (told.driver_status or ()),
        root=told.docker_root_dir,
        rootless="name=rootless" in (told.security_options or ()),
        architecture=told.architecture,
        cpus=told.n_cpu,
    )


def usage(reply: Mapping[str, Any]) -> DiskUsage:
    """The answer to `GET /system/df`."""
    told = msgspec.convert(reply, _Usage)
    return DiskUsage(
        images=len(told.images or ()),
        layers=told.layers_size,
        containers=sum(each.size_rw for each in told.containers or ()),
        # -1 stands for: not known.
        volumes=sum(max(0, each.usage_data.size) for each in told.volumes or () if each.usage_data),
        cache=tuple(
            CacheRecord(
                id=each.id,
                type=each.type,
                description=each.description,
                size=each.size,
                in_use=each.in_use,
                shared=each.shared,
                created=each.created_at.timestamp(),
                last_used=each.last_used_at.timestamp() if each.last_used_at and each.last_used_at > _NEVER else None,
            )
            for each in sorted(told.build_cache or (), key=lambda each: (each.created_at, each.id))
        ),
    )


def pruned(*, cache: Mapping[str, Any], images: Mapping[str, Any]) -> Pruned:
    """The answers to `POST /build/prune` and `POST /images/prune`."""
    of_cache, of_images = msgspec.convert(cache, _PrunedCache), msgspec.convert(images, _PrunedImages)
    return Pruned(
        images=tuple(filter(None, (each.untagged or each.deleted for each in of_images.images_deleted or ()))),
        cache=of_cache.caches_deleted or (),
        reclaimed=of_cache.space_reclaimed + of_images.space_reclaimed,
    )
