"""What a daemon's cache holds, and what is pruned of it."""

from collections.abc import Sequence

import msgspec

from orchestrator.buildkit.protos import control_pb2
from orchestrator.buildkit.timestamps import seconds

_NANOSECONDS = 1_000_000_000


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a daemon's cache."""

    id: str
    parents: tuple[str, ...]
    """What it lies on, by id."""
    type: str
    """`regular`, `source.local`, `source.git.checkout`, `exec.cachemount`, `frontend`, `internal`."""
    description: str
    size: int
    """Bytes, without those of its parents."""
    created: float | None
    """Seconds since the epoch, as all times here."""
    last_used: float | None
    usage_count: int
    in_use: bool
    mutable: bool
    shared: bool
    """Also part of something that pruning leaves alone, such as an image."""


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What pruning leaves alone. Without sizes, all that was not used lately goes; with sizes, the least used first."""

    used_within: float = 0
    """Seconds: what was used in this time stays."""
    reserved_space: int = 0
    """Bytes of cache that stay in any case."""
    max_used_space: int = 0
    """Bytes of cache that may stay; 0 sets no bound."""
    min_free_space: int = 0
    """Bytes that shall be free on the daemon's disk: no more goes than they need."""


def encode_prune(*, filters: Sequence[str], everything: bool, keep: Keep) -> bytes:
    """Encode a `Control.Prune` request."""
    message = control_pb2.PruneRequest(
        filter=filters,
        all=everything,
        keep_duration=round(keep.used_within * _NANOSECONDS),
        reserved_space=keep.reserved_space,
        max_used_space=keep.max_used_space,
        min_free_space=keep.min_free_space,
    )
    return message.SerializeToString()


def usage_record(record: control_pb2.UsageRecord) -> UsageRecord:
    """The daemon's record as ours."""
    return UsageRecord(
        id=record.id,
        parents=tuple(record.parents) or ((record.parent_deprecated,) if record.parent_deprecated else ()),
        type=record.record_type,
        description=record.description,
        size=record.size,
        created=seconds(record, "created_at"),
        last_used=seconds(record, "last_used_at"),
        usage_count=record.usage_count,
        in_use=record.in_use,
        mutable=record.mutable,
        shared=record.shared,
    )
