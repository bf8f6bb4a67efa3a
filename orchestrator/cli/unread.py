"""A command line of `build` that cannot be read: whoever waits for the run is told of it all the same.

click stops at the first mistake, so the few options that name who waits are looked for by themselves.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import click

from orchestrator.app.ending import Ending
from orchestrator.cli import dropin, errors
from orchestrator.config import environment
from orchestrator.errors import EXIT_USAGE, FleetpacksError, UsageError
from orchestrator.model import Plan

_BUILD = "build"


def tell(words: Sequence[str], error: click.UsageError) -> bool:
    """Write the result file, the document and the event that were asked for, as far as that can be understood.

    Args:
        words: of the command line.
        error: what is wrong with it.

    Returns:
        Whether who waits has been told in the way of drop-in mode, in which the exit code says nothing then.
    """
    if error.ctx is None or error.ctx.command.name != _BUILD:
        return False
    said = _last(words, "--result-file")
    file = Path(said) if said else environment.result_file(environment.read())
    if dropin.OPTION in _options(words):
        dropin.ready(file)
    as_json = "--json" in _options(words)
    events = (sys.stderr if as_json else sys.stdout) if _last(words, "--progress") == "json" else None
    ending = Ending(began=time.monotonic(), result_file=file, document=sys.stdout if as_json else None, events=events)
    failure = UsageError(error.format_message(), hint="See `fleetpacks build --help`.")

    async def run() -> None:
        await ending.tell(Plan(root=Path(), apps=(), push=False), {}, exit_code=EXIT_USAGE, failure=failure)

    try:
        anyio.run(run)
    except FleetpacksError as unwritten:
        errors.show(unwritten)
        return False
    return file is not None and dropin.OPTION in _options(words)


def _options(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _last(words: Sequence[str], option: str) -> str | None:
    """The value of an option, as it is said last."""
    found: str | None = None
    words = _options(words)
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, separator, value = word.partition("=")
        if name == option:
            found = value if separator else following
    return found or None
