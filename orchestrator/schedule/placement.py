"""On which host a build runs: facts in, a host and the reason out. Pure: no I/O, and the time is a fact.

A build is quickest where its steps are cached, so every app has a home: the host that is expected to end its build
first, by what is recorded to lie there (`Part`) and by how fast it is. Where nothing is known the home is drawn by
weighted rendezvous hashing, so that orchestrators that know nothing of each other draw
the same one, and a host that comes or goes moves no apps but its own.

A slot stays free while an app waits that may run there in two cases only. What a build needed of memory before is what
it is expected to need: one that does not fit waits, unless nothing else runs on the host. And an app that was built at
home waits for it as long as it is expected to end earlier there than anywhere else, and at most for the time that it
saves: if that is in vain, it has lost no more than it could gain. Of all others, when the first app's home is busy, an
app close behind whose home is free goes first; one that has been passed over often enough goes next wherever there is
room.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from orchestrator.schedule.rendezvous import Rendezvous

Kind = Literal["app", "dependencies", "mounts", "base"]
Reason = Literal["cached", "drawn", "home is busy", "only one"]
_SAVES: Final[Mapping[Kind, float]] = {"app": 0.5, "dependencies": 0.3}
"""The share of a build's time that is saved where this lies; together less than 1, for no build takes no time."""
_LIES: Final[Mapping[Kind, str]] = {
    "app": "it was built",
    "dependencies": "its dependencies lie",
    "mounts": "package caches lie",
    "base": "its base image lies",
}
_FAVOURS: Final[Mapping[Kind, float]] = {"mounts": 2.0, "base": 2.0}
"""How many times more often a host is drawn where this lies. Many apps share it: it must not draw all to one host."""
AHEAD = 8
"""How many apps behind the first may go before it, at least."""
_MOST_AHEAD = 256
PATIENT = 256
"""How many apps may wait for homes of theirs while other hosts have room, at most."""
_PATIENCE = 2
"""How often an app is passed over at most, for each that may go before it."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A builder host, as far as it matters here."""

    name: str
    slots: int
    """Builds at once, at least 1."""
    platforms: frozenset[str] = frozenset()
    """What it builds for, e.g. `linux/arm64`; empty: whatever is asked for."""
    speed: float = 1.0
    """Times as fast as others are, from earlier builds; above 0."""
    memory: int = 0
    """Bytes that it has for builds; 0: not known, and no build waits for them."""
    by_digest: bool = True
    """Whether it can push an image by digest, without a tag."""


_Demands = tuple[str, bool, frozenset[str]]
_NOTHING: Final[_Demands] = ("", False, frozenset())
_NOBODY: Final[frozenset[str]] = frozenset()


