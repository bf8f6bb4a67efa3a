"""The record of a run: JSON lines, a header and then every event as `--progress=json` writes it.

What is written is what happened until then, so the record of a run that was killed is as readable as any: its last line
may be torn, and its last event is not `run-completed`. Output of steps and the many events of transfers are left out:
the end of a failed step's output is in its `app-failed`, a step's bytes are in its `step-completed`.
"""

from pathlib import Path

import msgspec

from orchestrator.errors import UsageError
from orchestrator.events import Event, StepLog, StepProgress

FORMAT = 1
"""Raised when a field vanishes or changes its meaning; new fields and events may appear at any time."""
FILE = "record.jsonl"


class RecordedApp(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan says of an app."""

    name: str
    path: str
    language: str
    version: str | None = None
    reason: str = ""
    needs: tuple[str, ...] = ()
    """The apps of the run whose images it stands on: it waits for them."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="record"):
    """The first line."""

    time: float
    """Seconds since the epoch."""
    format: int = FORMAT
    run: str
    """The name of the run's directory."""
    version: str
    """Of fleetpacks."""
    source: str
    """The monorepo's root."""
    branch: str | None = None
    revision: str | None = None
    apps: tuple[RecordedApp, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What was read."""

    header: Header
    events: tuple[Event, ...]
    torn: bool = False
    """Whether the last line is incomplete: its writer was killed, or its disk was full."""
    unknown: int = 0
    """Lines that were not understood: a later release may have written them."""


class _Format(msgspec.Struct, frozen=True, tag_field="event", tag="record"):
    """The one field that says how to read the others."""

    format: int


_ENCODER = msgspec.json.Encoder()
_EVENT: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def is_recorded(event: Event) -> bool:
    """Whether an event is part of records."""
    return not isinstance(event, StepLog | StepProgress)


def encode(line: object) -> bytes:
    """A line, with its end."""
    return _ENCODER.encode(line) + b"\n"


def decode(data: bytes, *, name: str) -> Record:
    """Read a record, whole or not.

    Args:
        data: the file's content.
        name: how errors call it.

    Raises:
        UsageError: it does not begin as a record does, or has another format.
    """
    first, *lines = data.split(b"\n")
    # Behind the last line's end there is nothing; else the line was not written to its end.
    torn = bool(lines.pop()) if lines else True
    header = _header(first, name)
    events: list[Event] = []
    unknown = 0
    for line in lines:
        try:
            events.append(_EVENT.decode(line))
        except msgspec.DecodeError:
            unknown += 1
    return Record(header=header, events=tuple(events), torn=torn, unknown=unknown)


def read(path: Path) -> Record:
    """Read a record's file.

    Raises:
        UsageError: it cannot be read, or is no record.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="Name a run, or its directory.") from error
    return decode(data, name=str(path))


def _header(line: bytes, name: str) -> Header:
    try:
        written = msgspec.json.decode(line, type=_Format).format
        if written != FORMAT:
            raise UsageError(
                f"{name}: has the format {written}; only {FORMAT} is understood here",
                hint="Use the release of fleetpacks that wrote it, or one that is newer.",
            )
        return msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{name}: is no record of a run: {error}", hint="Name a run that `fleetpacks build` made."
        ) from error
