"""The end of every running step's output, so that a failure can show why: a bounded fold over the status stream."""

from orchestrator.buildkit.model import StatusUpdate

LINES = 20
_BYTES = 4096
"""Kept of each stream of one step that has not ended well, whatever it prints."""
_OUTPUT, _ERROR = 1, 2


class LogTails:
    """What the steps of one build said last."""

    def __init__(self) -> None:
        self._tails: dict[str, dict[int, bytes]] = {}
        self._errors: dict[str, str] = {}

    def feed(self, update: StatusUpdate) -> None:
        """Take one update in."""
        for log in update.logs:
            tails = self._tails.setdefault(log.vertex, {})
            # One slice a message: the rest of a long one is never copied.
            stream = _OUTPUT if log.stream == _OUTPUT else _ERROR
            tails[stream] = (tails.get(stream, b"") + log.data[-_BYTES:])[-_BYTES:]
        for vertex in update.vertexes:
            if vertex.error is not None:
                self._errors[vertex.digest] = vertex.error
            elif vertex.completed is not None:
                self._tails.pop(vertex.digest, None)

    def of(self, step: str) -> tuple[str, ...]:
        """The last lines of a step, by its vertex digest: of its standard output, then of its standard error.

        How the two lay between each other nobody knows: BuildKit sends them as it gets them. So neither may push the
        other out. The first line of each may have lost its beginning.
        """
        output, error = (self._lines(step, stream) for stream in (_OUTPUT, _ERROR))
        room = max(LINES - len(error), LINES // 2)
        output = output[-room:]
        return (*output, *error[-(LINES - len(output)) :])

    def step_behind(self, text: str) -> str | None:
        """Which step's error a build's error repeats, for daemons that do not say it."""
        return next((step for step, error in self._errors.items() if error and error in text), None)

    def _lines(self, step: str, stream: int) -> tuple[str, ...]:
        return tuple(self._tails.get(step, {}).get(stream, b"").decode(errors="replace").splitlines())
