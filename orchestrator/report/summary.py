"""A run as Markdown, appended to the summary of a CI job.

All of it is escaped: an app's name or an error's text is never markup.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from orchestrator.events import AppCancelled, AppCompleted, AppFailed
from orchestrator.model import Plan
from orchestrator.text import short

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_LONGEST = 300
"""Characters of an error's text."""
_LIMIT = 512 * 1024
"""Bytes in all: GitHub takes 1 MiB from all commands of a step, or nothing."""

Outcome = AppCompleted | AppFailed | AppCancelled


def markdown(plan: Plan, outcomes: Mapping[str, Outcome], *, error: str | None) -> str:
    """A table of apps with result, image, digest, cached steps and time.

    Args:
        plan: the run's.
        outcomes: by app, as far as there are any.
        error: why the run ended before its apps, if it did.
    """
    ended = [outcomes.get(each.app.name) for each in plan.apps]
    succeeded = sum(isinstance(each, AppCompleted) for each in ended)
    failed = sum(isinstance(each, AppFailed) for each in ended)
    text = f"### fleetpacks: {succeeded} succeeded, {failed} failed, {len(ended) - succeeded - failed} not built\n\n"
    if error is not None:
        text += f"{_plain(error)}\n\n"
    text += "| app | result | image | digest | cached | time |\n|---|---|---|---|---|---|\n"
    rows: list[str] = []
    size = 0
    for each, outcome in zip(plan.apps, ended, strict=True):
        row = f"| {' | '.join(_plain(cell) for cell in (each.app.name, *_cells(outcome, each.repository)))} |\n"
        size += len(row.encode(errors="backslashreplace"))
        if size > _LIMIT:
            rows.append(f"\nand {len(ended) - len(rows)} more\n")
            break
        rows.append(row)
    return f"{text}{''.join(rows)}\n"


def append(path: Path, text: str) -> None:
    """Add to a summary.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def _cells(outcome: Outcome | None, repository: str) -> tuple[str, str, str, str, str]:
    match outcome:
        case AppCompleted():
            return (
                _done(outcome),
                " ".join(outcome.tags) or repository,
                outcome.digest or "",
                "" if outcome.skipped else f"{outcome.cached}/{outcome.steps}",
                f"{outcome.seconds:.1f} s",
            )
        case AppFailed():
            return f"failed: {outcome.message}", repository, "", "", f"{outcome.seconds:.1f} s"
        case AppCancelled():
            return f"cancelled ({outcome.reason})", repository, "", "", ""
        case None:
            return "not built", repository, "", "", ""


def _done(outcome: AppCompleted) -> str:
    if not outcome.skipped:
        return "done"
    return f"skipped, unchanged since {short(outcome.revision)}" if outcome.revision else "skipped, unchanged"


def _plain(text: str) -> str:
    """Text that is nothing but text, on one line."""
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return _PUNCTUATION.sub(r"\\\1", text)
