"""Putting generated files where they belong: each as one step, and none over what somebody has changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from orchestrator import atomic, temporary
from orchestrator.errors import UsageError
from orchestrator.init.project import File

State = Literal["written", "replaced", "unchanged"]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file."""

    path: str
    state: State


def write(files: Sequence[File], directory: Path, *, force: bool) -> tuple[Written, ...]:
    """Write files below a directory, all of them or none that is in the way of one.

    Args:
        files: what to write.
        directory: where; it is made where there is none.
        force: whether files that differ may be replaced.

    Raises:
        UsageError: a file is there and differs, leads out of the directory, or cannot be written.
    """
    states: dict[str, State] = {file.path: _state(file, directory) for file in files}
    taken = [path for path, state in states.items() if state == "replaced"]
    if taken and not force:
        raise UsageError(
            f"{directory / taken[0]} is there, and differs",
            hint="See the new one with --stdout, replace the old one with --force, or write elsewhere with --output.",
        )
    for file in files:
        if states[file.path] != "unchanged":
            _write(file, directory)
    return tuple(Written(path=str(directory / path), state=state) for path, state in states.items())


def _state(file: File, directory: Path) -> State:
    place = directory / file.path
    try:
        # Whoever changes the source may have put a link there, which leads anywhere.
        if not place.parent.resolve().is_relative_to(directory.resolve()):
            raise UsageError(
                f"{place.parent} leads out of {directory}", hint="Remove the link, or write elsewhere with --output."
            )
        if place.is_symlink():
            return "replaced"
        return "unchanged" if place.read_bytes() == file.text.encode() else "replaced"
    except FileNotFoundError:
        return "written"
    except (OSError, RuntimeError) as error:
        raise _unwritten(place, error) from error


def _write(file: File, directory: Path) -> None:
    place = directory / file.path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.sweep(place.parent)
        atomic.write(place, file.text.encode(), mode=file.mode)
    except OSError as error:
        raise _unwritten(place, error) from error


def _unwritten(place: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) else error
    return UsageError(f"{place}: cannot be written: {reason}", hint="Name a directory that you may write: --output.")
