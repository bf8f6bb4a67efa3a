"""`fleetpacks tag`: more tags on what was published. A registry request, no build."""

from pathlib import Path

import anyio
import click

from orchestrator.config import environment, load
from orchestrator.errors import UsageError
from orchestrator.registry import reference
from orchestrator.report.result import read_published


@click.command()
@click.option(
    "--result", metavar="FILE", type=click.Path(path_type=Path), help="A run's result file: all it published."
)
@click.argument("words", metavar="[SOURCE] TAG...", nargs=-1, required=True)
def tag(*, result: Path | None, words: tuple[str, ...]) -> int:
    """Put TAGs on the image SOURCE, or with --result on every image that a run published."""
    if result is not None:
        sources, tags = read_published(result), words
    else:
        sources, tags = words[:1], words[1:]
    if not tags:
        raise UsageError("tag: no TAG was given", hint="As in: fleetpacks tag registry.example/team/api:1.2 stable")
    for source in sources:
        for each in tags:
            reference.parse(source).with_tag(each)
    from orchestrator.app.build import run_tag  # noqa: PLC0415 -- httpx: only now

    config = load(None, environment.read())
    for published in anyio.run(run_tag, config, sources, tags):
        click.echo(published)
    return 0
