"""The command line, from words to an exit code.

A subcommand's module is imported when it is called, so that `fleetpacks --help` costs nothing but click.
"""

import importlib
from collections.abc import Sequence
from typing import cast

import click

from orchestrator import __version__
from orchestrator.cli import streams
from orchestrator.interrupts import interrupts

_COMMANDS = {
    "build": ("orchestrator.cli.build:build", "Build the apps, all at once, and publish their images."),
    "plan": ("orchestrator.cli.plan:plan", "Show what would be built, and why."),
    "apps": ("orchestrator.cli.look:apps", "List the apps of the monorepo."),
    "detect": ("orchestrator.cli.look:detect", "Show what directories are recognised as."),
    "report": ("orchestrator.cli.report:report", "Show what a run did, and where its time went."),
    "hosts": ("orchestrator.cli.hosts:hosts", "See what the builders are, and what is wrong with them."),
    "cache": ("orchestrator.cli.cache:cache", "See what lies on a builder's disk, and prune it."),
    "bases": ("orchestrator.cli.bases:bases", "Make base images out of packages, for your own registry."),
    "daemon": ("orchestrator.cli.daemon:daemon", "Start a builder of your own, or see its configuration."),
    "bench": ("orchestrator.cli.bench:bench", "Measure what builds cost on which storage."),
    "versions": ("orchestrator.cli.versions:versions", "Know the releases that ranges of versions mean."),
    "doctor": ("orchestrator.cli.doctor:doctor", "Say what is missing or slow, and what mends it."),
    "init": ("orchestrator.cli.init:init", "Write CI and cluster files, from what is configured."),
    "lock": ("orchestrator.cli.lock:lock", "Pin versions and base images, in fleetpacks.lock."),
    "update": ("orchestrator.cli.lock:update", "Choose pinned versions and base images anew."),
    "tag": ("orchestrator.cli.tag:tag", "Put more tags on what was published."),
}
"""Name -> the command, and its line in `--help`, which must not import it."""

_WAITED_FOR = "build"
"""Somebody may wait for its result, also when a signal came before it began: its event loop hears of it."""
_EXIT_INTERRUPTED = 130


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command = cast("click.Command", getattr(importlib.import_module(module), name))
        if cmd_name != _WAITED_FOR:
            interrupts.settle()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleetpacks", message="%(prog)s %(version)s")
def fleetpacks() -> None:
    """Turn every app of a monorepo into a production container image, in parallel, through BuildKit."""


def run(words: Sequence[str]) -> int:
    """Run one command line; returns the exit code and prints every error."""
    return streams.finish(_run(words))


def _run(words: Sequence[str]) -> int:
    try:
        # click returns what the command returns, or the code of an early exit such as --help's.
        code = fleetpacks.main(args=list(words), prog_name="fleetpacks", standalone_mode=False)
    except click.UsageError as error:
        from orchestrator.cli import errors, unread  # noqa: PLC0415 -- not needed by --help

        told = unread.tell(words, error)
        code = errors.show_usage(error)
        return 0 if told else code
    except (click.Abort, KeyboardInterrupt):
        return interrupts.exit_code or _EXIT_INTERRUPTED
    except streams.OutputLostError as error:
        return streams.lost(error)
    except (BrokenPipeError, SystemExit):
        # click exits for that reason alone when it is not standalone.
        return streams.left()
    except Exception as error:
        from orchestrator.cli import errors  # noqa: PLC0415 -- as above
        from orchestrator.errors import FleetpacksError  # noqa: PLC0415 -- as above

        if isinstance(error, FleetpacksError):
            return errors.show(error)
        raise
    return code if isinstance(code, int) else 0
