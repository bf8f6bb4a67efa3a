"""`fleetpacks build`: the main job."""

import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import anyio
import click
import msgspec

from orchestrator import app as application
from orchestrator.app.signals import Signals
from orchestrator.cli import dropin, errors, selecting
from orchestrator.config import Config, Flags, environment
from orchestrator.config import load as load_config
from orchestrator.config.operator import MAX_JOBS
from orchestrator.errors import EXIT_OK, FleetpacksError, UsageError
from orchestrator.model import Attestations, DaemonKind, Plan
from orchestrator.plan.outputs import Placed, parse, place
from orchestrator.plan.planner import Request
from orchestrator.report import place as documents
from orchestrator.text import is_too_long, parse_duration

if TYPE_CHECKING:
    from orchestrator.app.ending import Ending


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    config: Config
    plan: Plan
    shown: Literal["tty", "plain", "json"]
    placed: Mapping[str, tuple[Placed, ...]]
    loaded: bool


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    if not seconds:
        wrong = "this is too long: " if is_too_long(value) else ""
        raise click.BadParameter(f"{value!r}: {wrong}expected a number and one of s, m, h, d, such as 30m")
    return seconds


@click.command()
@click.option("-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory.")
@selecting.options
@click.option("--image", metavar="TEMPLATE", help="Where images go; may hold {app} {path} {branch} {sha}.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag; may hold placeholders. Repeatable.")
@click.option("--push/--no-push", default=None, help="Default: push when a person or a file gave the image's name.")
@click.option("-o", "--output", "outputs", metavar="SPEC", multiple=True, help="type=oci|docker|tar|local,dest=PLACE")
@click.option("--load", is_flag=True, help="Load the images into the Docker Engine.")
@click.option("--host", "hosts", metavar="URL", multiple=True, help="A builder: unix://, tcp://, docker:// or ssh://.")
@click.option(
    "--isolated",
    type=click.Choice(["auto", "buildkitd", "dockerd"]),
    is_flag=False,
    flag_value="auto",
    help="Build on a daemon of this run alone; auto: what the operator's file says, else buildkitd.",
)
@click.option("--jobs", type=click.IntRange(1, MAX_JOBS), help="Builds at once; default: the builder's slots.")
@click.option("--keep-going/--fail-fast", default=True, help="Whether other apps are built when one fails.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "tty", "plain", "json"]),
    default="auto",
    help="How the run is shown; auto: a table on a terminal, else lines.",
)
@click.option("--no-color", is_flag=True, help="No colours, as with $NO_COLOR.")
@selecting.locked
@selecting.platforms
@click.option("--no-cache", is_flag=True, help="Execute every step again.")
@click.option("--reproducible", is_flag=True, help="The same source becomes the same image, whenever and wherever.")
@click.option("--provenance", type=click.Choice(["min", "max"]), help="Attest how images were made.")
@click.option("--sbom", is_flag=True, help="Attest what images are made of.")
@click.option("--sbom-scanner", metavar="IMAGE", help="What finds that out; default: the builder's choice.")
@click.option("--timeout", metavar="TIME", callback=_seconds, help="How long each app's build may take: 90s, 30m, 2h.")
@click.option("--retries", type=click.IntRange(0, 100), help="Attempts after one that a registry failed; default: 3.")
@click.option("--force", is_flag=True, help="Build apps that have not changed, too.")
@click.option("--env", metavar="NAME[=VALUE]", multiple=True, help="A variable of builds and images. Repeatable.")
@click.option(
    "--secret", "secrets", metavar="NAME", multiple=True, help="A variable that steps get as a secret. Repeatable."
)
@dropin.option
@click.option("--result-file", metavar="FILE", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to standard error.")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
def build(
    *,
    source: str | None,
    filters: tuple[str, ...],
    since: str | None,
    image: str | None,
    tags: tuple[str, ...],
    push: bool | None,
    outputs: tuple[str, ...],
    load: bool,
    hosts: tuple[str, ...],
    isolated: DaemonKind | Literal["auto"] | None,
    jobs: int | None,
    keep_going: bool,
    progress: Literal["auto", "tty", "plain", "json"],
    no_color: bool,
    locked: bool,
    platforms: tuple[str, ...],
    no_cache: bool,
    reproducible: bool,
    provenance: Literal["min", "max"] | None,
    sbom: bool,
    sbom_scanner: str | None,
    timeout: float | None,
    retries: int | None,
    force: bool,
    env: tuple[str, ...],
    secrets: tuple[str, ...],
    drop_in: bool,
    result_file: Path | None,
    as_json: bool,
    paths: tuple[str, ...],
) -> int:
    """Build the apps at PATHs, relative to the source; without PATHs, all apps.

    Ends with 0 when all went well, 1 when an app failed, 2 for usage and configuration, 75 when only infrastructure
    failed in a way that trying again can mend, 130 and 143 when interrupted; with --drop-in always with 0 when a result
    file was written.
    """
    began = time.monotonic()
    said = dropin.surroundings(source, result_file, drop_in=drop_in, written=True)
    flags = Flags(
        image=image,
        hosts=hosts,
        jobs=jobs,
        locked=locked,
        reproducible=reproducible,
        platforms=platforms,
        no_cache=no_cache,
        force=force,
        attestations=Attestations(provenance=provenance, sbom=sbom or sbom_scanner is not None, scanner=sbom_scanner),
        timeout=timeout,
        retries=retries,
        result_file=result_file,
        env=env,
        secrets=secrets,
        drop_in=drop_in,
    )
    document = sys.stdout if as_json else None

    def ending(result: Path | None, config: Config | None) -> "Ending":
        from orchestrator.app.ending import Ending  # noqa: PLC0415 -- only where no run begins

        events = (sys.stderr if as_json else sys.stdout) if progress == "json" else None
        custom = config.environment.custom_data if config else None
        return Ending(began=began, result_file=result, document=document, events=events, custom=custom)

    async def planned(config: Config) -> _Planned:
        if config.result_file is not None:
            documents.check(config.result_file)
        shown = _progress(progress, config.environment)
        asked = parse(outputs, load=load or (push is None and not outputs and dropin.stays(config)))
        # Files or a loaded image are asked for instead of a push, unless that is asked for, too.
        pushed = False if asked and push is None else push
        request = Request(named=paths, filters=filters, since=since, push=pushed, tags=tags, secrets_needed=True)
        plan = await application.make_plan(config, request)
        placed = place(asked, [app.app.name for app in plan.apps], root=plan.root)
        return _Planned(
            config=config, plan=plan, shown=shown, placed=placed, loaded=any(each.place is None for each in asked)
        )

    async def run() -> int:
        async with AsyncExitStack() as daemon:
            return await run_on(daemon)

    async def run_on(daemon: AsyncExitStack) -> int:
        signals = Signals()
        config: Config | None = None
        made: _Planned | None = None
        failure: FleetpacksError | None = None
        try:
            async with signals.watched():
                config = load_config(said.root, said.understood(), flags)
                made = await _with_daemon(await planned(config), isolated, daemon, named=bool(hosts))
        except FleetpacksError as error:
            failure = error
        if made is None:
            unplanned = Plan(root=said.root, apps=(), push=False)
            ended = ending(said.result_file, config)
            # Ctrl-C at a terminal ends the git that is asked, too: its failure is none.
            if failure is None or signals.exit_code:
                await ended.tell(unplanned, {}, exit_code=signals.exit_code, failure=None)
                return signals.exit_code
            await ended.tell(unplanned, {}, exit_code=failure.exit_code, failure=failure)
            raise failure
        config, plan, shown = made.config, made.plan, made.shown
        stream = sys.stderr if as_json or shown == "tty" else sys.stdout
        if not plan.apps:
            await ending(config.result_file, config).tell(plan, {}, exit_code=EXIT_OK, failure=None)
            _tell_nothing(config, plan, selecting.nothing(since), None if shown == "json" else stream)
            return EXIT_OK
        # h2, protobuf, h11: only now.
        from orchestrator.app.build import run_build  # noqa: PLC0415
        from orchestrator.app.execution import BuildOptions  # noqa: PLC0415

        return await run_build(
            config,
            plan,
            BuildOptions(keep_going=keep_going, placed=made.placed, load=made.loaded),
            progress=stream,
            kind=shown,
            colour=not (no_color or config.environment.no_color),
            document=document,
        )

    return dropin.ended(partial(anyio.run, run), said, drop_in=drop_in)


async def _with_daemon(
    made: _Planned, isolated: DaemonKind | Literal["auto"] | None, daemon: AsyncExitStack, *, named: bool
) -> _Planned:
    """The same on a daemon of our own, where one is asked for, or drop-in mode finds no other."""
    if isolated is not None and named:
        raise UsageError("--isolated and --host name two builders", hint="Leave one of them out.")
    kind = isolated or dropin.own_daemon(made.config)
    if kind is None or not made.plan.apps:
        return made
    if made.loaded and isolated is None:
        raise dropin.not_kept(made.config)
    from orchestrator.app.isolated import builder  # noqa: PLC0415 -- h2, protobuf: only now

    alone, notes = await daemon.enter_async_context(builder(made.config, kind))
    plan = msgspec.structs.replace(made.plan, warnings=(*made.plan.warnings, *notes))
    return msgspec.structs.replace(made, config=alone, plan=plan)


def _tell_nothing(config: Config, plan: Plan, line: str, stream: TextIO | None) -> None:
    from orchestrator.report import summary  # noqa: PLC0415 -- only where nothing is built

    for warning in plan.warnings:
        errors.warn(warning)
    if stream is not None:
        stream.write(f"{line}\n")
    file = config.environment.ci.summary
    if file is not None:
        try:
            summary.append(file, summary.markdown(plan, {}, error=line))
        except OSError as error:
            errors.warn(f"{file}: the job's summary cannot be written: {error.strerror}")


def _progress(
    said: Literal["auto", "tty", "plain", "json"], variables: environment.Environment
) -> Literal["tty", "plain", "json"]:
    """The display: whatever was said, else the table where somebody can watch it."""
    able = sys.stderr.isatty() and not variables.dumb_terminal
    if said == "auto":
        return "tty" if able and not variables.in_ci else "plain"
    if said == "tty" and not able:
        raise UsageError(
            "--progress tty: standard error is no terminal that can move its cursor",
            hint="Use --progress plain, or leave it out.",
        )
    return said
