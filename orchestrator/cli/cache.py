"""`fleetpacks cache`: what lies on a builder's disk, and what shall lie there."""

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from orchestrator.cli import builders, errors, loop, output, packages, selecting
from orchestrator.cli.lines import fit
from orchestrator.config import Config, Flags, environment, load
from orchestrator.errors import EXIT_FAILED, FleetpacksError
from orchestrator.plan.planner import Request
from orchestrator.text import parse_duration, parse_size

if TYPE_CHECKING:
    from orchestrator.app.cache import Usage
    from orchestrator.app.warming import Pulling, Warmed

_DEFAULT_AGE = "168h"
_LONGEST_DESCRIPTION = 100
_LONGEST_NAME = 500


def _age(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """`168h`, `7d`, `90m`, `0s`: to seconds."""
    if value is None:
        return None
    age = parse_duration(value)
    if age is None:
        raise click.BadParameter(f"{value!r}: expected a number and one of s, m, h, d, such as {_DEFAULT_AGE}")
    return age


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """`20GB`, `500MB`: to bytes."""
    if value is None:
        return None
    size = parse_size(value)
    if size is None:
        raise click.BadParameter(f"{value!r}: expected a number and one of B, kB, MB, GB, TB, such as 20GB")
    return size


_host = click.option("--host", "hosts", metavar="URL", multiple=True, help="A builder; default: as for `build`.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def cache() -> None:
    """See what lies on a builder's disk, prune it, pull what builds will need, carry packages to other builders."""


cache.add_command(packages.push)
cache.add_command(packages.pull)


@cache.command(name="ls")
@_host
@_json
def ls(*, hosts: tuple[str, ...], as_json: bool) -> int:
    """List what the caches of the builders hold, the least recently used first.

    Ends with 75 when one of several does not answer; the others are listed.
    """
    from orchestrator.app import cache as application  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.app.everywhere import Failed, exit_code  # noqa: PLC0415 -- as above
    from orchestrator.text import size  # noqa: PLC0415 -- as above

    told = loop.run(partial(application.usage, _config(hosts)))
    found = [each for each in told if not isinstance(each, Failed)]
    total = sum(each.size for each in found)
    if as_json:
        output.write_json(msgspec.to_builtins(builders.document(told, size=total)))
        return exit_code(told)
    for each in told:
        if isinstance(each, Failed):
            builders.complain(each)
        else:
            _list(each)
    if len(told) > 1:
        click.echo(f"{len(found)} of {len(told)} builders: {size(total)} of cache")
    return exit_code(told)


def _list(of: "Usage") -> None:
    from orchestrator.text import duration, inline, size  # noqa: PLC0415 -- as above

    output.write_table(
        (
            size(record.size),
            f"{duration(time.time() - record.used)} ago",
            record.type,
            inline(record.description, _LONGEST_DESCRIPTION),
        )
        for record in of.records
    )
    click.echo(f"{of.builder}: {size(of.size)} of cache in {len(of.records)} parts")
    if of.images is not None:
        its = of.images
        click.echo(
            f"{its.count} images: {size(its.layers)}; containers: {size(its.containers)}; volumes: {size(its.volumes)}"
        )


@cache.command()
@_host
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_age,
    help=f"What was used within this time stays: 90m, 168h, 7d; 0s prunes all. Default: {_DEFAULT_AGE}, or none with "
    "--keep.",
)
@click.option(
    "--keep", metavar="SIZE", callback=_size, help="At most this much stays, the most recently used: 500MB, 20GB."
)
@click.option("--all", "every", is_flag=True, help="Of a Docker Engine, also images with a name that nothing uses.")
@_json
def prune(*, hosts: tuple[str, ...], older_than: float | None, keep: int | None, every: bool, as_json: bool) -> int:
    """Delete what no build has used for some time, and what is too much.

    That is of each builder's cache, with its cache mounts, and of the caches in the directories of `cache.local` and
    `cache.mounts`; of a Docker Engine also images without a name. Ends with 75 when one of several builders does not
    answer; the others were pruned.
    """
    from orchestrator.app import cache as application  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.app.everywhere import Failed, exit_code  # noqa: PLC0415 -- as above
    from orchestrator.text import size  # noqa: PLC0415 -- as above

    if older_than is None and (keep is None or every):
        older_than = parse_duration(_DEFAULT_AGE)
    ask = partial(application.prune, _config(hosts), older_than=older_than, keep=keep, unused_images=every)
    told, directories = loop.run(ask)
    gone = [each for each in told if not isinstance(each, Failed)]
    total = sum(each.reclaimed for each in gone)
    if as_json:
        output.write_json(
            msgspec.to_builtins(builders.document(told, reclaimed=total) | msgspec.structs.asdict(directories))
        )
        return exit_code(told)
    for each in told:
        if isinstance(each, Failed):
            builders.complain(each)
            continue
        images = f" and {len(each.images)} images" if each.images else ""
        parts = f"{len(each.records)} parts of the cache{images}"
        click.echo(f"{each.builder}: {size(each.reclaimed)} freed, {parts} deleted")
    if len(told) > 1:
        click.echo(f"{len(gone)} of {len(told)} builders: {size(total)} freed")
    if directories.directory is not None:
        of = directories.directory
        click.echo(fit(f"{of.path}: {size(of.reclaimed)} freed, {len(of.caches)} layer caches deleted"))
    if directories.packages is not None:
        of = directories.packages
        rest = f"; {size(of.reclaimed)} go from the disk when nobody can be reading them" if of.caches else ""
        click.echo(fit(f"{of.path}: {len(of.caches)} package caches deleted{rest}"))
    return exit_code(told)


@cache.command()
@click.option("-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory.")
@selecting.options
@_host
@_json
@click.argument("paths", metavar="[PATH...]", nargs=-1)
def warm(
    *,
    source: str | None,
    filters: tuple[str, ...],
    since: str | None,
    hosts: tuple[str, ...],
    as_json: bool,
    paths: tuple[str, ...],
) -> int:
    """Pull the images that the apps at PATHs stand on to the builders; without PATHs, those of all apps.

    Ends with 1 when one of them could not be pulled, and with 75 when one of several builders does not answer; the
    others were.
    """
    from orchestrator.app import warming  # noqa: PLC0415 -- h2, protobuf, h11: only now
    from orchestrator.app.everywhere import Failed, exit_code  # noqa: PLC0415 -- as above
    from orchestrator.text import size  # noqa: PLC0415 -- as above

    variables = environment.read()
    config = load(environment.source(source, variables), variables, Flags(hosts=hosts))
    request = Request(named=paths, filters=filters, since=since, push=False)
    outcome = loop.run(partial(warming.warm, config, request, hear=partial(_tell, progress_only=as_json)))
    for warning in outcome.warnings:
        errors.warn(warning)
    if as_json:
        output.write_json(msgspec.to_builtins(builders.document(outcome.builders) | {"warnings": outcome.warnings}))
    lost = 0
    for each in outcome.builders:
        if isinstance(each, Failed):
            builders.complain(each)
            continue
        wrong, every = sum(image.error is not None for image in each.images), len(each.images)
        lost += wrong
        if not as_json:
            pulled = size(sum(image.size for image in each.images))
            click.echo(f"{each.builder}: {every - wrong} of {every} base images are there, {pulled} pulled")
    return EXIT_FAILED if lost else exit_code(outcome.builders)


def _tell(at: str, news: "Pulling | Warmed", *, progress_only: bool) -> None:
    """A line; those about an image's end are the result, unless that is a document."""
    from orchestrator.app.warming import Pulling  # noqa: PLC0415 -- as above
    from orchestrator.text import duration, inline, size  # noqa: PLC0415 -- as above

    where = f"{at}: " if at else ""
    name = where + inline(news.name, _LONGEST_NAME)
    if isinstance(news, Pulling):
        of = f" of {size(news.total)}" if news.total else ""
        sys.stderr.write(fit(f"{name}: {size(news.current)}{of}") + "\n")
    elif news.error is not None:
        errors.show(FleetpacksError(f"{where}{news.name}: {news.error}", hint=news.hint))
    elif not progress_only:
        what = f"{size(news.size)} in {duration(news.seconds)}" if news.size else "was there"
        click.echo(fit(f"{name}: {what}"))


def _config(hosts: tuple[str, ...]) -> Config:
    return load(None, environment.read(), Flags(hosts=hosts))
