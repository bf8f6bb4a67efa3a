"""The builds that a daemon remembers, and what happens to them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from google.protobuf.message import Message

from orchestrator.buildkit.details import failed_step
from orchestrator.buildkit.grpc import Status
from orchestrator.buildkit.model import Exporter
from orchestrator.buildkit.protos import control_pb2
from orchestrator.buildkit.timestamps import seconds
from orchestrator.errors import FailedStep

_EVENTS: Mapping[int, Literal["started", "complete", "deleted"]] = {0: "started", 1: "complete", 2: "deleted"}


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A blob in the daemon's content store, in the words of the OCI image specification."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str]


class RecordedError(msgspec.Struct, frozen=True, kw_only=True):
    """How a build failed."""

    status: str
    """The name of gRPC's status; `CANCELLED` for a build that its client gave up."""
    message: str
    at: FailedStep


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """How many steps a build had; all 0 while it runs, and on daemons before v0.19."""

    total: int
    completed: int
    cached: int
    warnings: int


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One build."""

    ref: str
    frontend: str
    """Empty for a build whose client was its own frontend, as `buildctl`'s and `buildx`' are."""
    attrs: Mapping[str, str]
    """The frontend's attributes."""
    exporters: tuple[Exporter, ...]
    exporter_response: Mapping[str, str]
    created: float | None
    """Seconds since the epoch."""
    completed: float | None
    """None while the build runs."""
    error: RecordedError | None
    results: tuple[Descriptor, ...]
    """Images and indexes that were made, of all platforms."""
    attestations: tuple[Descriptor, ...]
    logs: Descriptor | None
    """The build's status stream, as messages."""
    trace: Descriptor | None
    external_error: Descriptor | None
    """An error with details that are too large for the record."""
    pinned: bool
    """Kept, whatever else is forgotten."""
    generation: int
    """Counts the changes of the record."""
    steps: Steps


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a build: it started, it ended (or its record changed), or its record was deleted."""

    kind: Literal["started", "complete", "deleted"]
    record: BuildRecord


def encode_history(*, ref: str | None, filters: Sequence[str], limit: int, active: bool, live: bool) -> bytes:
    """Encode a `Control.ListenBuildHistory` request."""
    message = control_pb2.BuildHistoryRequest(
        active_only=active, ref=ref or "", early_exit=not live, filter=filters, limit=limit
    )
    return message.SerializeToString()


def history_event(event: control_pb2.BuildHistoryEvent) -> HistoryEvent:
    """The daemon's event as ours. A kind of a newer daemon is a change of the record."""
    return HistoryEvent(kind=_EVENTS.get(event.type, "complete"), record=build_record(event.record))


def build_record(record: control_pb2.BuildHistoryRecord) -> BuildRecord:
    """The daemon's record as ours."""
    # The single result is repeated among the platforms' by daemons that have these.
    infos = list(record.results.values()) or ([record.result] if record.HasField("result") else [])
    return BuildRecord(
        ref=record.ref,
        frontend=record.frontend,
        attrs=dict(record.frontend_attrs),
        exporters=tuple(Exporter(type=entry.type, attrs=dict(entry.attrs)) for entry in record.exporters),
        exporter_response=dict(record.exporter_response),
        created=seconds(record, "created_at"),
        completed=seconds(record, "completed_at"),
        error=_error(record),
        results=tuple(each for info in infos for each in _results(info)),
        attestations=tuple(_descriptor(each) for info in infos for each in info.attestations),
        logs=_optional(record, "logs", record.logs),
        trace=_optional(record, "trace", record.trace),
        external_error=_optional(record, "external_error", record.external_error),
        pinned=record.pinned,
        generation=record.generation,
        steps=Steps(
            total=record.num_total_steps,
            completed=record.num_completed_steps,
            cached=record.num_cached_steps,
            warnings=record.num_warnings,
        ),
    )


def _error(record: control_pb2.BuildHistoryRecord) -> RecordedError | None:
    if not record.HasField("error"):
        return None
    error = record.error
    known = error.code in Status.__members__.values()
    return RecordedError(
        status=Status(error.code).name if known else str(error.code),
        message=error.message,
        at=failed_step(error.SerializeToString(), error.message),
    )


def _results(info: control_pb2.BuildResultInfo) -> list[Descriptor]:
    if info.results:
        return [_descriptor(info.results[key]) for key in sorted(info.results)]
    return [_descriptor(info.result_deprecated)] if info.HasField("result_deprecated") else []


def _optional(record: Message, field: str, descriptor: control_pb2.Descriptor) -> Descriptor | None:
    return _descriptor(descriptor) if record.HasField(field) else None


def _descriptor(descriptor: control_pb2.Descriptor) -> Descriptor:
    return Descriptor(
        media_type=descriptor.media_type,
        digest=descriptor.digest,
        size=descriptor.size,
        annotations=dict(descriptor.annotations),
    )
