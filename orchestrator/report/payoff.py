"""Whether layer caches pay: the time that writing them took against what reading them saved. Pure.

A builder says that a step was cached, and not where it was found. So a step counts as found in a layer cache when the
build has read one, and no record tells that the builder had the step before; by its id, which a builder keeps with its
own cache. What it saved is what the step took when it was executed last, wherever that was. What other machines save by
the same cache is in their records, and not known here.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from orchestrator.report.timeline import Step, TimedApp, Timeline

Verdict = Literal["pays", "costs", "unknown"]
_READ = "importing cache manifest from "
_WRITTEN = "exporting cache to "
"""The step of an export that is a part of the build."""
_STEPS = frozenset({"install", "build"})


class Payoff(msgspec.Struct, frozen=True, kw_only=True):
    """What layer caches cost and saved, in the runs of one source."""

    verdict: Verdict
    """`unknown`: no build of these runs has read a cache on a builder that did not have the steps itself, or what they
    take has never been seen here."""
    runs: int
    """Those that are known, this one among them."""
    written: int
    """Caches."""
    write_seconds: float
    read: int
    """Builds that found steps in a cache which their builder did not have."""
    read_seconds: float
    """Of these builds, for reading."""
    steps: int
    """What they found."""
    saved_seconds: float
    """How long those took when they were executed, as far as it is known."""
    unknown_steps: int
    """Those of them that were never executed in these runs."""


def payoff(runs: Iterable[Timeline]) -> Payoff | None:
    """What caches cost and saved.

    Args:
        runs: of one source, the oldest first.

    Returns:
        None when no cache was written or read.
    """
    count = written = read = steps = unknown = 0
    write_seconds = read_seconds = saved = 0.0
    took: dict[tuple[str, str], float] = {}
    there: set[tuple[str, str, str, str]] = set()
    for run in runs:
        count += 1
        for app in run.apps:
            exports = [step.end - step.start for step in app.steps if step.name.startswith(_WRITTEN)]
            exports += [app.cache.seconds] if app.cache is not None else []
            written += len(exports)
            write_seconds += sum(exports)
        # Before what was found: apps of one run share steps.
        for app in run.apps:
            for step in _own(app):
                if not step.cached:
                    took[app.path, step.name] = took["", step.step] = step.end - step.start
                    there |= _places(app, step)
        for app in run.apps:
            reading = [step for step in app.steps if step.name.startswith(_READ) and step.error is None]
            found = [step for step in _own(app) if step.cached and not _places(app, step) & there]
            there.update(*(_places(app, step) for step in _own(app)))
            if reading and found:
                read += 1
                read_seconds += sum(step.end - step.start for step in reading)
                steps += len(found)
                known = [seconds for step in found if (seconds := _seconds(app, step, took)) is not None]
                saved += sum(known)
                unknown += len(found) - len(known)
    if not written and not read:
        return None
    net = saved - read_seconds - write_seconds
    return Payoff(
        verdict="pays" if net > 0 else "unknown" if not read or unknown else "costs",
        runs=count,
        written=written,
        write_seconds=write_seconds,
        read=read,
        read_seconds=read_seconds,
        steps=steps,
        saved_seconds=saved,
        unknown_steps=unknown,
    )


def _own(app: TimedApp) -> list[Step]:
    """An app's instructions that ended well; one that went on after its end is there once."""
    ended = {step.step: step for step in app.steps if step.ended and step.error is None and step.kind in _STEPS}
    return list(ended.values())


def _places(app: TimedApp, step: Step) -> set[tuple[str, str, str, str]]:
    """A step on a builder: as the builder calls it, and as the app does, whose sources have other digests each time."""
    host = app.host or ""
    return {(host, app.worker, "", step.step), (host, app.worker, app.path, step.name)}


def _seconds(app: TimedApp, step: Step, took: Mapping[tuple[str, str], float]) -> float | None:
    return took.get(("", step.step), took.get((app.path, step.name)))
