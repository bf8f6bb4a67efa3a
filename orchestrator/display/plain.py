"""Plain lines, each prefixed by its app and the step's number; the full log of every failed app again at the end."""

import time
from collections.abc import Iterator
from typing import assert_never

from orchestrator.display import journal
from orchestrator.display.journal import Journal
from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    CacheExported,
    Event,
    MemoryMeasured,
    PackagesCarried,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepContinued,
    StepLog,
    StepProgress,
    StepStarted,
)
from orchestrator.text import printable


class Plain:
    """The display's state.

    Attributes:
        failed: the apps that failed, in the order in which they did.
    """

    def __init__(self) -> None:
        self.failed: list[AppFailed] = []
        self._journal = Journal()

    def close(self) -> None:
        """Let go of all logs."""
        self._journal.close()

    def log(self, app: str) -> Iterator[str]:
        """The whole log of an app that has not ended well, in pieces."""
        return self._journal.log(app)

    def silent(self) -> Iterator[str]:
        """What goes on although nothing has been heard for some time."""
        return self._journal.running(time.time())

    def render(self, event: Event) -> Iterator[str]:
        """The text that an event adds, in pieces."""
        match event:
            case RunStarted():
                yield self._journal.started(event)
            case StepStarted() | StepCompleted() | StepLog():
                yield self._journal.step(event)
            case StepContinued() | StepProgress() | MemoryMeasured():
                # A line each would be too many, and there is no line to change.
                pass
            case PackagesCarried():
                yield self._journal.carried(event)
            case AppStarted() | AppWarning() | AppCompleted() | AppCancelled() | AppFailed() | CacheExported():
                if isinstance(event, AppFailed):
                    self.failed.append(event)
                yield self._journal.app(event)
            case RunCompleted():
                for failed in self.failed:
                    yield f"\n--- the full log of {printable(failed.app)} ---\n"
                    yield from self.log(failed.app)
                    yield journal.failure(failed)
                yield f"\n{journal.counts(event)}"
            case _:
                assert_never(event)
