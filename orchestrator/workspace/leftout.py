"""What is said of directories that were recognised and are no apps. Pure.

Most are libraries, of which nobody wants to hear. Where a file that may say what is started tells nothing, somebody
does; and where no app is found at all, everything that was seen is worth a line.
"""

import posixpath
from collections.abc import Sequence
from typing import Final

import msgspec

from langs.facts import PROCFILE
from langs.model import Detection
from orchestrator.config.decode import quoted
from orchestrator.config.repository import FILE
from orchestrator.errors import UsageError
from orchestrator.workspace.files import printable

_MOST_NAMED: Final = 10


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A directory that was recognised, and of which nothing is started."""

    path: str
    detection: Detection


def warnings_of(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """What is said beside the apps that there are. A Procfile without a `web` may be for whoever works on all."""
    found = [
        f"{printable(each.path)} is left out: {_obstacle(each, obstacle.file, obstacle.reason)}"
        for each in left_out
        for obstacle in each.detection.obstacles[:1]
        if obstacle.file != PROCFILE
    ]
    more = len(found) - _MOST_NAMED
    return (*found[:_MOST_NAMED], *([f"{more} more directories are left out for such reasons"] if more > 0 else []))


def nothing_found(root: str, left_out: Sequence[LeftOut]) -> UsageError:
    """The error for a source without an app."""
    problem = f"no app was found in {root}"
    if not left_out:
        hint = f'Run `fleetpacks detect DIR` for a directory, or declare it: [apps."path"] in {FILE}.'
        return UsageError(problem, hint=hint)
    lines = [_line(each) for each in left_out]
    more = [f"and {len(lines) - _MOST_NAMED} more"] if len(lines) > _MOST_NAMED else []
    table = f"[apps.{quoted(printable(left_out[0].path))}]"
    return UsageError(
        "\n".join((f"{problem}; nothing that is started was found in", *lines[:_MOST_NAMED], *more)),
        hint=f"Say what is started: `web: COMMAND` in a Procfile there, or `run` below {table} in {FILE}.",
    )


def _line(left_out: LeftOut) -> str:
    detection = left_out.detection
    said = [_obstacle(left_out, each.file, each.reason) for each in detection.obstacles]
    if said:
        return "; ".join(said)
    file = f", by {printable(detection.evidence[0].file)}" if detection.evidence else ""
    return f"{printable(left_out.path)} ({detection.language}{file})"


def _obstacle(left_out: LeftOut, file: str, reason: str) -> str:
    return f"{printable(posixpath.normpath(posixpath.join(left_out.path, file)))}: {reason}"
