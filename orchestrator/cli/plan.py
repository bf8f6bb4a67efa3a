"""`fleetpacks plan`: what would be built, and why."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import click

from orchestrator import app as application
from orchestrator.cli import dropin, errors, loop, memory, output, selecting
from orchestrator.config import Config, Flags, load
from orchestrator.config.lock import FILE
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan, Plan
from orchestrator.plan.planner import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.schedule.placement import Placed


@click.command()
@click.option("-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory.")
@selecting.options
@click.option("--image", metavar="TEMPLATE", help="Where images go; may hold {app} {path} {branch} {sha}.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag; may hold placeholders. Repeatable.")
@selecting.locked
@selecting.platforms
@dropin.option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and app.")
@click.option("--dockerfile", "directory", metavar="DIR", help="Write the generated Dockerfiles below DIR.")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
def plan(
    *,
    source: str | None,
    filters: tuple[str, ...],
    since: str | None,
    image: str | None,
    tags: tuple[str, ...],
    locked: bool,
    platforms: tuple[str, ...],
    drop_in: bool,
    as_json: bool,
    directory: str | None,
    paths: tuple[str, ...],
) -> int:
    """Show what would be built of the apps at PATHs, relative to the source; without PATHs, of all apps.

    With --dockerfile, each app's files are written as DIR/<app>/Dockerfile and Dockerfile.dockerignore. A file that
    is there already and differs is an error, never overwritten.
    """
    said = dropin.surroundings(source, drop_in=drop_in)
    config = load(said.root, said.variables, Flags(image=image, locked=locked, platforms=platforms, drop_in=drop_in))
    request = Request(named=paths, filters=filters, since=since, tags=tags)

    async def run() -> None:
        with memory.uncollected():
            made = await application.make_plan(config, request)
        for warning in made.warnings:
            errors.warn(warning)
        if not made.apps:
            sys.stderr.write(f"{selecting.nothing(since)}\n")
        if directory is not None:
            _write_dockerfiles(made, Path(directory))
        _show(made, config, await _places(made, config), as_json=as_json)
        if config.cache.image or config.cache.local.directory:
            from orchestrator.app.minimal import costs  # noqa: PLC0415 -- with it comes a good part of what builds

            if told := await anyio.to_thread.run_sync(costs, config, made):
                errors.warn(told)

    loop.run(run)
    return 0


async def _places(made: Plan, config: Config) -> "Mapping[str, tuple[Placed, ...]]":
    """Where apps would be built, and why; of a pool only."""
    if len(config.hosts) <= 1:
        return {}
    # With it comes a good part of what builds.
    from orchestrator.app.placing import places  # noqa: PLC0415

    return await anyio.to_thread.run_sync(places, config, made)


def _show(made: Plan, config: Config, places: "Mapping[str, tuple[Placed, ...]]", *, as_json: bool) -> None:
    if as_json:
        host = config.hosts[0].url if len(config.hosts) == 1 else None
        for each in made.apps:
            output.write_json(output.planned(each, host=host, placed=places.get(each.app.name, ())))
        return
    output.write_table((*_row(each), _placed(places.get(each.app.name, ()))) for each in made.apps)
    for each in made.apps:
        for warning in each.build.warnings:
            errors.warn(f"{each.app.path}: {warning}")


def _placed(placed: "tuple[Placed, ...]") -> str:
    if len(placed) == 1:
        return f"on {placed[0].host} ({placed[0].why})"
    return ", ".join(f"{each.job.platform} on {each.host} ({each.why})" for each in placed)


def _row(each: AppPlan) -> tuple[str, ...]:
    kept = any(choice.tool == each.build.language and choice.locked for choice in each.build.chosen)
    return (
        each.app.path,
        each.build.language,
        output.version_of(each.build, more=f", {FILE}" if kept else ""),
        f"{each.repository}:{', :'.join(each.tags)}",
        each.reason,
    )


def _write_dockerfiles(made: Plan, directory: Path) -> None:
    for each in made.apps:
        if each.build.dockerfile_path is not None:
            continue
        _write(directory / each.app.name / "Dockerfile", each.build.dockerfile)
        if each.build.dockerignore is not None:
            _write(directory / each.app.name / "Dockerfile.dockerignore", each.build.dockerignore)


def _write(path: Path, content: str) -> None:
    # What stands in a Compose file, or is a user's own, may end within a line.
    content = content if content.endswith("\n") else f"{content}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError as error:
        if not path.is_file() or path.read_bytes() != content.encode():
            raise UsageError(
                f"--dockerfile: {path} exists and differs", hint="Remove it, or name another directory."
            ) from error
    except OSError as error:
        raise UsageError(
            f"--dockerfile: {path}: cannot be written: {error.strerror}", hint="Name a directory that you may write."
        ) from error
