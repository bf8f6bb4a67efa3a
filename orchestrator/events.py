"""What happens in a run, as one tagged union: `--progress=json` is this, and every display folds this.

A producer sends events through one memory stream and always closes it. `match` with `assert_never` over `Event`
makes a forgotten event a type error.
"""

from typing import Literal

import msgspec

INTERRUPTED = "the run was interrupted"
"""What the last event and the result file say of a run that a signal has ended."""

FORMAT = 1
"""Raised when a field vanishes or changes its meaning; new fields may appear at any time."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    time: float
    """Seconds since the epoch."""


class RunStarted(_Event, frozen=True, kw_only=True, tag="run-started"):
    """The plan stands and builds are about to start."""

    format: int = FORMAT
    apps: tuple[str, ...]
    builder: str
    """The address of the builder."""
    jobs: int = 0
    """Builds at once; 0 when nobody said."""
    memory: int = 0
    """Bytes that the builder's host had to give in an earlier run: builds that needed more together are not run at
    once. 0: not known."""


class AppStarted(_Event, frozen=True, kw_only=True, tag="app-started"):
    """An app got a slot and its build was sent to a builder."""

    app: str
    host: str
    image: str
    language: str = ""
    reason: str = ""
    """Why it is built and not skipped; empty where nothing could have been skipped."""
    memory: int = 0
    """Bytes that its steps needed at once when it was built before; 0: not known."""
    worker: str = ""
    """The builder's id of its own: another one when its cache was made anew."""
    held: float = 0.0
    """Seconds for which it waited for the builder's memory, with a slot free."""
    placed: str = ""
    """Why on this host: `cached`, `drawn` (by a hash of its name), `home is busy`, `only one`."""
    warm: tuple[str, ...] = ()
    """What of it was known to lie there: `app`, `dependencies`, `mounts`, `base`."""
    platform: str = ""
    """The part of the image that is built there; empty: all of it."""


class StepStarted(_Event, frozen=True, kw_only=True, tag="step-started"):
    """A step of the build started, or was found cached."""

    app: str
    step: str
    """The vertex digest: stable between builds of the same definition."""
    name: str


class StepProgress(_Event, frozen=True, kw_only=True, tag="step-progress"):
    """How far a step's transfers have come. A build that moves next to nothing and runs nothing has none of these."""

    app: str
    step: str
    name: str
    activity: str
    """What the step does right now, in the daemon's words: `transferring context:`, a layer's digest, `pushing layers`;
    empty when it does not say."""
    current: int
    """Bytes so far, of all transfers of the step. BuildKit counts what is sent to it and pulled, not what it pushes."""
    total: int
    """Bytes in all; 0 while they are not known of every transfer."""


class StepCompleted(_Event, frozen=True, kw_only=True, tag="step-completed"):
    """A step ended."""

    app: str
    step: str
    name: str
    cached: bool
    seconds: float
    error: str | None = None
    started: float | None = None
    """By the builder's clock, seconds since the epoch: it may differ from ours."""
    inputs: tuple[str, ...] = ()
    """The vertex digests of the steps that it needed."""
    moved_bytes: int = 0
    """Bytes of its transfers, counted as in `step-progress`."""
    push_seconds: float = 0.0
    """The part of `seconds` in which it pushed to a registry."""


class StepContinued(_Event, frozen=True, kw_only=True, tag="step-continued"):
    """A step that had ended went on for some time, and has ended again.

    Builders look for a base image or for files first, and pull or receive them when somebody needs them.
    """

    app: str
    step: str
    name: str
    cached: bool
    seconds: float
    started: float
    """By the builder's clock, seconds since the epoch."""
    moved_bytes: int = 0
    """Bytes of its transfers since then."""


class StepLog(_Event, frozen=True, kw_only=True, tag="step-log"):
    """Output of a step: whole lines, without the line end."""

    app: str
    step: str
    text: str


class AppWarning(_Event, frozen=True, kw_only=True, tag="warning"):
    """Something an app's owner should know, which stops nothing."""

    app: str | None
    message: str
    hint: str | None = None


class ImagePart(msgspec.Struct, frozen=True, kw_only=True):
    """One platform of an image whose platforms were built on hosts of their own."""

    platform: str
    host: str
    digest: str | None
    """Of what that host has pushed, whose entries are in the image's index."""
    seconds: float
    steps: int
    cached: int
    sent_bytes: int


