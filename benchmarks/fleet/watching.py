"""A run as it tells of itself: what came of it, and whose turn it is among the faults that it meets. Pure."""

from collections.abc import Mapping, Sequence

from benchmarks.fleet.breaking import Deed, Fault
from orchestrator.events import AppCompleted, AppFailed, AppStarted, Event, RunCompleted, StepLog, StepStarted


class Watch:
    """One run.

    Args:
        faults: what it meets, each when the one before is over.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.code = -1
        """The run's exit code; -1: it has not ended."""
        self.digests: dict[str, str | None] = {}
        """Of the images, by app."""
        self.seconds: list[float] = []
        """That each build took which no fault has struck."""
        self.failed: list[str] = []
        self.again = 0
        """Builds that were begun again."""
        self.faults = tuple(faults)
        self._places: dict[str, str] = {}
        self._ended: set[str] = set()

    def hear(self, event: Event) -> Deed | None:
        """Hear of an event; returns what has to be done now."""
        self._note(event)
        begun = self._begun()
        if isinstance(event, AppStarted | StepLog | StepStarted) and self._is_lost(event.app):
            # It was told before the run knew.
            return None
        struck = {app for fault in begun[:-1] for app in fault.struck}
        deeds = [fault.hear(event, self._places, apart=self._ended | struck) for fault in begun]
        return next((deed for deed in deeds if deed is not None), None)

    def refuse(self, method: str, path: str) -> int | None:
        """What a request to the registry is answered instead of by it; None: the registry answers."""
        return begun[-1].refuse(method, path) if (begun := self._begun()) else None

    def _begun(self) -> Sequence[Fault]:
        """The faults that it has met, and the one whose turn it is: builds may feel one that is over still."""
        for number, fault in enumerate(self.faults, 1):
            if not fault.over:
                return self.faults[:number]
        return self.faults

    def _is_lost(self, app: str) -> bool:
        return any(fault.over and fault.lost and fault.lost == self._places.get(app) for fault in self.faults)

    def _note(self, event: Event) -> None:
        match event:
            case AppStarted():
                self.again += event.app in self._places
                self._places[event.app] = event.host
            case AppCompleted():
                self.digests[event.app] = event.digest
                self._ended.add(event.app)
                if not any(event.app in fault.struck or event.app in fault.felt for fault in self.faults):
                    self.seconds.append(event.seconds)
            case AppFailed():
                self._ended.add(event.app)
                self.failed.append(f"{event.app}: {event.message}")
            case RunCompleted():
                self.code = event.exit_code
            case _:
                pass


def wrongs(
    calm: Mapping[str, str | None],
    rough: Watch,
    published: Mapping[str, str],
    *,
    left: Sequence[str],
) -> list[str]:
    """What is not as it has to be, in words.

    Args:
        calm: the digest of every app's image when nothing broke.
        rough: the run in which something did.
        published: the digests that the tags of that run point to.
        left: what was found afterwards and belongs to nobody.
    """
    found = [f"exit code {rough.code}"] if rough.code else []
    found += [f"failed: {message[:300]}" for message in rough.failed]
    found += [f"no image of {app}" for app in calm if app not in rough.digests]
    found += [f"{app} is another image" for app, digest in rough.digests.items() if digest != calm.get(app)]
    elsewhere = [app for app, digest in rough.digests.items() if published.get(app) != digest]
    found += [f"the tag of {app} is of another image" for app in elsewhere]
    return [*found, *left]
