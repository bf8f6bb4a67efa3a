"""`fleetpacks daemon`: a buildkitd or a dockerd of one's own, for as long as it is needed."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from orchestrator.cli import errors, loop, output
from orchestrator.config import environment, load
from orchestrator.config.isolated import DRIVERS
from orchestrator.config.operator import is_address
from orchestrator.errors import FleetpacksError, UsageError
from orchestrator.model import DaemonKind, Isolated
from orchestrator.text import parse_size

if TYPE_CHECKING:
    from orchestrator.app.isolated import Decided
    from orchestrator.config import Config
    from orchestrator.daemon.running import Daemon

KINDS: tuple[DaemonKind, ...] = get_args(DaemonKind)
_OF_SIGNALS = 128
"""What shells add to the number of a signal that has ended a command."""


def _size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    size = None if value is None else parse_size(value)
    if value is not None and not size:
        raise click.BadParameter(f"{value!r}: expected a number and one of B, kB, MB, GB, TB, such as 20GB")
    return size


def _addresses(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not is_address(each):
            raise click.BadParameter(f"{each!r}: expected an IP address, such as 10.0.0.2")
    return value


_OPTIONS = (
    click.option("--engine", "kind", type=click.Choice(KINDS), help="What is started; default: buildkitd."),
    click.option("--storage-driver", "storage", type=click.Choice(DRIVERS), help="Default: overlay2."),
    click.option(
        "--data-root",
        "root",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="What it keeps lies there.",
    ),
    click.option("--mtu", type=click.IntRange(68, 65_535), help="Of a dockerd's containers; default: ours less 50."),
    click.option("--dns", metavar="ADDRESS", multiple=True, callback=_addresses, help="A name server. Repeatable."),
    click.option("--cache-size", "size", metavar="SIZE", callback=_size, help="What its cache may hold: 20GB."),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def daemon() -> None:
    """Start a builder of your own, which leaves nothing but its caches."""


@daemon.command()
@_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def config(*, as_json: bool, **said: object) -> int:
    """Print the configuration that a daemon would be started with: buildkitd.toml, or dockerd's daemon.json.

    Nothing is started, and nothing has to be installed for it.
    """
    from orchestrator.app import isolated  # noqa: PLC0415 -- h2, protobuf: only now

    configured, wanted = _wanted(said)
    decided = loop.run(partial(isolated.decide, configured, wanted))
    _note(decided)
    if as_json:
        of = decided.settings
        output.write_json(
            {
                "engine": of.kind,
                "file": of.file.name,
                "text": decided.text,
                "address": of.url,
                "root": str(of.root),
                "log": str(of.log),
                "programs": of.programs,
            }
        )
        return 0
    sys.stdout.write(decided.text)
    return 0


@daemon.command(context_settings={"ignore_unknown_options": False})
@_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, when it answers.")
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED)
def run(*, as_json: bool, command: tuple[str, ...], **said: object) -> int:
    """Run a daemon, print its address when it answers, and end it on Ctrl-C or SIGTERM.

    With a COMMAND, run that with $BUILDKIT_HOST (and $DOCKER_HOST) naming the daemon, and end with its exit code.
    """
    from orchestrator.app import isolated  # noqa: PLC0415 -- as above

    configured, wanted = _wanted(said)

    async def serve() -> int:
        async with isolated.started(configured, wanted) as daemon:
            for note in daemon.settings.notes:
                errors.warn(note)
            if as_json:
                output.write_json(_document(daemon))
                sys.stdout.flush()
            if command:
                return await _command(command, daemon)
            if not as_json:
                sys.stdout.write(f"{daemon.settings.url}\n")
                sys.stdout.flush()
            await daemon.over()
            return 0

    return loop.run(serve)


def _document(of: "Daemon") -> dict[str, object]:
    settings = of.settings
    return {
        "engine": settings.kind,
        "address": settings.url,
        "pid": of.pid,
        "root": str(settings.root),
        "log": str(settings.log),
    }


def _wanted(said: dict[str, Any]) -> "tuple[Config, Isolated]":
    """What was configured, with what the options say before it."""
    configured = load(None, environment.read())
    words = {name: value for name, value in said.items() if value not in (None, ())}
    if "root" in words:
        words["root"] = words["root"].absolute()
    return configured, msgspec.structs.replace(configured.isolated, **words)


def _note(decided: "Decided") -> None:
    for note in decided.settings.notes:
        errors.warn(note)


async def _command(command: Sequence[str], of: "Daemon") -> int:
    """Run a command beside the daemon, which gets Ctrl-C at a terminal as we do; returns what a shell would."""
    import anyio  # noqa: PLC0415 -- not for --help

    variables = {**environment.read(), **of.settings.variables}
    try:
        process = await anyio.open_process(command, stdin=None, stdout=None, stderr=None, env=variables)
    except FileNotFoundError:
        raise UsageError(f"{command[0]}: no such command", hint="Name one behind --, with its words.") from None
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}", hint="Name a program that may be run.") from error
    failures: list[FleetpacksError] = []

    async def watch(scope: anyio.CancelScope) -> None:
        try:
            await of.over()
        except FleetpacksError as error:
            failures.append(error)
            scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, tasks.cancel_scope)
            await process.wait()
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(10):
                    await process.wait()
            if process.returncode is None:
                process.kill()
            await process.aclose()
    if failures:
        raise failures[0]
    code = process.returncode or 0
    return code if code >= 0 else _OF_SIGNALS - code
