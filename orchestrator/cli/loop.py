"""The event loop of a command for which nobody waits: a signal cancels what it does, and ends it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from orchestrator.interrupts import interrupts

T = TypeVar("T")


def run(function: Callable[[], Awaitable[T]]) -> T:
    """Run a function to its end.

    Args:
        function: called in the event loop.

    Raises:
        KeyboardInterrupt: a signal came; what it had begun is cleaned up.
    """
    from orchestrator.app.signals import Signals  # noqa: PLC0415 -- with it comes what builds, for `--help` too much

    returned: list[T] = []

    async def watched() -> None:
        async with Signals().watched():
            returned.append(await function())

    interrupts.hold()
    try:
        anyio.run(watched)
    finally:
        # Ctrl-C at a terminal ends the git that is asked, too: its failure is none.
        interrupts.settle()
    return returned[0]
