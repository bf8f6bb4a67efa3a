"""What is broken when, and what came of it: a run's events in, the moments to break and to heal out. Pure.

A fault of a host begins with the n-th event of a kind that the run tells, and is the fault of the host on which that
build is. It is healed when so many images were made elsewhere since, or, some of the time, when the run has set the
host aside. Seconds play no part, so that a slow machine breaks at the same point.

A fault that no build has felt shows nothing. A build has felt it when it had to begin again or was tried again, or when
it was on the host during the fault, went on there afterwards, and the fault alone had lasted as long as a whole build
takes when nothing is broken.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from orchestrator.events import (
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    StepLog,
    StepStarted,
)

When = Literal["sent", "working", "pushing"]
"""An app's build was sent to its host; its step is at work; its image is pushed."""
Deed = Literal["break", "heal"]
Transport = Literal["asyncssh", "openssh"]
AT_WORK: Final = "at work"
"""What a step says when it begins."""
_PUSHING = "pushing "
_AGAIN = "trying again in "
_NO_ROOM = "a step found no room on "
_ASIDE = " is set aside"
_UNTIL_ASIDE = 0.25
"""The share of faults that last until they are noticed."""
_STATUSES = (429, 500, 502, 503)
_MOST_REQUESTS = 8
"""A daemon tries a push four times where a registry answers 5xx, and six where it answers 429, at once; a run tries the
build four times. So many refusals in a row are within that."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed says of a run."""

    when: When
    """With which events a host's fault begins."""
    nth: int
    """The one of them, from 1; of a registry's fault: of the requests of pushes."""
    images: int
    """How many images are made elsewhere before a host is healed."""
    aside: bool
    """Whether it is healed when it is set aside instead."""
    status: int
    """A registry's answer."""
    requests: int
    """How many of them are refused."""
    one: bool
    """Whether all of these are of one app."""
    transport: Transport = "asyncssh"
    """What speaks SSH."""


def drawn(seed: int, builds: int) -> Drawn:
    """What breaks when, in a run of so many builds."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible faults
    whens: tuple[When, ...] = ("sent", "working", "working", "pushing")
    transports: tuple[Transport, ...] = ("asyncssh", "openssh")
    return Drawn(
        when=chance.choice(whens),
        nth=chance.randint(1, max(1, builds // 2)),
        images=chance.randint(max(1, builds // 16), max(1, builds // 4)),
        aside=chance.random() < _UNTIL_ASIDE,
        status=chance.choice(_STATUSES),
        requests=chance.randint(1, _MOST_REQUESTS),
        one=chance.random() < 0.5,  # noqa: PLR2004 -- a coin
        transport=chance.choice(transports),
    )


class Watch:
    """One run as it tells of itself.

    Args:
        what: is broken; None: nothing.
        usual: seconds that a build takes when nothing is.
        lasts: whether it stays broken until it is healed; else only builds that were there can feel it.
    """

    def __init__(self, what: Drawn | None = None, *, usual: float = 0.0, lasts: bool = True) -> None:
        self.code = -1
        """The run's exit code; -1: it has not ended."""
        self.digests: dict[str, str | None] = {}
        """Of the images, by app."""
        self.seconds: list[float] = []
        """That each build took which was not begun again."""
        self.felt: dict[str, str] = {}
        """How builds have felt the fault, by app."""
        self.failed: list[str] = []
        self.host = ""
        """The address of the host that is broken."""
        self.again = 0
        """Builds that were begun again."""
        self._what = what
        self._usual = usual if lasts else math.inf
        self._lasts = lasts
        self._places: dict[str, str] = {}
        self._there: dict[str, float] = {}
        """Since when builds were on the broken host."""
        self._seen = self._since = 0
        self._broke: float | None = None
        self._healed: float | None = None

    def hear(self, event: Event) -> Deed | None:
        """Hear of an event; returns what has to be done now."""
        match event:
            case AppStarted():
                self._started(event)
                return self._reached("sent", event)
            case StepLog() if event.text == AT_WORK:
                return self._reached("working", event)
            case StepStarted() if event.name.startswith(_PUSHING):
                return self._reached("pushing", event)
            case AppWarning():
                return self._warned(event)
            case AppCompleted():
                return self._completed(event)
            case AppFailed():
                self.failed.append(f"{event.app}: {event.message}")
            case RunCompleted():
                self.code = event.exit_code
            case _:
                pass
        return None

    @property
    def _on(self) -> bool:
        return self._broke is not None and self._healed is None

    def _started(self, event: AppStarted) -> None:
        self.again += event.app in self._places
        if event.app in self._there:
            self.felt.setdefault(event.app, "began again")
        self._places[event.app] = event.host
        if self._on and self._lasts and event.host == self.host:
            self._there.setdefault(event.app, event.time)

    def _reached(self, when: When, event: AppStarted | StepLog | StepStarted) -> Deed | None:
        if self._what is None or self._broke is not None or when != self._what.when:
            return None
        self._seen += 1
        if self._seen < self._what.nth:
            return None
        self._broke, self.host = event.time, self._places[event.app]
        there = [app for app, host in self._places.items() if host == self.host and app not in self.digests]
        self._there.update(dict.fromkeys(there, event.time))
        return "break"

    def _warned(self, event: AppWarning) -> Deed | None:
        if event.app in self._there and event.message.startswith((_AGAIN, _NO_ROOM)):
            self.felt.setdefault(event.app, "was tried again" if event.message.startswith(_AGAIN) else "found no room")
        if self._on and event.app is None and event.message.startswith(f"{self.host}{_ASIDE}"):
            return self._healing(event, due=self._what is not None and self._what.aside)
        return None

    def _completed(self, event: AppCompleted) -> Deed | None:
        self.digests[event.app] = event.digest
        at, since = self._places[event.app], self._there.get(event.app)
        if since is None:
            self.seconds.append(event.seconds)
        elif event.app not in self.felt and self._healed is not None and self._healed - since >= self._usual:
            self.felt[event.app] = "stood still"
        if not self._on or self._what is None or at == self.host:
            return None
        self._since += 1
        return self._healing(event, due=not self._what.aside and self._since >= self._what.images)

    def _healing(self, event: Event, *, due: bool) -> Deed | None:
        if not due:
            return None
        self._healed = event.time
        return "heal"


class Refusal:
    """Refuses some requests of pushes.

    Args:
        status: the answer.
        what: which requests.
        bodies: whether only those with a blob in them count.
    """

    def __init__(self, status: int, what: Drawn, *, bodies: bool) -> None:
        self.refused: list[str] = []
        """The apps whose requests were, one for each."""
        self._status, self._what, self._bodies = status, what, bodies
        self._seen = 0

    def __call__(self, method: str, path: str) -> int | None:
        """Answer a request; None: the registry does."""
        # /v2/<folder>/<run>/<app>/blobs/..., or /manifests/...
        _, _, _, _, app, kind, *_ = [*path.split("/"), *[""] * 6]
        if method not in {"PUT", "PATCH"} or (kind != "blobs" and self._bodies):
            return None
        self._seen += 1
        if self._seen < self._what.nth or len(self.refused) >= self._what.requests:
            return None
        if self._what.one and self.refused and app != self.refused[0]:
            return None
        self.refused.append(app)
        return self._status


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
