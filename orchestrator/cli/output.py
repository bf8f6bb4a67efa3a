"""What commands print: JSON lines with a format number, and plain aligned text."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from langs.model import AppBuild, Detection
from orchestrator.cli.lines import fit
from orchestrator.model import App, AppPlan
from orchestrator.report.release import release
from orchestrator.text import inert
from orchestrator.workspace.files import printable, text

if TYPE_CHECKING:
    from orchestrator.schedule.placement import Placed

FORMAT = 1
"""Raised when a field vanishes or changes its meaning; new fields may appear at any time."""


def write_json(document: Mapping[str, Any]) -> None:
    """One document, one line."""
    sys.stdout.write(inert(msgspec.json.encode({"format": FORMAT, **document}).decode()) + "\n")


def write_table(rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, two blanks between them, none at a line's end."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(fit("  ".join(cells).rstrip()) + "\n")


def detected(path: str, detection: Detection | None, build: AppBuild | None) -> dict[str, Any]:
    """A directory, as `detect --json` shows it."""
    version = build.version if build else None
    runtime = build.runtime_version if build else None
    evidence = detection.evidence if detection else ()
    return {
        "path": text(path),
        "language": detection.language if detection else None,
        "version": {"value": version.value, "source": version.source} if version else None,
        "runtime_version": {"value": runtime.value, "source": runtime.source} if runtime else None,
        "package_manager": detection.package_manager if detection else None,
        "start_command": build.start_command if build else None,
        "evidence": [{"file": text(each.file), "reason": each.reason} for each in evidence],
        "considered": detection.considered if detection else (),
    }


def version_of(build: AppBuild, *, more: str = "") -> str:
    """The version of an app's language, for people; of what is files alone, that of the language that makes them.

    Args:
        build: the app's.
        more: what else is said of where it is from.
    """
    part = build.front_end
    if build.version is not None:
        return f"{build.version.value} ({build.version.source}{more})"
    return f"{part.language} {part.version.value} ({part.version.source})" if part and part.version else ""


def found(app: App) -> dict[str, Any]:
    """An app, as `apps --json` shows it."""
    return {
        "path": text(app.path),
        "name": app.name,
        "language": app.detection.language,
        "depends_on": app.depends_on,
        "packages": [text(package) for package in app.packages],
    }


def planned(plan: AppPlan, *, host: str | None, placed: "Sequence[Placed]" = ()) -> dict[str, Any]:
    """An app's plan, as `plan --json` shows it.

    Args:
        plan: the app's.
        host: the only builder; None when a build looks for the well-known sockets.
        placed: where it would go, of several; each platform, where they have hosts of their own.
    """
    return {
        **detected(plan.app.path, plan.app.detection, plan.build),
        **found(plan.app),
        "chosen": plan.build.chosen,
        "image": f"{plan.repository}:{plan.tags[0]}",
        "tags": plan.tags,
        "dockerfile": plan.build.dockerfile,
        "cache": plan.build.cache,
        "processes": {process.name: process.command for process in plan.build.processes},
        "platforms": plan.build.platforms,
        "apt": plan.build.apt,
        "apt_run": plan.build.apt_run,
        "needs": [{"file": text(each.file), "reason": each.reason} for each in plan.build.needs],
        "healthcheck": plan.build.healthcheck,
        "release": release(plan.build),
        "host": placed[0].host if placed else host,
        "placed": {"reason": placed[0].reason, "warm": placed[0].warm} if placed else None,
        "parts": [
            {"platform": each.job.platform, "host": each.host, "reason": each.reason, "warm": each.warm}
            for each in placed[len(placed) == 1 :]
        ],
        "reason": plan.reason,
        "warnings": plan.build.warnings,
    }