class AppCompleted(_Event, frozen=True, kw_only=True, tag="app-completed"):
    """An app's image was built, and published when that was asked for."""

    app: str
    image: str
    tags: tuple[str, ...]
    """The full references that now point to the image; empty when it was not pushed."""
    digest: str | None
    """None when no image was made, only files."""
    seconds: float
    steps: int
    """Instructions of the Dockerfile that the build came to."""
    cached: int
    """Those of them that were found in the cache."""
    sent_bytes: int
    """Bytes of context and metadata sent for this build."""
    outputs: tuple[str, ...] = ()
    """Files and directories that were written, as they were named."""
    skipped: bool = False
    """Nothing was built: the image of the same inputs was in the registry."""
    revision: str | None = None
    """The source's revision that a skipped image was built from, where that is known."""
    host: str = ""
    """The builder that was faster, of a build that was begun on two; empty where it ended where it began."""
    host_seconds: float = 0.0
    """Since it was begun there."""
    parts: tuple[ImagePart, ...] = ()
    """What each host has built of it; empty when one has built all."""
    platforms: tuple[str, ...] = ()
    """What it is for: what was asked for, else the builder's own platform; empty where that is not known."""


class CacheExported(_Event, frozen=True, kw_only=True, tag="cache-exported"):
    """The layer cache of an app that is published was written to a registry, or not."""

    app: str
    ref: str
    seconds: float
    executed: int
    """Steps that had to run once more for it; there should be none."""
    error: str | None = None
    """Why there is no cache. The app is none the worse for it."""


class MemoryMeasured(_Event, frozen=True, kw_only=True, tag="memory-measured"):
    """What an app's build needed of the builder's memory. Told by hosts with cgroup v2 only, soon after the build."""

    app: str
    needed: int
    """Bytes that the steps that were executed held at once at the most, without the page cache."""
    available: int
    """Bytes that the builder's host had to give at best meanwhile; 0 when it does not say."""
    whole: bool
    """Whether every step was executed, so that a build cannot need more."""


class PackagesCarried(_Event, frozen=True, kw_only=True, tag="packages-carried"):
    """A package cache was carried to the builder, before the first build that uses it, or back, after the last; or not.

    Nobody's build fails for want of it.
    """

    cache: str
    """The tool's name: `npm`, `go-mod`."""
    to: Literal["builder", "directory"]
    seconds: float
    size: int
    """Bytes of its files; 0 when it was not carried."""
    error: str | None = None
    """Why it was not."""
    hint: str = ""
    host: str = ""
    """The builder, where there are several."""
    passed: tuple[str, ...] = ()
    """The builders that have used the cache, too, and whose content is not in what was kept."""


class AppFailed(_Event, frozen=True, kw_only=True, tag="app-failed"):
    """An app's build or its publication failed."""

    app: str
    kind: str
    message: str
    hint: str
    transient: bool
    seconds: float
    file: str | None = None
    """The Dockerfile in which it happened, as the build named it."""
    line: int | None = None
    """From 1."""
    source: tuple[str, ...] = ()
    """The Dockerfile's lines that are meant, the first of them at `line`."""
    step: str | None = None
    """The vertex digest of the step that failed."""
    command: str | None = None
    """What the step executed."""
    exit_code: int | None = None
    log: tuple[str, ...] = ()
    """The end of the step's output: at most 20 lines."""


class AppCancelled(_Event, frozen=True, kw_only=True, tag="app-cancelled"):
    """An app was not built, or not to its end, because the run was interrupted or failed fast."""

    app: str
    reason: Literal["interrupted", "fail-fast"]


class RunCompleted(_Event, frozen=True, kw_only=True, tag="run-completed"):
    """The run is over. Always the last event."""

    exit_code: int
    seconds: float
    succeeded: int
    """Apps with an image, those that were skipped among them."""
    skipped: int = 0
    failed: int
    cancelled: int
    error: str | None = None
    """Why the run ended, where this is no app's fault: it was interrupted, or never began; then this is the only
    event."""


Event = (
    RunStarted
    | AppStarted
    | StepStarted
    | StepProgress
    | StepCompleted
    | StepContinued
    | StepLog
    | AppWarning
    | AppCompleted
    | CacheExported
    | MemoryMeasured
    | PackagesCarried
    | AppFailed
    | AppCancelled
    | RunCompleted
)
