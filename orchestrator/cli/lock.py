"""`fleetpacks lock`: base images by digest."""

from functools import partial
from typing import TYPE_CHECKING

import click

from orchestrator.cli import errors, loop, output
from orchestrator.config import environment, load
from orchestrator.config.lock import FILE

if TYPE_CHECKING:
    from orchestrator.app.lock import Locked


@click.command()
@click.option("-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 when the file is not what would be written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def lock(*, source: str | None, check: bool, as_json: bool) -> int:
    """Write the digests of all base images that the apps need into fleetpacks.lock.

    From then on every build takes these images, until the file is written anew. Commit it.
    """
    from orchestrator.app import lock as application  # noqa: PLC0415 -- h11: only now

    variables = environment.read()
    config = load(environment.source(source, variables), variables)
    outcome = loop.run(partial(application.pin, config, check=check))
    for warning in outcome.warnings:
        errors.warn(warning)
    if as_json:
        output.write_json(
            {
                "file": FILE,
                "outdated": outcome.outdated,
                "images": [
                    {"name": each.name, "digest": each.digest, "before": each.before} for each in outcome.images
                ],
            }
        )
    else:
        output.write_table((each.name, each.digest or "", _change(each)) for each in outcome.images)
    if check and outcome.outdated:
        errors.warn(f"{FILE} is outdated: run `fleetpacks lock`")
        return 1
    return 0


def _change(image: "Locked") -> str:
    if image.digest == image.before:
        return "unchanged"
    return "not needed" if image.digest is None else "new" if image.before is None else "changed"
