"""`fleetpacks report`: what a run did, from its record. Needs no builder."""

import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
import msgspec

from orchestrator.cli import output
from orchestrator.cli.lines import fit
from orchestrator.config import environment, load
from orchestrator.errors import UsageError
from orchestrator.report import analysis, place, runs, text
from orchestrator.report.payoff import payoff
from orchestrator.report.record import FILE, Record, read
from orchestrator.report.timeline import timeline

_LOOKED_BACK = 50
"""Runs among which the one before is looked for."""
_KNOWN = 20
"""Runs of the same source before this one of which is known what layer caches cost and saved."""
_File = click.Path(path_type=Path)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option("--trace", metavar="FILE", type=_File, help="Write the timeline as Chrome's trace events.")
@click.option("--html", metavar="FILE", type=_File, help="Write the report as one page that needs nothing else.")
@click.argument("run", metavar="[RUN]", required=False)
def report(*, as_json: bool, trace: Path | None, html: Path | None, run: str | None) -> int:
    """Show what the last run did, and where its time went; or what RUN did.

    RUN is the beginning or the end of a run's name, or the path of a record.
    """
    directory = load(None, environment.read()).runs.directory
    path = runs.find(directory, run)
    record = read(path)
    now = time.time() if runs.is_running(path) else None
    timed = timeline(record, now=now)
    earlier = _earlier(directory, record)
    before = analysis.previous(record, earlier)
    known = []
    if before is not None and payoff([timed]) is not None:
        known = [before, *islice(analysis.of_its_source(record, earlier), _KNOWN - 1)]
    made = analysis.of_timeline(record, timed, running=now is not None, before=before, earlier=known[::-1])
    if trace is not None:
        from orchestrator.report.trace import trace as trace_of  # noqa: PLC0415 -- only where one is made

        place.write(trace, msgspec.json.encode(trace_of(timed)), what="the trace", said_by="--trace")
    if html is not None:
        from orchestrator.report.page import page  # noqa: PLC0415 -- jinja2: as above

        data = page(timed, made).encode(errors="replace")
        place.write(html, data, what="the page", said_by="--html")
    if as_json:
        output.write_json(msgspec.to_builtins(made))
    elif trace is None and html is None:
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
