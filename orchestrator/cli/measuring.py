"""What the measuring commands of `fleetpacks bench` have in common: how far it is, and where the report goes."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from orchestrator.cli import errors, output
from orchestrator.cli.lines import fit
from orchestrator.errors import FleetpacksError, UsageError
from orchestrator.report import place
from orchestrator.text import duration

if TYPE_CHECKING:
    from orchestrator.bench.result import Report
    from orchestrator.bench.work.running import Progress

_JSON, _OUTPUT = "--json", "--output"
_SELDOM = 5.0
"""Seconds between two words of progress where nobody sees them live."""
_PICTURES = ("report.png", "report.svg")
_OPTIONS = (
    click.option(
        _JSON, "json_file", metavar="FILE", help="Write the report into FILE, or with `-` to standard output."
    ),
    click.option(
        _OUTPUT,
        "directory",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write the report into DIR: JSON, Markdown, and pictures where matplotlib is installed.",
    ),
)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the report goes: `json_file` and `directory`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check(json_file: str | None, directory: Path | None) -> None:
    """See whether the report can be written: in what takes minutes nobody wants to learn last that it cannot.

    Raises:
        UsageError: it cannot.
    """
    if json_file not in (None, "-"):
        place.check(Path(json_file), what="the report", said_by=_JSON)
    if directory is not None:
        _make(directory)


def tell(report: "Report", *, json_file: str | None, directory: Path | None) -> None:
    """Show the report, or its JSON where that goes to standard output, and write it.

    It may be the only trace of hours: where one of these fails, the others are done all the same.
    """
    try:
        _show(report, as_json=json_file == "-")
    finally:
        try:
            if json_file not in (None, "-"):
                from orchestrator.bench.reading import encode  # noqa: PLC0415 -- not for --help

                place.write(Path(json_file), encode(report), what="the report", said_by=_JSON)
        finally:
            if directory is not None:
                _write(report, directory)


def _show(report: "Report", *, as_json: bool) -> None:
    if as_json:
        output.write_json(msgspec.to_builtins(report))
    else:
        from orchestrator.bench import text  # noqa: PLC0415 -- not for --help

        sys.stdout.writelines(f"{fit(line)}\n" for line in text.lines(report))
    # Not held back while pictures are drawn: a signal then would lose it.
    sys.stdout.flush()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{_OUTPUT}: {directory}: {error.strerror}", hint="Name a directory that may be written to."
        ) from error
    place.check(directory / "report.json", what="the report", said_by=_OUTPUT)


def _write(report: "Report", directory: Path) -> None:
    from orchestrator.bench import markdown  # noqa: PLC0415 -- not for --help
    from orchestrator.bench.plots import check, draw  # noqa: PLC0415 -- as above
    from orchestrator.bench.reading import encode  # noqa: PLC0415 -- as above

    write = partial(place.write, what="the report", said_by=_OUTPUT)
    write(directory / "report.json", encode(report))
    write(directory / "report.md", markdown.document(report).encode(errors="replace"))
    try:
        for name in _PICTURES:
            kind = check(directory / name, said_by=_OUTPUT)
            write(directory / name, draw(report, kind))
    except FleetpacksError as error:
        sys.stderr.write(f"{fit(f'no pictures: {error.message}')}\n")
    except Exception as error:  # noqa: BLE001 -- of matplotlib, whose errors are of any type
        sys.stderr.write(f"{fit(f'no pictures: {type(error).__name__}: {error}')}\n")


class Shown:
    """Progress on standard error: one line that changes at a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told = 0.0
        self._runs = (0, 0)
        """How many are done, and how many there are."""
        self._stays = False

    def hear(self, progress: "Progress") -> None:
        """Tell of it."""
        if progress.stays:
            self._stays = True
            self.end()
            sys.stderr.write(f"{fit(progress.what)}\n")
            return
        self._runs = (progress.done, progress.total)
        now = time.monotonic()
        if not self._live and now - self._told < _SELDOM:
            return
        self._told = now
        line = told(progress)
        if self._live:
            # A terminal that is gone has no width.
            with suppress(OSError):
                width = os.get_terminal_size(sys.stderr.fileno()).columns
                sys.stderr.write(f"\r\x1b[K{fit(line)[: max(1, width - 1)]}")
        else:
            sys.stderr.write(f"{fit(line)}\n")
        sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Tell what would stand in the report that there will not be, such as what could not be deleted."""
        self._stays = True
        self.end()
        errors.warn(text)

    def broken_off(self, made_on: str) -> None:
        """Tell what there is of a benchmark that a signal has ended, when all is cleaned up.

        Args:
            made_on: where something was made.
        """
        self.end()
        done, total = self._runs
        runs = f"after {done} of {total} runs, of which nothing is kept" if done else "before anything was measured"
        but = ", but for what is said above" if self._stays else ""
        sys.stderr.write(f"{fit(f'interrupted {runs}; what was made on {made_on} is deleted{but}')}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def told(progress: "Progress") -> str:
    """Progress in a line."""
    of = f"{progress.done}/{progress.total}  " if progress.total else ""
    took = f": {progress.value:.2f} s" if progress.value is not None else ""
    left = f", about {duration(progress.left)} left" if progress.left is not None else ""
    return f"{of}{progress.what}{took}  ({duration(progress.seconds)}{left})"
