"""The end of every running step's output, so that a failure can show why: a bounded fold over the status stream."""

from orchestrator.buildkit.model import StatusUpdate

LINES = 20
_BYTES = 4096
"""Kept of one step that has not ended well, whatever it prints."""


class LogTails:
    """What the steps of one build said last."""

    def __init__(self) -> None:
        self._tails: dict[str, bytes] = {}
        self._errors: dict[str, str] = {}

    def feed(self, update: StatusUpdate) -> None:
        """Take one update in."""
        for log in update.logs:
            # One slice a message: the rest of a long one is never copied.
            self._tails[log.vertex] = (self._tails.get(log.vertex, b"") + log.data[-_BYTES:])[-_BYTES:]
        for vertex in update.vertexes:
            if vertex.error is not None:
                self._errors[vertex.digest] = vertex.error
            elif vertex.completed is not None:
                self._tails.pop(vertex.digest, None)

    def of(self, step: str) -> tuple[str, ...]:
        """The last lines of a step, by its vertex digest; the first of them may have lost its beginning."""
        return tuple(self._tails.get(step, b"").decode(errors="replace").splitlines()[-LINES:])

    def step_behind(self, text: str) -> str | None:
        """Which step's error a build's error repeats, for daemons that do not say it."""
        return next((step for step, error in self._errors.items() if error and error in text), None)
