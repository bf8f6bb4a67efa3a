"""`fleetpacks detect` and `fleetpacks apps`: what is there."""

import sys
from pathlib import Path

import click

from orchestrator import app as application
from orchestrator.cli import errors, loop, memory, output, selecting
from orchestrator.config import environment, load, parse_environment
from orchestrator.config.repository import FILE
from orchestrator.errors import EXIT_USAGE, ConfigError, FleetpacksError
from orchestrator.plan.planner import Request
from orchestrator.workspace.leftout import nothing_found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and directory.")
@click.argument("directories", metavar="DIR...", nargs=-1, required=True)
def detect(*, as_json: bool, directories: tuple[str, ...]) -> int:
    """Show what directories are recognised as, each one by itself, in the order given.

    Ends with 0 when all of them were looked at, recognised or not.
    """
    variables = environment.read()
    parsed = parse_environment(variables)
    code = 0
    rows: list[tuple[str, ...]] = []
    for directory in directories:
        try:
            config = load(Path(directory), variables, parsed=parsed)
            looked = application.detect_directory(config, Path(directory).as_posix(), alone=len(directories) == 1)
        except FleetpacksError as error:
            said = _of(directory, error)
            errors.show(said)
            code = EXIT_USAGE
            if as_json:
                output.write_json(output.detected(directory, None, None) | {"problem": said.message})
            continue
        detection, build, problem = looked.detection, looked.build, looked.problem
        if problem is not None and (build is not None or not (detection and detection.is_app)):
            # What it is was found out; only how it is built or started is not known, or nothing in it is started.
            errors.warn(f"{problem.message} (hint: {problem.hint})")
        elif problem is not None:
            code = errors.show(problem)
        if as_json:
            told = output.detected(directory, detection, build)
            output.write_json(told | {"problem": problem.message if problem else None})
        elif detection is None:
            rows.append((directory, "not recognised", "", ""))
        else:
            rows.append(
                (
                    directory,
                    detection.language,
                    output.version_of(build) if build else "",
                    ", ".join(each.file for each in detection.evidence),
                )
            )
    output.write_table(rows)
    return code


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and app.")
@selecting.options
@click.argument("root", required=False)
def apps(*, as_json: bool, filters: tuple[str, ...], since: str | None, root: str | None) -> int:
    """List the apps of the monorepo at ROOT ($SOURCE_DIR, else the current directory)."""
    variables = environment.read()
    config = load(environment.source(root, variables), variables)

    async def run() -> None:
        with memory.uncollected():
            found = await application.discover_apps(config, Request(filters=filters, since=since))
        for warning in found.warnings:
            errors.warn(warning)
        if found.left_out and not found.apps:
            told = nothing_found(str(config.root), found.left_out)
            errors.warn(f"{told.message}\n(hint: {told.hint})")
        # With the apps whose images they need, as `plan` has them; here in the order of their paths.
        chosen = [app for app in found.apps if app.path in found.reasons]
        if found.apps and not chosen:
            sys.stderr.write(f"{selecting.nothing(since)}\n")
        if as_json:
            for each in chosen:
                output.write_json(output.found(each))
        else:
            output.write_table((each.path, each.name, each.detection.language) for each in chosen)

    loop.run(run)
    return 0


def _of(directory: str, error: FleetpacksError) -> FleetpacksError:
    """The error with the directory, which our own file, the root's, does not name by itself."""
    place = Path(directory).as_posix()
    if place == "." or not error.message.startswith(f"{FILE}:"):
        return error
    return ConfigError(f"{place}/{error.message}", hint=error.hint)
