"""What the measuring commands of `fleetpacks bench` have in common: how far it is, and where the report goes."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from orchestrator.cli import output
from orchestrator.cli.lines import fit
from orchestrator.errors import UsageError
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
    """Write the report, and show it unless its JSON goes to standard output."""
    if directory is not None:
        _write(report, directory)
    if json_file == "-":
        output.write_json(msgspec.to_builtins(report))
        return
    if json_file is not None:
        from orchestrator.bench.reading import encode  # noqa: PLC0415 -- not for --help

        place.write(Path(json_file), encode(report), what="the report", said_by=_JSON)
    from orchestrator.bench import text  # noqa: PLC0415 -- as above

    sys.stdout.writelines(f"{fit(line)}\n" for line in text.lines(report))


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
    except UsageError as error:
        sys.stderr.write(f"{fit(f'no pictures: {error.message}')}\n")


class Shown:
    """Progress on standard error: one line that changes at a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told = 0.0

    def hear(self, progress: "Progress") -> None:
        """Tell of it."""
        now = time.monotonic()
        if not self._live and now - self._told < _SELDOM:
            return
        self._told = now
        line = told(progress)
        if self._live:
            width = os.get_terminal_size(sys.stderr.fileno()).columns if self._live else 0
            sys.stderr.write(f"\r\x1b[K{fit(line)[: max(1, width - 1)]}")
        else:
            sys.stderr.write(f"{fit(line)}\n")
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
