"""A report as a file: written as JSON that people can read, too, and read with all doubts."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from orchestrator.bench.result import Report, Series
from orchestrator.errors import UsageError

FORMAT = 1
"""Raised when a field vanishes or changes its meaning; new fields may appear at any time."""
_MOST_BYTES = 64 << 20
_HINT = "Measure anew, or name a file that `fleetpacks bench storage` has written and nothing has changed."


class _Head(msgspec.Struct, frozen=True):
    format: int = FORMAT


def encode(report: Report) -> bytes:
    """The report as it is written."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def read(path: Path) -> Report:
    """The report in a file.

    Raises:
        UsageError: it cannot be read, or is no report.
    """
    try:
        # A FIFO would be waited for, without O_NONBLOCK until somebody writes to it, and then until nobody does.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path}: is no regular file", hint="Save the report in a file, and name that.")
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="Name a report of a benchmark.") from error
    return decode(data, name=str(path))


def decode(data: bytes, *, name: str) -> Report:
    """The report in a file's content.

    Args:
        data: the content.
        name: how errors call the file.

    Raises:
        UsageError: it is no report.
    """
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{name}: larger than {_MOST_BYTES} bytes: no report of a benchmark", hint=_HINT)
    try:
        made_as = msgspec.json.decode(data, type=_Head).format
        if made_as > FORMAT:
            raise UsageError(
                f"{name}: a report of format {made_as}, and this release knows {FORMAT}",
                hint="A later release of fleetpacks has written it: read it with that one.",
            )
        report = msgspec.json.decode(data, type=Report)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: no report of a benchmark: not UTF-8", hint=_HINT) from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{name}: no report of a benchmark: {error}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{name}: no report of a benchmark: nested too deeply", hint=_HINT) from error
    if (wrong := _contradiction(report.series)) is not None:
        raise UsageError(f"{name}: no report of a benchmark: {wrong}", hint=_HINT)
    return report


def _contradiction(series: Iterable[Series]) -> str | None:
    """What the types do not rule out, and no benchmark writes."""
    known: set[tuple[str, str]] = set()
    units: dict[str, tuple[str, str]] = {}
    for each in series:
        key, unit = (each.scenario, each.target), (each.unit, each.better)
        if key in known:
            return f"{each.scenario} on {each.target} is there twice"
        if units.setdefault(each.scenario, unit) != unit:
            return f"{each.scenario} is measured in more than one unit"
        known.add(key)
    return None
