"""`RESULT_FILE`: migetpacks' schema, and an object per app added.

The top-level fields keep migetpacks' meanings: with one app they describe it; with several, `images` lists all, and
`processes`, `language`, `env`, `formation`, `scripts` and `addons` are those of a run with one app only: each app's own
stand under `apps`. The last four come from the app's app.json. Unlike there, no secret is made up or handed on: a
variable whose value is to be generated, or looks like a credential, is null.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from langs.model import Addon, AppBuild, Formation, Process, Script
from orchestrator.errors import UsageError
from orchestrator.events import INTERRUPTED, AppCancelled, AppCompleted, AppFailed, ImagePart
from orchestrator.model import AppPlan, Plan
from orchestrator.report import place
from orchestrator.report.release import release
from orchestrator.text import inert
from orchestrator.workspace.files import text

FORMAT = 1
"""Raised when a field vanishes or changes its meaning; new fields may appear at any time."""

Outcome = AppCompleted | AppFailed | AppCancelled


class ImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """A built image; `ports` as in `5000/tcp`."""

    name: str
    ports: tuple[str, ...]


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process type that is neither `web` nor `release`."""

    name: str
    command: str


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """How the app is started; `{}` when that is not known."""

    web: str | msgspec.UnsetType = msgspec.UNSET
    release: str | msgspec.UnsetType = msgspec.UNSET
    workers: tuple[Worker, ...] | msgspec.UnsetType = msgspec.UNSET


class AppError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an app has no image."""

    kind: str
    message: str
    hint: str | None
    transient: bool
    file: str | None = None
    """The Dockerfile in which it happened, as the build named it."""
    line: int | None = None
    """From 1."""
    command: str | None = None
    """What the step executed that failed."""
    exit_code: int | None = None
    """Of that command."""


class AppResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one app."""

    name: str
    path: str
    status: Literal["success", "failed", "cancelled"]
    image: str
    tags: tuple[str, ...]
    """The full references that now point to the image; empty when it was not pushed."""
    digest: str | None
    language: str
    version: str | None
    processes: Processes
    env: Mapping[str, str | None] = {}
    formation: tuple[Formation, ...] = ()
    scripts: tuple[Script, ...] = ()
    addons: tuple[Addon, ...] = ()
    seconds: float | None
    steps: int | None
    cached: int | None
    error: AppError | None
    skipped: bool = False
    """Nothing was built: the image of the same inputs was in the registry."""
    revision: str | None = None
    """The source's revision that a skipped image was built from, where that is known."""
    parts: tuple[ImagePart, ...] = ()
    """What each host has built of an image whose platforms were built on hosts of their own."""
    platforms: tuple[str, ...] = ()
    """What the image is for."""


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    """The one field that says how to read the others."""

    format: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    format: int = FORMAT
    status: Literal["success", "failed"]
    exit_code: int
    error: str | msgspec.UnsetType = msgspec.UNSET
    images: tuple[ImageResult, ...]
    processes: Processes
    env: Mapping[str, str | None] = {}
    formation: tuple[Formation, ...] = ()
    scripts: tuple[Script, ...] = ()
    addons: tuple[Addon, ...] = ()
    build_time: int
    """Seconds, rounded."""
    language: str | None
    timestamp: str
    custom: object = msgspec.UNSET
    """What `$CUSTOM_DATA` says, as it is."""
    shell: bool = msgspec.field(default=True, name="_shell")
    apps: tuple[AppResult, ...]


