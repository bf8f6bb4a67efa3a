"""`fleetpacks report`: what a run did, from its record. Needs no builder."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from orchestrator.cli import output
from orchestrator.cli.lines import fit
from orchestrator.config import environment, load
from orchestrator.errors import UsageError
from orchestrator.report import analysis, runs, text
from orchestrator.report.record import FILE, Record, read

_LOOKED_BACK = 50
"""Runs among which the one before is looked for."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.argument("run", metavar="[RUN]", required=False)
def report(*, as_json: bool, run: str | None) -> int:
    """Show what the last run did, and where its time went; or what RUN did.

    RUN is the beginning or the end of a run's name, or the path of a record.
    """
    directory = load(None, environment.read()).runs.directory
    path = runs.find(directory, run)
    record = read(path)
    before = analysis.previous(record, _earlier(directory, record))
    made = analysis.report(record, now=time.time() if runs.is_running(path) else None, before=before)
    if as_json:
        output.write_json(msgspec.to_builtins(made))
    else:
        sys.stdout.writelines(f"{fit(line)}\n" for line in text.lines(made))
    return 0


def _earlier(directory: Path, record: Record) -> Iterator[Record]:
    """Older runs, the newest first. One that cannot be read is none to compare with."""
    older = [each for each in runs.newest_first(directory) if each.name < record.header.run]
    for each in older[:_LOOKED_BACK]:
        try:
            yield read(each / FILE)
        except UsageError:
            continue
