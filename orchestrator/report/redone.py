"""Installations that were made once more because a cache holds no more than images' own layers. Pure.

A builder that has built an app before has its dependencies in its own cache. One that has not reads the layer cache, in
which with `min` the stages that install are missing. That is said where it took long; whether what they read had
changed, and it was to be done anyway, no event tells.
"""

from collections.abc import Collection, Mapping
from typing import Final

from orchestrator.events import AppStarted, Event, StepCompleted
from orchestrator.report.kinds import kind_of
from orchestrator.text import duration

_READ: Final = "importing cache manifest from "
_LONG: Final = 5.0
"""Seconds of one app's steps that are worth a word."""
_MOST_SHOWN: Final = 3


class Redone:
    """Folds the events of one run.

    Args:
        known: the builders that apps were built on before, by the app's name.
    """

    def __init__(self, known: Mapping[str, Collection[str]]) -> None:
        self._known = known
        self._fresh: set[str] = set()
        self._read: set[str] = set()
        self._seconds: dict[str, float] = {}

    def note(self, event: Event) -> None:
        """Hear of an event."""
        if isinstance(event, AppStarted) and event.host not in self._known.get(event.app, ()):
            self._fresh.add(event.app)
        elif isinstance(event, StepCompleted) and event.error is None:
            if event.name.startswith(_READ):
                self._read.add(event.app)
            elif not event.cached and kind_of(event.name) == "install":
                self._seconds[event.app] = self._seconds.get(event.app, 0.0) + event.seconds

    def warning(self) -> str | None:
        """What is to be said at the end of the run."""
        dear = {
            app: seconds
            for app, seconds in self._seconds.items()
            if app in self._fresh and app in self._read and seconds >= _LONG
        }
        if not dear:
            return None
        names = ", ".join(list(dear)[:_MOST_SHOWN]) + (", ..." if len(dear) > _MOST_SHOWN else "")
        return (
            f"dependencies of {names} were installed on builders that had not built them before, which took "
            f"{duration(sum(dear.values()))}: CACHE_MODE=min keeps images' own layers only, CACHE_MODE=max these, too"
        )
