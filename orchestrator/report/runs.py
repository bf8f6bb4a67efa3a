"""The directory of runs: a directory for each, named so that the newest is the last in order."""

import datetime as dt
import fcntl
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import UsageError
from orchestrator.report.record import FILE

_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_SHOWN = 5
"""Runs that an error names."""


def new_name(now: dt.datetime) -> str:
    """A name for the run that begins now."""
    return f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def newest_first(directory: Path) -> tuple[Path, ...]:
    """The directories of all runs. There are none where nothing can be read."""
    with suppress(OSError):
        return tuple(sorted((each for each in directory.iterdir() if _NAME.fullmatch(each.name)), reverse=True))
    return ()


def find(directory: Path, said: str | None) -> Path:
    """The record that is meant.

    Args:
        directory: of all runs.
        said: the beginning or the end of a run's name, or the path of a run's directory or record; None is the newest.

    Raises:
        UsageError: there is none, or more than one.
    """
    if said is not None and "/" in said:
        path = Path(said)
        return path / FILE if path.is_dir() else path
    # A run that was killed at its very beginning has left a directory and nothing in it.
    known = tuple(each for each in newest_first(directory) if _size(each / FILE))
    if not known:
        raise UsageError(f"{directory}: there is no record of a run", hint="`fleetpacks build` leaves one.")
    if said is None:
        return known[0] / FILE
    found = [each for each in known if each.name.startswith(said) or each.name.endswith(said)]
    if len(found) != 1:
        names = ", ".join(each.name for each in (found or known)[:_SHOWN])
        what = "more than one run has that in its name" if found else "no such run"
        raise UsageError(f"{said!r}: {what}", hint=f"The {'' if found else 'newest '}ones are {names}.")
    return found[0] / FILE


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0


def is_running(record: Path) -> bool:
    """Whether the run that writes the record goes on, as far as the file system has locks."""
    try:
        with record.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def sweep(directory: Path, *, keep: int, days: int, now: dt.datetime | None = None) -> None:
    """Delete the records of runs that are over, but for the newest.

    Args:
        directory: of all runs.
        keep: how many stay.
        days: how long they stay.
        now: default: now.
    """
    oldest = f"{(now or dt.datetime.now(tz=dt.UTC)) - dt.timedelta(days=days):%Y%m%dT%H%M%SZ}"
    for number, each in enumerate(newest_first(directory)):
        if (number >= keep or each.name < oldest) and not is_running(each / FILE):
            shutil.rmtree(each, ignore_errors=True)
