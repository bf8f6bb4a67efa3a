"""From a daemon's status updates to our events, for one build.

A daemon repeats a vertex each time something about it changes, sends log output cut at any byte, and may start a
vertex more than once; our events say each thing once, and tell apart what happened later. Exports are done before their
push begins, under the same vertex (buildkitd 0.30; 0.13 pushes within the export): that push is a step of its own here,
since it may last.
"""

import re
import time
from collections.abc import Iterator

import msgspec

from orchestrator.buildkit import Log, StatusUpdate, Vertex, VertexStatus
from orchestrator.engine.transfers import Transfers
from orchestrator.events import AppWarning, StepCompleted, StepContinued, StepLog, StepProgress, StepStarted

_LINE_END = re.compile(rb"\r\n|\n|\r")
_STEP = re.compile(r"\[(?:[^\]]+ )?\d+/\d+\] (?!FROM )")
"""How BuildKit names a Dockerfile's instructions. Its own work (`[internal] load build context`, `exporting to image`)
and base images are no steps that could be cached."""
_EXPORT = "exporting to "
_PUSH = "pushing "
_WORTH_TELLING = 0.001
"""Seconds: a step that goes on for less has done nothing."""
_LONGEST_LINE = 16 * 1024
"""Bytes kept of output that never ends its line."""


class Progress:
    """The fold over one build's status stream."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._started: dict[str, str] = {}
        self._completed: set[str] = set()
        self._ended: dict[str, float] = {}
        self._again: set[str] = set()
        self._cached: set[str] = set()
        self._steps: dict[str, bool] = {}
        self._partial: dict[tuple[str, int], bytes] = {}
        self._transfers = Transfers(app)
        self._exports: dict[str, float] = {}

    @property
    def steps(self) -> int:
        """Instructions of the Dockerfile that ended, cached or not."""
        return len(self._steps)

    @property
    def exporting(self) -> bool:
        """Whether all steps were done, and the result was being exported."""
        return any(name.startswith(_EXPORT) for name in self._started.values())

    @property
    def cached(self) -> int:
        """Those of them that were found in the cache."""
        return sum(self._steps.values())

    def feed(
        self, update: StatusUpdate
    ) -> Iterator[StepStarted | StepProgress | StepCompleted | StepContinued | StepLog | AppWarning]:
        """The events that an update means."""
        vertexes = [self._told_apart(vertex) for vertex in update.vertexes]
        statuses = [self._moved_apart(status) for status in update.statuses]
        for status in statuses:
            if status.vertex not in self._completed or status.vertex in self._again:
                self._transfers.take(status)
        statuses = [status for status in statuses if status.vertex not in self._completed]
        for vertex in vertexes:
            yield from self._vertex(vertex)
        for digest in dict.fromkeys(status.vertex for status in statuses):
            if digest in self._started and digest not in self._completed:
                yield from self._tell(digest)
        for log in update.logs:
            yield from self._logged(log)
        for warning in update.warnings:
            yield AppWarning(time=time.time(), app=self._app, message=warning.message, hint=warning.url)

    def _logged(self, log: Log) -> Iterator[StepLog]:
        key = (log.vertex, log.stream)
        *lines, rest = _LINE_END.split(self._partial.pop(key, b"") + log.data)
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = b""
        if rest:
            self._partial[key] = rest
        for line in lines:
            yield self._log(log.vertex, line)

    def close(self) -> Iterator[StepLog]:
        """Output that the build ended without ending its line."""
        for (step, _), rest in sorted(self._partial.items()):
            yield self._log(step, rest)
        self._partial.clear()

    def _vertex(self, vertex: Vertex) -> Iterator[StepStarted | StepProgress | StepCompleted | StepContinued | StepLog]:
        now = time.time()
        if vertex.started is not None and vertex.started > self._ended.get(vertex.digest, vertex.started):
            yield from self._continued(vertex, vertex.started)
            return
        if (vertex.started is not None or vertex.completed is not None) and vertex.digest not in self._started:
            self._started[vertex.digest] = vertex.name
            yield StepStarted(time=now, app=self._app, step=vertex.digest, name=vertex.name)
        if vertex.completed is not None and vertex.digest not in self._completed:
            for key in [key for key in self._partial if key[0] == vertex.digest]:
                yield self._log(vertex.digest, self._partial.pop(key))
            moved, pushed = self._transfers.sums(vertex.digest)
            told = self._transfers.end(vertex.digest, name=vertex.name)
            if told is not None:
                yield told
            self._completed.add(vertex.digest)
            self._ended[vertex.digest] = vertex.completed
            if vertex.cached:
                self._cached.add(vertex.digest)
            if is_step(vertex.name):
                self._steps[vertex.digest] = vertex.cached
            yield StepCompleted(
                time=now,
                app=self._app,
                step=vertex.digest,
                name=vertex.name,
                cached=vertex.cached,
                seconds=max(0.0, vertex.completed - (vertex.started or vertex.completed)),
                error=vertex.error,
                started=vertex.started,
                inputs=vertex.inputs,
                moved_bytes=moved,
                push_seconds=pushed,
            )

    def _continued(self, vertex: Vertex, started: float) -> Iterator[StepContinued]:
        if vertex.completed is None:
            self._again.add(vertex.digest)
            return
        seconds = max(0.0, vertex.completed - started)
        moved, _ = self._transfers.sums(vertex.digest)
        self._transfers.end(vertex.digest, name=vertex.name)
        self._again.discard(vertex.digest)
        self._ended[vertex.digest] = vertex.completed
        if seconds >= _WORTH_TELLING or (vertex.cached and vertex.digest not in self._cached):
            self._cached |= {vertex.digest} if vertex.cached else set()
            yield StepContinued(
                time=time.time(),
                app=self._app,
                step=vertex.digest,
                name=vertex.name,
                cached=vertex.cached,
                seconds=seconds,
                started=started,
                moved_bytes=moved,
            )

    def _told_apart(self, vertex: Vertex) -> Vertex:
        if vertex.started is None or not vertex.name.startswith(_EXPORT):
            return vertex
        first = self._exports.setdefault(vertex.digest, vertex.started)
        if vertex.started <= first:
            return vertex
        pushed = vertex.name.removeprefix(_EXPORT)
        return msgspec.structs.replace(vertex, digest=_push_of(vertex.digest), name=_PUSH + pushed)

    def _moved_apart(self, status: VertexStatus) -> VertexStatus:
        # Until the export is done, its own pushes belong to it.
        if status.vertex not in self._completed or not status.id.startswith(_PUSH):
            return status
        return msgspec.structs.replace(status, vertex=_push_of(status.vertex))

    def _tell(self, digest: str) -> Iterator[StepProgress]:
        told = self._transfers.tell(digest, name=self._started[digest], running=self.cached < self.steps)
        if told is not None:
            yield told

    def _log(self, step: str, line: bytes) -> StepLog:
        return StepLog(time=time.time(), app=self._app, step=step, text=line.decode(errors="replace"))


def _push_of(export: str) -> str:
    return f"push {export}"


def is_step(name: str) -> bool:
    """Whether a vertex's name is that of an instruction which could be cached: `[builder 2/6] RUN make`."""
    return _STEP.match(name) is not None
