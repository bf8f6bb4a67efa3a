"""The command line: parses words, prints, turns errors into exit codes.

A subcommand's module is imported when it is called, so that `fleetpacks --help` costs nothing but click.
"""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import cast

import click

from orchestrator import __version__

_COMMANDS = {
    "build": ("orchestrator.cli.build:build", "Build the apps, all at once, and publish their images."),
    "plan": ("orchestrator.cli.plan:plan", "Show what would be built, and why."),
    "apps": ("orchestrator.cli.look:apps", "List the apps of the monorepo."),
    "detect": ("orchestrator.cli.look:detect", "Show what directories are recognised as."),
    "cache": ("orchestrator.cli.cache:cache", "See what lies on a builder's disk, and prune it."),
    "tag": ("orchestrator.cli.tag:tag", "Put more tags on what was published."),
}
"""Name -> the command, and its line in `--help`, which must not import it."""

_GC_THRESHOLD = 50_000
"""Objects in memory between two collections; Python's 700 cost a twentieth of a run."""
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleetpacks", message="%(prog)s %(version)s")
def fleetpacks() -> None:
    """Turn every app of a monorepo into a production container image, in parallel, through BuildKit."""


def run(words: Sequence[str]) -> int:
    """Run one command line; returns the exit code and prints every error."""
    try:
        # click returns what the command returns, or the code of an early exit such as --help's.
        code = fleetpacks.main(args=list(words), prog_name="fleetpacks", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        from orchestrator.cli import errors  # noqa: PLC0415 -- not needed by --help

        return errors.show_usage(error)
    except (click.Abort, KeyboardInterrupt):
        return _EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever read us has seen enough: click exits for that reason alone when it is not standalone. Python would
        # complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except Exception as error:
        from orchestrator.cli import errors  # noqa: PLC0415 -- as above
        from orchestrator.errors import FleetpacksError  # noqa: PLC0415 -- as above

        if isinstance(error, FleetpacksError):
            return errors.show(error)
        raise
    return code if isinstance(code, int) else 0


def main() -> None:
    """The `fleetpacks` program."""
    # A command is short, and nearly all that it makes lives as long or is freed by its reference count.
    gc.set_threshold(_GC_THRESHOLD)
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold bytes that are no text in any encoding.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # only a test's replacement has none
    code = run(sys.argv[1:])
    # Python's last collection would look at everything once more, for a tenth of a second, and to no end.
    gc.freeze()
    sys.exit(code)
