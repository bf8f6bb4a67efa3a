"""`fleetpacks tag`: more tags on what was published. A registry request, no build."""

from functools import partial
from pathlib import Path

import click

from orchestrator.cli import loop, output
from orchestrator.config import environment, load
from orchestrator.errors import UsageError
from orchestrator.report.result import read_published


@click.command()
@click.option(
    "--result", metavar="FILE", type=click.Path(path_type=Path), help="A run's result file: all it published."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and reference.")
@click.argument("words", metavar="[SOURCE] TAG...", nargs=-1, required=True)
def tag(*, result: Path | None, as_json: bool, words: tuple[str, ...]) -> int:
    """Put TAGs on the image SOURCE, or with --result on every image that a run published."""
    if result is not None:
        sources, tags = read_published(result), words
    else:
        sources, tags = words[:1], words[1:]
    if not tags:
        raise UsageError("tag: no TAG was given", hint="As in: fleetpacks tag registry.example/team/api:1.2 stable")
    from orchestrator.app.build import Tagged, run_tag  # noqa: PLC0415 -- h11: only now

    def show(tagged: Tagged) -> None:
        if as_json:
            output.write_json({"reference": tagged.reference, "digest": tagged.digest})
        else:
            click.echo(tagged.reference)

    config = load(None, environment.read())
    loop.run(partial(run_tag, config, sources, tags, tagged=show))
    return 0
