"""Plain lines for a job of GitHub Actions: the log of each failed app in a group, and an annotation for each failure.

The runner obeys commands in what a step prints: `::name ...::` at the beginning of a line, blanks aside, and the older
`##[name]` anywhere in it (actions/runner, ActionCommand.cs). Output of builds is foreign, so commands are stopped, with
a token that nobody can guess, before the first line, and resumed only for our own. The runner forgets that they are
stopped at the step's end, should this process not live to resume them.
"""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.display import journal
from orchestrator.display.plain import Plain
from orchestrator.events import AppFailed, Event, RunCompleted, RunStarted
from orchestrator.text import printable


class GitHub:
    """Renders a run.

    Args:
        plain: keeps the logs.
        dockerfiles: those that stand in the repository, absolute, by app: what is generated has no line to point at.
    """

    def __init__(self, plain: Plain, dockerfiles: Mapping[str, Path]) -> None:
        self._plain = plain
        self._dockerfiles = dockerfiles
        self._token = secrets.token_hex(16)

    def render(self, event: Event) -> Iterator[str]:
        """The text that an event adds, in pieces."""
        match event:
            case RunStarted():
                yield self._stop()
                yield from self._plain.render(event)
            case RunCompleted():
                for failed in self._plain.failed:
                    yield from self._failed(failed)
                yield f"\n{journal.counts(event)}"
                yield self._resume()
                yield from map(self._annotation, self._plain.failed)
            case _:
                yield from self._plain.render(event)

    def _failed(self, event: AppFailed) -> Iterator[str]:
        yield self._resume()
        yield f"::group::the full log of {data(event.app)}\n"
        yield self._stop()
        yield from self._plain.log(event.app)
        yield self._resume()
        yield "::endgroup::\n"
        yield self._stop()
        yield journal.failure(event)

    def _annotation(self, event: AppFailed) -> str:
        properties = {"title": f"{event.app}: {event.kind}"}
        file = self._dockerfiles.get(event.app)
        if file is not None and event.file is not None:
            properties = {"file": str(file), **({"line": str(event.line)} if event.line else {}), **properties}
        return error(properties, f"{event.message}\n{event.hint}")

    def _stop(self) -> str:
        return f"::stop-commands::{self._token}\n"

    def _resume(self) -> str:
        return f"::{self._token}::\n"


def error(properties: Mapping[str, str], message: str) -> str:
    """The line that makes an annotation."""
    said = ",".join(f"{name}={value(text)}" for name, text in properties.items())
    return f"::error {said}::{data(message)}\n"


def data(text: str) -> str:
    """A command's message. Its lines stay apart; other control characters are left out."""
    text = "\n".join(map(printable, text.splitlines()))
    return text.replace("%", "%25").replace("\n", "%0A")


def value(text: str) -> str:
    """A command's property."""
    return data(text).replace(":", "%3A").replace(",", "%2C")
