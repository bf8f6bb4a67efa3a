"""BuildKit's points in time as ours: seconds since the epoch."""

from typing import TYPE_CHECKING

from google.protobuf.message import Message

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_NANOSECONDS = 1_000_000_000


def seconds(message: Message, field: str) -> float | None:
    """The time in a field; None when it is not set, or is Go's zero time."""
    if not message.HasField(field):
        return None
    timestamp: Timestamp = getattr(message, field)
    return timestamp.seconds + timestamp.nanos / _NANOSECONDS if timestamp.seconds > 0 else None
