"""Faults of a run: its events and requests in, the moments to break and to heal out, and who has felt it. Pure.

A fault of a host begins with the n-th event of a kind that the run tells, and is the fault of the host on which that
build is. It is healed when so many images were made elsewhere since, or, some of the time, when the run has set the
host aside. One of a registry begins with the n-th request of a push, and ends with as many as are refused. Seconds play
no part, so that a slow machine breaks at the same point.

A fault that no build has felt shows nothing. A build has felt it when it had to begin again or was tried again, or when
it was on the host during the fault, went on there afterwards, and the fault alone had lasted as long as a whole build
takes when nothing is broken; and a registry's, when a request of its was refused.
"""

import math
from collections.abc import Collection, Mapping
from typing import Final, Literal, Protocol

import msgspec

from benchmarks.fleet.drawing import LOST, RESTARTED, Drawn, When
from orchestrator.events import AppCompleted, AppFailed, AppStarted, AppWarning, Event, StepLog, StepStarted

AT_WORK: Final = "at work"
"""What a step says when it begins."""
_PUSHING = "pushing "
_AGAIN = "trying again in "
_NO_ROOM = "a step found no room on "
_ASIDE = " is set aside"


class Deed(msgspec.Struct, frozen=True):
    """What has to be done now."""

    what: Literal["break", "heal"]
    fault: str
    """The class."""
    host: str
    """Its address."""


class Fault(Protocol):
    """One fault of a run."""

    @property
    def name(self) -> str:
        """Its class."""
        ...

    @property
    def felt(self) -> Mapping[str, str]:
        """How builds have felt it, by app."""
        ...

    @property
    def again(self) -> int:
        """How often builds that it struck began again."""
        ...

    @property
    def begun(self) -> bool:
        """Whether something broke."""
        ...

    @property
    def over(self) -> bool:
        """Whether it is healed, and was felt or cannot be felt any more."""
        ...

    @property
    def struck(self) -> Collection[str]:
        """Apps of which it is not known yet how they get over it."""
        ...

    @property
    def lost(self) -> str:
        """The address of a host that will never be healed, or nothing."""
        ...

    def hear(self, event: Event, places: Mapping[str, str], *, apart: Collection[str]) -> Deed | None:
        """Hear of an event.

        Args:
            event: the run's.
            places: on which hosts builds are or were last, this event considered.
            apart: apps that are done, or that another fault has struck.

        Returns:
            What has to be done now.
        """
        ...

    def refuse(self, method: str, path: str) -> int | None:
        """What a request to the registry is answered instead of by it; None: the registry answers."""
        ...


