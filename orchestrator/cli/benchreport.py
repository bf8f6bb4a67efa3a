"""`fleetpacks bench show` and `bench compare`: what was measured, from its reports. Both need no builder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from orchestrator.cli import output
from orchestrator.cli.lines import fit
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.bench.plots import Kind

_File = click.Path(path_type=Path)
_PLOT = "--plot"


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(("text", "markdown", "json")),
    default="text",
    help="As lines and tables (the default), as Markdown, or as one JSON object.",
)
@click.option(_PLOT, "plots", metavar="FILE", type=_File, multiple=True, help="Draw it: .png or .svg. Repeatable.")
@click.argument("report", metavar="REPORT", type=_File)
def show(*, kind: str, plots: tuple[Path, ...], report: Path) -> int:
    """Show what a benchmark has measured, and what is concluded of it.

    REPORT is a file that `fleetpacks bench storage` has written.
    """
    from orchestrator.bench import markdown, text  # noqa: PLC0415 -- start-up counts
    from orchestrator.bench.reading import read  # noqa: PLC0415 -- as above

    made = read(report)
    if plots:
        from orchestrator.bench.plots import check, draw  # noqa: PLC0415 -- as above
        from orchestrator.report import place  # noqa: PLC0415 -- as above

        kinds: list[Kind] = [check(path, said_by=_PLOT) for path in plots]
        for path, drawn in zip(plots, kinds, strict=True):
            place.write(path, draw(made, drawn), what="the picture", said_by=_PLOT)
    if kind == "json":
        output.write_json(msgspec.to_builtins(made))
    elif kind == "markdown":
        sys.stdout.writelines(f"{fit(line)}\n" for line in markdown.document(made).splitlines())
    elif not plots:
        sys.stdout.writelines(f"{fit(line)}\n" for line in text.lines(made))
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
@click.option("--force", is_flag=True, help="Compare what was not measured alike, too.")
@click.argument("before", metavar="A", type=_File)
@click.argument("after", metavar="B", type=_File)
def compare(*, as_json: bool, force: bool, before: Path, after: Path) -> int:
    """Hold the report B against the report A: of an earlier time, or of another host.

    Ends with 1 when something became worse beyond the intervals of both, with 2 when they are not comparable.
    """
    from orchestrator.bench import text  # noqa: PLC0415 -- start-up counts
    from orchestrator.bench.compare import compare as held  # noqa: PLC0415 -- as above
    from orchestrator.bench.reading import read  # noqa: PLC0415 -- as above

    reports = read(before), read(after)
    found = held(*reports, forced=force)
    if not found.changed:
        hint = "Name two reports of the same benchmark."
        if held(*reports, forced=True).changed:
            hint = "Measure both alike, or compare them all the same: --force."
        raise UsageError(f"{before} and {after} are not comparable: {'; '.join(found.refused)}", hint=hint)
    if as_json:
        output.write_json({**msgspec.to_builtins(found), "regressions": len(found.regressions)})
    else:
        sys.stdout.writelines(f"{fit(line)}\n" for line in text.changes(found))
    return 1 if found.regressions else 0
