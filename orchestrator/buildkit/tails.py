"""The end of every running step's output, so that a failure can show why: a bounded fold over the status stream."""

from collections import deque

from orchestrator.buildkit.model import StatusUpdate

LINES = 20
_BYTES = 4096
"""Kept of each stream of one step that has not ended well, whatever it prints."""
_OUTPUT = 1
"""The number of standard output; all else counts as standard error."""


class _Tail:
    """The last bytes of one stream: pieces as they came, so that a long log is not copied again and again."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        if not data:
            return
        data = data[-_BYTES:]
        self._pieces.append(data)
        self._size += len(data)
        while self._size - len(self._pieces[0]) >= _BYTES:
            self._size -= len(self._pieces.popleft())

    def lines(self) -> tuple[str, ...]:
        return tuple(b"".join(self._pieces)[-_BYTES:].decode(errors="replace").splitlines())


class LogTails:
    """What the steps of one build said last."""

    def __init__(self) -> None:
        self._tails: dict[str, tuple[_Tail, _Tail]] = {}
        self._errors: dict[str, str] = {}

    def feed(self, update: StatusUpdate) -> None:
        """Take one update in."""
        for log in update.logs:
            tails = self._tails.get(log.vertex)
            if tails is None:
                tails = self._tails[log.vertex] = (_Tail(), _Tail())
            tails[log.stream != _OUTPUT].add(log.data)
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
        if step not in self._tails:
            return ()
        output, error = (tail.lines() for tail in self._tails[step])
        room = max(LINES - len(error), LINES // 2)
        output = output[-room:]
        return (*output, *error[-(LINES - len(output)) :])

    def step_behind(self, text: str) -> str | None:
        """Which step's error a build's error repeats, for daemons that do not say it."""
        return next((step for step, error in self._errors.items() if error and error in text), None)