class Part(msgspec.Struct, frozen=True):
    """Something that a build needs and a host may have."""

    kind: Kind
    key: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A build that waits for a host."""

    app: str
    platform: str = ""
    """What it is built for; "": what its host is."""
    parts: tuple[Part, ...] = ()
    memory: int = 0
    """Bytes that it is expected to need; 0: not known, which counts nothing."""
    seconds: float = 0.0
    """How long it is expected to take where nothing of it lies; 0: not known, and it waits for no host."""
    by_digest: bool = False
    """Whether what is built must be pushed by digest: a part of an image, which has no tag of its own."""
    besides: frozenset[str] = frozenset()
    """The hosts on which it has failed for a reason that may be the host's, and those that cannot execute its steps."""

    @property
    def demands(self) -> _Demands:
        """What decides which hosts suit it."""
        return self.platform, self.by_digest, self.besides


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Build this app there."""

    job: Job
    host: str
    reason: Reason
    warm: tuple[Kind, ...] = ()
    """What of it is recorded to lie there."""
    seconds: float = 0.0
    """How long it is expected to take there; 0: not known."""

    @property
    def why(self) -> str:
        """The reason, for people."""
        return {
            "cached": f"{' and '.join(_LIES[kind] for kind in self.warm)} there",
            "drawn": "drawn by its name",
            "home is busy": "its own host is busy",
            "only one": "the only host",
        }[self.reason]


class Pool:
    """The hosts, what lies on them, and what runs there.

    Attributes:
        limit: builds at once on all hosts together, at least 1.
        patient_until: when somebody stops waiting for its home, as far as `next` has last seen; None: nobody waits.
    """

    def __init__(self, hosts: Iterable[Host], *, limit: int, lies: Mapping[Part, Iterable[str]] | None = None) -> None:
        """Take stock.

        Args:
            hosts: all of them; names are unique.
            limit: builds at once on all hosts together, at least 1.
            lies: on which hosts earlier builds have left a part.
        """
        self.limit = limit
        self._lies = {part: set(names) for part, names in (lies or {}).items()}
        self._hosts: dict[str, Host] = {}
        self._open: dict[str, Host] = {}
        self._drawing: _Drawing | None = None
        self._running: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._held: set[str] = set()
        self._homes: dict[Job, str | None] = {}
        self._passed: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self.patient_until: float | None = None
        for host in hosts:
            self.add(host)

    def add(self, host: Host) -> None:
        """A host takes builds from now on, or has other facts."""
        self._hosts[host.name] = host
        self._drawing = None
        self._open.pop(host.name, None)
        self._opened(host.name)
        self._homes.clear()

    def remove(self, name: str) -> None:
        """A host takes no more builds; those that run there go on, and are still told to have `ended`."""
        del self._hosts[name]
        self._open.pop(name, None)
        self._homes = {job: home for job, home in self._homes.items() if home != name}

    def began(self, placed: Placed) -> None:
        """A build takes a slot."""
        self._running[placed.host] = self._running.get(placed.host, 0) + 1
        if placed.host in self._hosts and self._running[placed.host] >= self._hosts[placed.host].slots:
            self._open.pop(placed.host, None)
        self._taken[placed.host] = self._taken.get(placed.host, 0) + placed.job.memory
        self._due[placed.host] = self._due.get(placed.host, 0.0) + placed.seconds
        self._passed.pop(placed.job.app, None)
        self._since.pop(placed.job.app, None)
        self._held.discard(placed.job.app)
        self._homes.pop(placed.job, None)

    def left(self, placed: Placed) -> None:
        """What a build needs lies on its host now."""
        for part in placed.job.parts:
            self._lies.setdefault(part, set()).add(placed.host)

    def ended(self, placed: Placed) -> None:
        """A build gives its slot back."""
        self._running[placed.host] -= 1
        self._taken[placed.host] -= placed.job.memory
        self._due[placed.host] -= placed.seconds
        self._opened(placed.host)

    @property
    def held(self) -> Collection[str]:
        """The apps that wait for memory: a slot was free for them when `next` was asked."""
        return self._held

    def suits(self, job: Job) -> bool:
        """Whether any host builds what it is."""
        return any(suits(host, job) for host in self._hosts.values())

    def home(self, job: Job) -> str | None:
        """The host on which an app's build is expected to take the least time if nothing else runs; None: nowhere."""
        if job not in self._homes:
            self._homes[job] = self._best(job, self._hosts)
        return self._homes[job]

    def expected(self, job: Job) -> Placed | None:
        """Where an app would be built if nothing else ran, and why; None: nowhere."""
        home = self.home(job)
        return None if home is None else self._placed(job, home)

    def next(self, waiting: Sequence[Job], *, now: float = 0.0) -> Placed | None:
        """What begins next, and where; None: nothing before a build has ended, or it is `patient_until`.

        Args:
            waiting: what may begin, in the order of preference.
            now: the time, in seconds of any clock that goes forward.
        """
        self.patient_until = None
        if sum(self._running.values()) >= self.limit:
            return None
        rooms, most = dict[_Demands, _Room](), ahead(len(self._hosts))
        first: Job | None = None
        passed: list[str] = []
        before: dict[str, float] = {}
        patient = 0
        for job in waiting:
            room = rooms.get(job.demands)
            if room is not None and not room.hosts:
                continue
            home = self.home(job)
            if home in self._open and job.memory <= self._left(self._open[home]):
                # Whoever was passed over is asked for patience only when somebody gains by it.
                for app in passed:
                    self._passed[app] = self._passed.get(app, 0) + 1
                return self._placed(job, home)
            # With a thousand hosts, looking at all is what a decision costs: once for alike jobs, and only if it must.
            room = rooms[job.demands] = room or self._room(job)
            if job.memory > room.memory:
                self._held.update([job.app] if room.hosts else ())
                continue
            seen = before.get(home, 0.0) if home is not None else 0.0
            if home is not None and patient < PATIENT and self._is_patient(job, home, room, seen, now):
                before[home] = before.get(home, 0.0) + self._seconds(job, home)
                patient += 1
                continue
            first = first or job
            passed.append(job.app)
            if self._passed.get(job.app, 0) >= _PATIENCE * most:
                first = job
                break
            if len(passed) > most:
                break
        return None if first is None else self._elsewhere(first, rooms[first.demands])

    def spare(self, job: Job, *, besides: str) -> Placed | None:
        """Where a build that runs already may run once more, as long as nobody waits; None: nowhere now.

        Args:
            job: the build.
            besides: the host that it runs on.
        """
        if sum(self._running.values()) >= self.limit:
            return None
        others = {
            name: host
            for name, host in self._open.items()
            if name != besides and suits(host, job) and job.memory <= self._left(host)
        }
        best = self._best(job, others)
        return None if best is None else self._placed(job, best)

    def _is_patient(self, job: Job, home: str, room: "_Room", before: float, now: float) -> bool:
        """Whether a build waits for its home, though another host has room.

        Args:
            job: the build.
            home: its own.
            room: where it may run now.
            before: how long those take there together that wait for it already, in seconds.
            now: the time.
        """
        there = [host for part in job.parts if part.kind == "app" for host in self._lies.get(part, ())]
        if home not in there or not job.seconds:
            return False
        takes, elsewhere = self._seconds(job, home), self._least(job, room)
        if (self._due.get(home, 0.0) + before) / self._hosts[home].slots + takes >= elsewhere:
            return False
        until = self._since.setdefault(job.app, now) + elsewhere - takes
        if until <= now:
            return False
        self.patient_until = until if self.patient_until is None else min(until, self.patient_until)
        return True

    def _least(self, job: Job, room: "_Room") -> float:
        """How long a build takes at least where there is room, in seconds."""
        free = {name: share for name, share in self._shares(job, self._open).items() if self._fits(job, name)}
        return job.seconds * min([1.0 / room.speed, *free.values()])

    def _fits(self, job: Job, name: str) -> bool:
        return job.memory <= self._left(self._open[name])

    def _seconds(self, job: Job, name: str) -> float:
        """How long a build takes on a host that suits it."""
        host = self._hosts[name]
        return job.seconds * self._shares(job, {name: host}).get(name, 1.0 / host.speed)

    def _shares(self, job: Job, among: Mapping[str, Host]) -> Mapping[str, float]:
        """What a build takes of its time, on those hosts that suit it and have something that saves some of it."""
        saved: dict[str, float] = {}
        for part in job.parts:
            if part.kind in _SAVES:
                # Many hosts may have it, and one alone be asked about.
                for name in among.keys() & self._lies.get(part, _NOBODY):
                    saved[name] = saved.get(name, 0.0) + _SAVES[part.kind]
        return {name: (1.0 - share) / among[name].speed for name, share in saved.items() if suits(among[name], job)}

    def _elsewhere(self, job: Job, room: "_Room") -> Placed | None:
        best = self._best(job, {host.name: host for host in room.hosts if job.memory <= self._left(host)})
        return None if best is None else self._placed(job, best)

    def _room(self, job: Job) -> "_Room":
        """Where a job of this one's demands may run now."""
        hosts = [host for host in self._open.values() if suits(host, job)]
        return _Room(
            hosts=hosts,
            memory=max(map(self._left, hosts), default=-1.0),
            speed=max((host.speed for host in hosts), default=1.0),
        )

    def _opened(self, name: str) -> None:
        """A host may have a slot free that it had not."""
        host = self._hosts.get(name)
        if host is not None and self._running.get(name, 0) < host.slots:
            self._open[name] = host

    def _left(self, host: Host) -> float:
        """The memory that one more may have: all for whoever is alone, and no limit where nothing is known."""
        if not host.memory or not self._running.get(host.name):
            return math.inf
        return max(0, host.memory - self._taken[host.name])

    def _placed(self, job: Job, host: str) -> Placed:
        warm: tuple[Kind, ...] = tuple(part.kind for part in job.parts if host in self._lies.get(part, ()))
        reason: Reason
        if len(self._hosts) == 1:
            reason = "only one"
        elif self.home(job) != host:
            reason = "home is busy"
        else:
            reason = "cached" if warm else "drawn"
        return Placed(job=job, host=host, reason=reason, warm=warm, seconds=self._seconds(job, host))

    def _best(self, job: Job, among: Mapping[str, Host]) -> str | None:
        takes = self._shares(job, among)
        least = min(takes.values(), default=math.inf)
        if takes and least >= 1 / self._draws().fastest:
            # Even a host where nothing lies may be as quick.
            takes = {host.name: takes.get(host.name, 1 / host.speed) for host in among.values() if suits(host, job)}
            least = min(takes.values())
        if takes:
            quickest = [name for name, time in takes.items() if time == least]
        else:
            anywhere = job.demands == _NOTHING
            quickest = list(among) if anywhere else [host.name for host in among.values() if suits(host, job)]
        return self._draw(job, quickest) if len(quickest) > 1 else next(iter(quickest), None)

    def _draw(self, job: Job, among: Collection[str]) -> str:
        """One of some hosts: each as often as is its share of slots times speed, more often if something lies there."""
        favoured: dict[str, float] = {}
        for part in job.parts:
            for name in self._lies.get(part, ()) if part.kind in _FAVOURS else ():
                favoured[name] = favoured.get(name, 1.0) * _FAVOURS[part.kind]
        draws, hosts = self._draws(), self._hosts
        return draws.names.drawn(
            job.app,
            among,
            lambda name: hosts[name].slots * hosts[name].speed * favoured.get(name, 1.0),
            most=draws.most * max(favoured.values(), default=1.0),
        )

    def _draws(self) -> "_Drawing":
        if self._drawing is None:
            hosts = self._hosts.values()
            self._drawing = _Drawing(
                names=Rendezvous(tuple(self._hosts)),
                most=max(host.slots * host.speed for host in hosts),
                fastest=max(host.speed for host in hosts),
            )
        return self._drawing


class _Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn from; hosts that have gone since may be counted."""

    names: Rendezvous
    most: float
    """No host's slots times speed is above it."""
    fastest: float
    """Nor any one's speed above this."""


class _Room(msgspec.Struct, frozen=True, kw_only=True):
    """The hosts that have a slot free for jobs that are alike."""

    hosts: Sequence[Host]
    memory: float
    """Bytes that the one with the most has left; infinite: no limit is known; below 0: there are no hosts."""
    speed: float
    """Of the fastest."""


def ahead(hosts: int) -> int:
    """How many apps behind the first may go before it. The more hosts, the rarer is one whose home has a free slot."""
    return min(max(AHEAD, 2 * hosts), _MOST_AHEAD)


def suits(host: Host, job: Job) -> bool:
    """Whether a host builds for an app's platform, and pushes it as it must be, and has not failed it."""
    if host.name in job.besides or (job.by_digest and not host.by_digest):
        return False
    return not job.platform or not host.platforms or job.platform in host.platforms
