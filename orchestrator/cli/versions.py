"""`fleetpacks versions`: the releases that ranges are resolved against."""

import datetime as dt
from functools import partial

import click

from orchestrator.cli import errors, loop, output
from orchestrator.config import environment, load


@click.group()
def versions() -> None:
    """Know the releases that ranges of versions are resolved against."""


@versions.command()
@click.option(
    "--registry", metavar="HOST", help="Ask this registry, such as a mirror, in place of those of the images."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def refresh(*, registry: str | None, as_json: bool) -> int:
    """Read which releases there are from the tags of the toolchain images.

    Writes a table of your own, which counts from then on in place of the one that ships. Images that are not there
    keep what was known; ends with 0 when all registries answered and at least one had releases.
    """
    from orchestrator.app import releases as application  # noqa: PLC0415 -- h11: only now

    today = dt.datetime.now(tz=dt.UTC).date()
    config = load(None, environment.read())
    outcome = loop.run(partial(application.refresh, config, registry=registry, today=today))
    codes = [errors.show(error) for error in outcome.errors]
    if as_json:
        output.write_json(
            {
                "file": outcome.file,
                "tools": [
                    {
                        "tool": each.tool,
                        "repository": each.repository,
                        "releases": each.releases,
                        "newest": each.newest,
                    }
                    for each in outcome.tools
                ],
            }
        )
    else:
        output.write_table(
            (each.tool, each.repository, f"{each.releases} releases", f"newest {each.newest}")
            if each.newest
            else (each.tool, each.repository, "no release", "")
            for each in outcome.tools
        )
    return codes[0] if codes else 0
