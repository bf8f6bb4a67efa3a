"""Plain lines, each prefixed by its app and the step's number; the full log of every failed app again at the end."""

from collections.abc import Iterator
from typing import assert_never

from orchestrator.display import journal
from orchestrator.display.journal import Journal
from orchestrator.display.text import printable
from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepProgress,
    StepStarted,
)


class Plain:
    """The display's state: what is kept of the apps that have not ended well."""

    def __init__(self) -> None:
        self._journal = Journal()
        self._failed: list[AppFailed] = []

    def close(self) -> None:
        """Let go of all logs."""
        self._journal.close()

    def render(self, event: Event) -> Iterator[str]:
        """The text that an event adds, in pieces."""
        match event:
            case RunStarted():
                yield self._journal.started(event)
            case StepStarted() | StepCompleted() | StepLog():
                yield self._journal.step(event)
            case StepProgress():
                # A line each would be too many, and there is no line to change.
                pass
            case AppStarted() | AppWarning() | AppCompleted() | AppCancelled() | AppFailed():
                if isinstance(event, AppFailed):
                    self._failed.append(event)
                yield self._journal.app(event)
            case RunCompleted():
                for failed in self._failed:
                    yield f"\n--- the full log of {printable(failed.app)} ---\n"
                    yield from self._journal.log(failed.app)
                    yield journal.failure(failed)
                yield f"\n{journal.counts(event)}"
                self.close()
            case _:
                assert_never(event)
