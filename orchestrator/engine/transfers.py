"""How far the transfers of a build have come, told seldom enough to cost nothing.

A daemon repeats the status of every layer several times a second. What is told is the sum of a step's transfers, a few
times a second, and each new activity once; nothing at all of a build that moves little and finds every step in the
cache, because there are many of those and nobody could read it.
"""

import time
from collections.abc import Callable

from orchestrator.buildkit import VertexStatus
from orchestrator.events import StepProgress

_INTERVAL = 0.25
"""Seconds between two events of one step that differ in bytes only."""
_WORTH_TELLING = 1024 * 1024
"""Bytes: a step that has moved fewer is told of only in a build that runs something."""

_PUSHING = "pushing "
"""How BuildKit's exporters begin what they do with a registry: `pushing layers`, `pushing manifest for ...`."""

_State = tuple[str, int, int]
"""Activity, bytes so far, bytes in all."""


class _Step:
    def __init__(self) -> None:
        self.transfers: dict[str, tuple[int, int]] = {}
        # In the order in which they began: the last one is what the step is at.
        self.activities: dict[str, None] = {}
        self.told: _State | None = None
        self.told_at = 0.0
        self.told_of = {""}
        self.pushes: dict[str, tuple[float, float]] = {}

    def take(self, status: VertexStatus) -> None:
        if status.completed:
            self.activities.pop(status.id, None)
        else:
            self.activities[status.id] = None
        if status.current > 0 or status.total > 0:
            self.transfers[status.id] = (max(0, status.current), max(0, status.total))
        if status.id.startswith(_PUSHING) and status.began is not None and status.ended is not None:
            self.pushes[status.id] = (status.began, status.ended)

    def state(self) -> _State:
        counts = self.transfers.values()
        known = all(total > 0 for _, total in counts)
        return (
            next(reversed(self.activities), ""),
            sum(current for current, _ in counts),
            sum(total for _, total in counts) if known else 0,
        )


class Transfers:
    """The fold over one build's vertex statuses.

    Args:
        app: the build's app.
        clock: seconds, never going back.
    """

    def __init__(self, app: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._steps: dict[str, _Step] = {}

    def take(self, status: VertexStatus) -> None:
        """Note what the daemon says."""
        self._steps.setdefault(status.vertex, _Step()).take(status)

    def tell(self, vertex: str, *, name: str, running: bool) -> StepProgress | None:
        """The event that a step's new state means, if it is worth one.

        Args:
            vertex: the step, of which something was noted.
            name: the step's.
            running: whether this build has run a step that was not cached.
        """
        step = self._steps[vertex]
        state = step.state()
        activity, current, _ = state
        if state == step.told or not (running or current >= _WORTH_TELLING):
            return None
        if activity in step.told_of and (step.told is None or self._clock() - step.told_at < _INTERVAL):
            return None
        return self._tell(vertex, name, step, state)

    def sums(self, vertex: str) -> tuple[int, float]:
        """What a step's transfers came to: bytes, and seconds in which it pushed. Asked before its `end`."""
        step = self._steps.get(vertex)
        if step is None:
            return 0, 0.0
        pushed, reached = 0.0, float("-inf")
        for began, ended in sorted(step.pushes.values()):
            # Several platforms are pushed at once.
            pushed += max(0.0, ended - max(began, reached))
            reached = max(reached, ended)
        return step.state()[1], pushed

    def end(self, vertex: str, *, name: str) -> StepProgress | None:
        """What is left to tell of a step that has ended and was told of before."""
        step = self._steps.pop(vertex, None)
        if step is None or step.told is None or step.told[1:] == step.state()[1:]:
            return None
        return self._tell(vertex, name, step, ("", *step.state()[1:]))

    def _tell(self, vertex: str, name: str, step: _Step, state: _State) -> StepProgress:
        activity, current, total = step.told = state
        step.told_at = self._clock()
        step.told_of.add(activity)
        return StepProgress(
            time=time.time(), app=self._app, step=vertex, name=name, activity=activity, current=current, total=total
        )
