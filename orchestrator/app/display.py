"""Which display shows a run."""

from collections.abc import Callable, Coroutine, Generator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Literal, TextIO, assert_never

from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.display import jsonlines
from orchestrator.display.output import show
from orchestrator.display.plain import Plain
from orchestrator.events import Event

Kind = Literal["tty", "plain", "json"]
Display = Callable[[MemoryObjectReceiveStream[Event]], Coroutine[Any, Any, None]]
"""Shows events until their stream ends."""


@contextmanager
def display_on(stream: TextIO, kind: Kind, *, colour: bool) -> Generator[Display]:
    """A display, with what it holds until the run is over.

    Args:
        stream: where it writes.
        kind: what is shown.
        colour: whether a terminal may be coloured.
    """
    match kind:
        case "json":
            yield partial(show, render=jsonlines.render, stream=stream)
        case "plain":
            with closing(Plain()) as plain:
                yield partial(show, render=plain.render, stream=stream)
        case "tty":
            from orchestrator.display.table.screen import show_table, table_on  # noqa: PLC0415 -- rich: only here

            with closing(table_on(stream, colour=colour)) as table:
                yield partial(show_table, table=table, stream=stream)
        case _:
            assert_never(kind)