class HostFault:
    """One of a host.

    Args:
        name: its class.
        what: when.
        usual: seconds that a build takes when nothing is broken.
    """

    def __init__(self, name: str, what: Drawn, *, usual: float = 0.0) -> None:
        self.name = name
        self.felt: dict[str, str] = {}
        self.again = 0
        self.host = ""
        self._lasts = name != RESTARTED
        """Whether it stays broken until it is healed; else only builds that were there can feel it."""
        self._usual = usual if self._lasts else math.inf
        self._what = what
        self._there: dict[str, float] = {}
        """Since when builds were on the broken host."""
        self._struck: set[str] = set()
        self._seen = self._since = 0
        self._broke: float | None = None
        self._healed: float | None = None

    @property
    def begun(self) -> bool:
        """See `Fault`."""
        return self._broke is not None

    @property
    def over(self) -> bool:
        """See `Fault`."""
        return self._healed is not None and bool(self.felt or not self._struck)

    @property
    def struck(self) -> Collection[str]:
        """See `Fault`."""
        return self._struck

    @property
    def lost(self) -> str:
        """See `Fault`."""
        return self.host if self.name == LOST else ""

    def refuse(self, method: str, path: str) -> int | None:  # noqa: ARG002 -- the registry is well
        """See `Fault`."""
        return None

    def hear(self, event: Event, places: Mapping[str, str], *, apart: Collection[str]) -> Deed | None:
        """See `Fault`."""
        match event:
            case AppStarted():
                self._started(event)
                return self._reached("sent", event, places, apart)
            case StepLog() if event.text == AT_WORK:
                return self._reached("working", event, places, apart)
            case StepStarted() if event.name.startswith(_PUSHING):
                return self._reached("pushing", event, places, apart)
            case AppWarning():
                return self._warned(event)
            case AppCompleted():
                return self._completed(event, places[event.app])
            case AppFailed():
                self._struck.discard(event.app)
            case _:
                pass
        return None

    @property
    def _on(self) -> bool:
        return self._broke is not None and self._healed is None

    def _started(self, event: AppStarted) -> None:
        if event.app in self._struck:
            self.felt.setdefault(event.app, "began again")
            self.again += 1
            if event.host != self.host or not self._on:
                self._struck.discard(event.app)
        elif self._on and event.host == self.host:
            self._there.setdefault(event.app, event.time)
            self._struck.add(event.app)

    def _reached(
        self, when: When, event: AppStarted | StepLog | StepStarted, places: Mapping[str, str], apart: Collection[str]
    ) -> Deed | None:
        # What another fault has struck would not tell whose it was.
        if self._broke is not None or when != self._what.when or event.app in apart:
            return None
        self._seen += 1
        if self._seen < self._what.nth:
            return None
        self._broke, self.host = event.time, places[event.app]
        if not self._lasts:
            self._healed = event.time
        there = [app for app, host in places.items() if host == self.host and app not in apart]
        self._there.update(dict.fromkeys(there, event.time))
        self._struck.update(there)
        return Deed("break", self.name, self.host)

    def _warned(self, event: AppWarning) -> Deed | None:
        if event.app in self._struck and event.message.startswith((_AGAIN, _NO_ROOM)):
            self.felt.setdefault(event.app, "was tried again" if event.message.startswith(_AGAIN) else "found no room")
        if self._on and event.app is None and event.message.startswith(f"{self.host}{_ASIDE}"):
            return self._healing(event, due=self._what.aside)
        return None

    def _completed(self, event: AppCompleted, at: str) -> Deed | None:
        if event.app in self._struck:
            self._struck.discard(event.app)
            lasted = -math.inf if self._healed is None else self._healed - self._there[event.app]
            if lasted >= self._usual:
                self.felt.setdefault(event.app, "stood still")
        if not self._on or at == self.host:
            return None
        self._since += 1
        images = (self._what.most or math.inf) if self._what.aside else self._what.images
        return self._healing(event, due=self._since >= images)

    def _healing(self, event: Event, *, due: bool) -> Deed | None:
        if not due:
            return None
        self._healed = event.time
        return Deed("heal", self.name, self.host)


class RegistryFault:
    """One of the registry: it refuses some requests of pushes.

    Args:
        name: its class.
        what: which requests.
        status: the answer.
        bodies: whether only those with a blob in them count.
    """

    lost = ""

    def __init__(self, name: str, what: Drawn, *, status: int, bodies: bool) -> None:
        self.name = name
        self.again = 0
        self.refused: list[str] = []
        """The apps whose requests were, one for each."""
        self._status, self._what, self._bodies = status, what, bodies
        self._seen = 0
        self._done = False

    @property
    def felt(self) -> Mapping[str, str]:
        """See `Fault`."""
        return {app: f"was refused {self.refused.count(app)} times" for app in self.refused}

    @property
    def begun(self) -> bool:
        """See `Fault`."""
        return bool(self.refused)

    @property
    def over(self) -> bool:
        """See `Fault`."""
        return self._done or len(self.refused) >= self._what.requests

    @property
    def struck(self) -> Collection[str]:
        """See `Fault`."""
        return ()

    def hear(self, event: Event, places: Mapping[str, str], *, apart: Collection[str]) -> None:  # noqa: ARG002 -- wherever
        """See `Fault`."""
        match event:
            case AppStarted():
                self.again += event.app in self.refused
            case AppCompleted() | AppFailed():
                # Where nobody else is refused, nothing is any more.
                self._done |= self._what.one and event.app in self.refused
            case _:
                pass

    def refuse(self, method: str, path: str) -> int | None:
        """See `Fault`."""
        # /v2/<folder>/<run>/<app>/blobs/..., or /manifests/...
        _, _, _, _, app, kind, *_ = [*path.split("/"), *[""] * 6]
        if method not in {"PUT", "PATCH"} or (kind != "blobs" and self._bodies):
            return None
        self._seen += 1
        if self._seen < self._what.nth or self.over:
            return None
        if self._what.one and self.refused and app != self.refused[0]:
            return None
        self.refused.append(app)
        return self._status
