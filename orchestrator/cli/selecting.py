"""The options of every command that is about some of the apps."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from orchestrator.cli.lines import fit

F = TypeVar("F", bound=Callable[..., Any])

locked = click.option(
    "--locked", is_flag=True, help="Choose no version and no image that fleetpacks.lock does not have; end with 2."
)
"""For those of them that choose."""

platforms = click.option(
    "--platform",
    "platforms",
    metavar="PLATFORM",
    multiple=True,
    help="What images are built for: linux/amd64,linux/arm64; default: what files say, else the builder's own.",
)
"""For those of them that build, or show what would be built."""


def options(command: F) -> F:
    """Add `--filter` (as `filters`) and `--affected-since` (as `since`)."""
    filters = click.option(
        "--filter",
        "filters",
        metavar="FILTER",
        multiple=True,
        help="Apps by name, pattern or ./path; ...APP adds what needs it, APP... what it needs, !APP leaves it out. "
        "Repeatable.",
    )
    since = click.option(
        "--affected-since", "since", metavar="REV", help="Of the selected apps, those that changes since REV reach."
    )
    return filters(since(command))


def nothing(since: str | None) -> str:
    """The line that says that no app is left."""
    return fit(f"nothing to do: no selected app is affected since {since}")
