"""Errors on the screen: what happened, what to do next, and the exit code. Never a traceback for bad input."""

import sys

import click

from orchestrator.cli.lines import fit
from orchestrator.errors import EXIT_USAGE, FleetpacksError


def show(error: FleetpacksError) -> int:
    """Print an error of ours; returns the exit code."""
    _print(error.message, error.hint)
    return error.exit_code


def show_usage(error: click.UsageError) -> int:
    """Print an error of the command line in the same form; returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stderr.write(f"{error.format_message()}\n")
        return EXIT_USAGE
    command = error.ctx.command_path if error.ctx else "fleetpacks"
    _print(error.format_message(), f"See `{command} --help`.{_behind_dashes(error)}")
    return EXIT_USAGE


def _behind_dashes(error: click.UsageError) -> str:
    """How to name what begins like an option, where that may have been meant."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.option_name.startswith("--"):
        return ""
    takes = any(isinstance(each, click.Argument) for each in error.ctx.command.params)
    return " What begins with `-` and is no option stands behind `--`." if takes else ""


def warn(message: str) -> None:
    """Print what is strange and stops nothing."""
    _write("warning", message)


def _print(message: str, hint: str) -> None:
    _write("error", message)
    _write("hint", hint)


def _write(word: str, text: str) -> None:
    first, *more = text.splitlines() or [""]
    sys.stderr.write("".join(f"{fit(line)}\n" for line in (f"{word}: {first}", *(f"  {line}" for line in more))))
    sys.stderr.flush()
