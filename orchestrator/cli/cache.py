"""`fleetpacks cache`: what lies on a builder's disk."""

import time
from functools import partial

import anyio
import click
import msgspec

from orchestrator.cli import output
from orchestrator.config import Config, Flags, environment, load
from orchestrator.text import parse_duration

_DEFAULT_AGE = "168h"
_LONGEST_DESCRIPTION = 100


def _age(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """`168h`, `7d`, `90m`, `0s`: to seconds."""
    age = parse_duration(value)
    if age is None:
        raise click.BadParameter(f"{value!r}: expected a number and one of s, m, h, d, such as {_DEFAULT_AGE}")
    return age


_host = click.option("--host", "hosts", metavar="URL", multiple=True, help="The builder; default: as for `build`.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def cache() -> None:
    """See what lies on a builder's disk, and prune it."""


@cache.command(name="ls")
@_host
@_json
def ls(*, hosts: tuple[str, ...], as_json: bool) -> int:
    """List what the builder's cache holds, the least recently used first."""
    from orchestrator.app import cache as application  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.text import duration, inline, size  # noqa: PLC0415 -- as above

    told = anyio.run(application.usage, _config(hosts))
    if as_json:
        output.write_json(msgspec.to_builtins(told))
        return 0
    output.write_table(
        (
            size(record.size),
            f"{duration(time.time() - record.used)} ago",
            record.type,
            inline(record.description, _LONGEST_DESCRIPTION),
        )
        for record in told.records
    )
    click.echo(f"{told.builder}: {size(told.size)} of cache in {len(told.records)} parts")
    if told.images is not None:
        of = told.images
        click.echo(
            f"{of.count} images: {size(of.layers)}; containers: {size(of.containers)}; volumes: {size(of.volumes)}"
        )
    return 0


@cache.command()
@_host
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_age,
    default=_DEFAULT_AGE,
    show_default=True,
    help="What was used within this time stays: 90m, 168h, 7d; 0s prunes all.",
)
@_json
def prune(*, hosts: tuple[str, ...], older_than: float, as_json: bool) -> int:
    """Delete from the builder's disk what no build has used for some time, and images without a name."""
    from orchestrator.app import cache as application  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.text import size  # noqa: PLC0415 -- as above

    gone = anyio.run(partial(application.prune, _config(hosts), older_than=older_than))
    if as_json:
        output.write_json(msgspec.to_builtins(gone))
    else:
        images = f" and {len(gone.images)} images" if gone.images else ""
        click.echo(
            f"{gone.builder}: {size(gone.reclaimed)} freed, {len(gone.records)} parts of the cache{images} deleted"
        )
    return 0


def _config(hosts: tuple[str, ...]) -> Config:
    return load(None, environment.read(), Flags(hosts=hosts))