def result(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    *,
    exit_code: int,
    seconds: float,
    timestamp: str,
    error: str | None = None,
    custom: object = None,
) -> Result:
    """Fold a run into the document.

    Args:
        plan: what was to be built.
        outcomes: by the app's name; an app without one was not started.
        exit_code: of the run.
        seconds: how long the run took.
        timestamp: the run's end, ISO 8601 in UTC.
        error: why the run ended, when it was no app's fault.
        custom: what whoever reads it shall find there again; None: nothing.
    """
    apps = tuple(_app(app, outcomes.get(app.app.name)) for app in plan.apps)
    failures = [f"{app.name}: {app.error.message}" for app in apps if app.error is not None]
    if error is not None:
        failures.insert(0, error)
    if exit_code != 0 and not failures:
        failures.append(INTERRUPTED)
    alone = plan.apps[0].build if len(plan.apps) == 1 else None
    said = release(alone)
    return Result(
        status="success" if exit_code == 0 else "failed",
        exit_code=exit_code,
        error="; ".join(failures) if exit_code != 0 else msgspec.UNSET,
        images=tuple(
            ImageResult(name=f"{app.repository}:{app.tags[0]}", ports=(f"{app.build.port}/tcp",))
            for app in plan.apps
            if isinstance(outcomes.get(app.app.name), AppCompleted)
        ),
        processes=_processes(alone) if alone else Processes(),
        env=said.env,
        formation=said.formation,
        scripts=said.scripts,
        addons=said.addons,
        shell=alone.shell if alone else True,
        build_time=round(seconds),
        language=alone.language if alone else None,
        timestamp=timestamp,
        custom=msgspec.UNSET if custom is None else custom,
        apps=apps,
    )


def encode(document: Result) -> bytes:
    """The document as it is written: JSON, indented."""
    return msgspec.json.format(inert(msgspec.json.encode(document).decode()).encode(), indent=2) + b"\n"


def write(path: Path, document: Result) -> None:
    """Write the document: a file as one step.

    Raises:
        UsageError: it cannot be written there.
    """
    place.write(path, encode(document))


def read_published(path: Path) -> tuple[str, ...]:
    """The images that a run published, each as `repository@digest`, from its result file.

    Raises:
        UsageError: the file is none of ours, or nothing was published.
    """
    try:
        data = path.read_bytes()
        written = msgspec.json.decode(data, type=_Format).format
        if written != FORMAT:
            raise UsageError(
                f"{path}: has the format {written}; only {FORMAT} is understood here",
                hint="Use the release of fleetpacks that wrote it, or one that is newer.",
            )
        document = msgspec.json.decode(data, type=Result)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="Name the run's result file.") from error
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{path}: is no result file of fleetpacks: {error}", hint="Name the file which --result-file wrote."
        ) from error
    published = tuple(f"{app.image}@{app.digest}" for app in document.apps if app.digest and app.tags)
    if not published:
        raise UsageError(f"{path}: the run published nothing", hint="Build with --push first.")
    return published


def _app(plan: AppPlan, outcome: Outcome | None) -> AppResult:
    completed = outcome if isinstance(outcome, AppCompleted) else None
    failed = outcome if isinstance(outcome, AppFailed) else None
    ended = completed or failed
    said = release(plan.build)
    return AppResult(
        name=plan.app.name,
        path=text(plan.app.path),
        status="success" if completed else "failed" if failed else "cancelled",
        image=plan.repository,
        tags=completed.tags if completed else (),
        digest=completed.digest if completed else None,
        language=plan.build.language,
        version=plan.build.version.value if plan.build.version else None,
        processes=_processes(plan.build),
        env=said.env,
        formation=said.formation,
        scripts=said.scripts,
        addons=said.addons,
        seconds=ended.seconds if ended else None,
        steps=completed.steps if completed else None,
        cached=completed.cached if completed else None,
        error=_error(failed) if failed else None,
        skipped=bool(completed and completed.skipped),
        revision=completed.revision if completed else None,
        parts=completed.parts if completed else (),
        platforms=completed.platforms if completed else (),
    )


def _error(failed: AppFailed) -> AppError:
    return AppError(
        kind=failed.kind,
        message=failed.message,
        hint=failed.hint,
        transient=failed.transient,
        file=failed.file,
        line=failed.line,
        command=failed.command,
        exit_code=failed.exit_code,
    )


def _processes(build: AppBuild) -> Processes:
    def first(name: str) -> Process | None:
        return next((process for process in build.processes if process.name == name), None)

    web, release = first("web"), first("release")
    # An app that serves nobody is started as what it is.
    works = web is None and any(process.command == build.start_command for process in build.processes)
    return Processes(
        web=web.command if web else (None if works else build.start_command) or msgspec.UNSET,
        release=release.command if release else msgspec.UNSET,
        workers=tuple(
            Worker(name=process.name, command=process.command)
            for process in build.processes
            if process.name not in {"web", "release"}
        ),
    )
