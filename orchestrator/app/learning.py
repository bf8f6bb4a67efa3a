"""What runs learn of one another: how long an app takes, and what it needs of the builder's memory."""

from collections.abc import Mapping

from orchestrator.events import AppCompleted, Event, MemoryMeasured
from orchestrator.model import Plan
from orchestrator.schedule.memory import Memory as Room
from orchestrator.skip.memory import Memory


class Learning:
    """What is known of a plan's apps, and what a run adds to it.

    Args:
        plan: the run's.
        memory: of earlier runs; keeps what this one shows.
        builder: its address.
        said: bytes that its builds may need together, where somebody has said so.
    """

    def __init__(self, plan: Plan, memory: Memory, builder: str, *, said: int | None = None) -> None:
        self._paths = {app.app.name: app.app.path for app in plan.apps}
        self._memory = memory
        self._builder = builder
        self._said = said
        self._available = 0

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long apps took, by name, as far as that is known."""
        took = {name: self._memory.seconds(path) for name, path in self._paths.items()}
        return {name: seconds for name, seconds in took.items() if seconds is not None}

    @property
    def room(self) -> Room:
        """What the builder had to give, and what apps needed, as far as that is known."""
        needed = {name: self._memory.needed(path) for name, path in self._paths.items()}
        return Room(
            available=self._memory.available(self._builder) if self._said is None else self._said,
            needed={name: most for name, most in needed.items() if most is not None},
        )

    def note(self, event: Event) -> None:
        """Hear of an event of the run."""
        if isinstance(event, AppCompleted) and event.cached < event.steps:
            self._memory.took(self._paths[event.app], event.seconds)
        elif isinstance(event, MemoryMeasured):
            self._memory.used(self._paths[event.app], event.needed, whole=event.whole)
            # What it had at best: the builds of this run take their part of what it has at other times.
            self._available = max(self._available, event.available)
            self._memory.had(self._builder, self._available)
