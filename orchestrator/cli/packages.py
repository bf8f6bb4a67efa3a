"""`fleetpacks cache push` and `cache pull`: package caches go to other builders through a registry."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from orchestrator.cli import builders, errors, loop, output, selecting
from orchestrator.cli.lines import fit
from orchestrator.config import Config, Flags, environment, load
from orchestrator.errors import EXIT_FAILED, FleetpacksError
from orchestrator.plan.planner import Request

if TYPE_CHECKING:
    from orchestrator.app.everywhere import Failed
    from orchestrator.app.packages import Moving, Outcome, Tool

_LONGEST_NAME = 500

_source = click.option(
    "-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory."
)
_tools = click.option(
    "--tool", "tools", metavar="NAME", multiple=True, help="Only the packages of this one: npm, go-mod. Repeatable."
)
_host = click.option("--host", "hosts", metavar="URL", multiple=True, help="The builder; default: as for `build`.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_source
@selecting.options
@_tools
@click.option(
    "--compression", type=click.Choice(["gzip", "zstd"]), help="Of what is new; default: as `cache.compression` says."
)
@_host
@_json
@click.argument("reference", metavar="REF")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
def push(
    *,
    source: str | None,
    filters: tuple[str, ...],
    since: str | None,
    tools: tuple[str, ...],
    compression: Literal["gzip", "zstd"] | None,
    hosts: tuple[str, ...],
    as_json: bool,
    reference: str,
    paths: tuple[str, ...],
) -> int:
    """Push the package caches that the apps at PATHs use from the builder to REF; without PATHs, those of all apps.

    Ends with 1 when one of them could not be pushed; the others were.
    """
    from orchestrator.app import packages  # noqa: PLC0415 -- h2, protobuf, h11: only now

    config, request = _said(source, hosts, paths, filters, since)
    hear = partial(_tell, "", progress_only=as_json)
    ask = partial(packages.push, config, request, reference, tools=tools, compression=compression, hear=hear)
    return _end((loop.run(ask),), as_json=as_json)


@click.command()
@_source
@selecting.options
@_tools
@_host
@_json
@click.argument("reference", metavar="REF")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
def pull(
    *,
    source: str | None,
    filters: tuple[str, ...],
    since: str | None,
    tools: tuple[str, ...],
    hosts: tuple[str, ...],
    as_json: bool,
    reference: str,
    paths: tuple[str, ...],
) -> int:
    """Fill the builders' empty package caches that the apps at PATHs use from REF; without PATHs, those of all apps.

    A cache that has something already stays as it is. Ends with 1 when one could not be filled, and with 75 when one of
    several builders does not answer; the others were.
    """
    from orchestrator.app import packages  # noqa: PLC0415 -- as above

    config, request = _said(source, hosts, paths, filters, since)
    hear = partial(_tell, progress_only=as_json)
    return _end(loop.run(partial(packages.pull, config, request, reference, tools=tools, hear=hear)), as_json=as_json)


def _said(
    source: str | None, hosts: tuple[str, ...], paths: tuple[str, ...], filters: tuple[str, ...], since: str | None
) -> tuple[Config, Request]:
    variables = environment.read()
    config = load(environment.source(source, variables), variables, Flags(hosts=hosts))
    return config, Request(named=paths, filters=filters, since=since, push=False)


def _tell(at: str, news: "Moving | Tool", *, progress_only: bool) -> None:
    """A line; those about a tool's end are the result, unless that is a document."""
    from orchestrator.app.packages import Moving  # noqa: PLC0415 -- as above
    from orchestrator.text import duration, size  # noqa: PLC0415 -- as above

    tool = f"{at}: {news.tool}" if at else news.tool
    if isinstance(news, Moving):
        of = f" of {size(news.total)}" if news.total else ""
        far = f", {size(news.current)}{of}" if news.current else ""
        sys.stderr.write(fit(f"{tool}: {news.activity}{far}") + "\n")
    elif news.error is not None:
        errors.show(FleetpacksError(f"{tool}: {news.error}", hint=news.hint))
    elif not progress_only:
        took = f"{size(news.size)} in {duration(news.seconds)}"
        whose = f" ({news.builder})" if news.builder else ""
        click.echo(fit(f"{tool}{whose}: {_WORDS[news.result].format(took=took, size=size(news.size))}"))


_WORDS = {
    "pushed": "pushed, {took}",
    "unchanged": "unchanged in the registry, {size}",
    "pulled": "pulled, {took}",
    "full": "has something already",
    "empty": "is empty",
    "busy": "passed over: a running build uses it",
    "missing": "is not there",
    "failed": "failed",
}
"""What became of a tool's packages."""


def _end(outcomes: "tuple[Outcome | Failed, ...]", *, as_json: bool) -> int:
    from orchestrator.app.everywhere import Failed, exit_code  # noqa: PLC0415 -- as above
    from orchestrator.text import inline, size  # noqa: PLC0415 -- as above

    done = [each for each in outcomes if not isinstance(each, Failed)]
    for warning in dict.fromkeys(warning for each in done for warning in each.warnings):
        errors.warn(warning)
    silent = [each for each in outcomes if isinstance(each, Failed)] + [away for each in done for away in each.missing]
    for each in silent:
        builders.complain(each)
    if as_json:
        output.write_json(msgspec.to_builtins(builders.document(outcomes)))
    for outcome in () if as_json else done:
        moved = [each for each in outcome.tools if each.result in {"pushed", "pulled"}]
        what = f"{len(moved)} of {len(outcome.tools)} package caches, {size(sum(each.size for each in moved))}"
        click.echo(fit(f"{outcome.builder}: {inline(outcome.reference, _LONGEST_NAME)}: {what}"))
    lost = any(each.result == "failed" for outcome in done for each in outcome.tools)
    return EXIT_FAILED if lost else exit_code(silent)
