"""What runs learn of one another: how long an app takes, where it was built and how fast, what it needs of memory."""

from collections.abc import Mapping, Sequence

from orchestrator.events import AppCompleted, AppStarted, Event, MemoryMeasured
from orchestrator.model import Plan
from orchestrator.schedule.speed import speeds
from orchestrator.skip.memory import Memory


class Learning:
    """What is known of a plan's apps, and what a run adds to it.

    Args:
        plan: the run's.
        memory: of earlier runs; keeps what this one shows.
        said: bytes that the builds of a builder may need together, by its address, where somebody has said so.
    """

    def __init__(self, plan: Plan, memory: Memory, *, said: Mapping[str, int] | None = None) -> None:
        self._paths = {app.app.name: app.app.path for app in plan.apps}
        self._memory = memory
        self._said = said or {}
        self._hosts: dict[str, str] = {}
        """Where apps were built last."""
        self._available: dict[str, int] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long apps took, by name, as far as that is known."""
        took = {name: self._memory.seconds(path) for name, path in self._paths.items()}
        return {name: seconds for name, seconds in took.items() if seconds is not None}

    @property
    def cold(self) -> Mapping[str, float]:
        """How long apps took of which nothing was cached, by name, as far as that is known."""
        took = {name: self._memory.cold(path) for name, path in self._paths.items()}
        return {name: seconds for name, seconds in took.items() if seconds is not None}

    @property
    def needed(self) -> Mapping[str, int]:
        """The bytes of memory that apps needed, by name, as far as that is known."""
        needed = {name: self._memory.needed(path) for name, path in self._paths.items()}
        return {name: most for name, most in needed.items() if most is not None}

    def available(self, host: str) -> int:
        """The bytes of memory that a builder has for builds, by its address; 0: not known."""
        return self._said.get(host) or self._memory.available(host)

    @property
    def hosts(self) -> Mapping[str, Sequence[str]]:
        """The addresses of the builders that apps were built on, by name, as far as that is known."""
        found = {name: self._memory.hosts(path) for name, path in self._paths.items()}
        return {name: hosts for name, hosts in found.items() if hosts}

    @property
    def speeds(self) -> Mapping[str, float]:
        """How many times as fast as others builders are, by their addresses, as far as that is known."""
        return speeds(self._memory.whole)

    def note(self, event: Event) -> None:
        """Hear of an event of the run."""
        if isinstance(event, AppStarted):
            self._hosts[event.app] = event.host
        elif isinstance(event, AppCompleted):
            path = self._paths[event.app]
            for part in event.parts:
                self._memory.built_on(path, part.host)
            # One host was late; the other one began late, and what it took says how long that takes.
            seconds = event.host_seconds if event.host else event.seconds
            if event.host:
                self._hosts[event.app] = event.host
            if event.cached < event.steps and seconds:
                self._memory.took(path, seconds)
            if event.app in self._hosts and not event.parts:
                self._memory.built_on(path, self._hosts[event.app])
                if event.steps and not event.cached and seconds:
                    self._memory.took_whole(path, self._hosts[event.app], seconds)
        elif isinstance(event, MemoryMeasured):
            self._memory.used(self._paths[event.app], event.needed, whole=event.whole)
            # What it had at best: the builds of this run take their part of what it has at other times.
            host = self._hosts[event.app]
            self._available[host] = max(self._available.get(host, 0), event.available)
            self._memory.had(host, self._available[host])
