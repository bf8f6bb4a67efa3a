"""Which version an app asks for: statements in order, ranges, and what becomes an image tag.

A language reads its sources in their order, makes a statement of each, and resolves them::

    stated = [versions.npm(text, source=".nvmrc", file=".nvmrc"), ...]
    stated += versions.tool_files(files, ("nodejs", "node"), versions.npm)
    version, warnings = versions.resolve(stated, settings=settings, table="nodejs", default="22.16.0", line=1)

Parsers, all `(text, *, source, file=None) -> Statement`: `npm`, `ruby`, `composer`, `elixir` and `poetry` here, and
`specifiers.pep440`; `exact` takes a `hint` besides, `sdk` global.json's policy. The first statement wins. Where it is a
range, those behind it choose inside: a pin there decides, and another range narrows it. What contradicts is a warning
that quotes both.

An exact version (`22.16.0`) and a line (`22`, `3.12`) are kept as written, known or not. A range becomes the newest
known release inside: that is what every package manager takes of a range, and so what its author has tried, or will.
The default counts only where nothing is said, or `*`. Where no known release lies inside (`>=30`), the range itself
knows one: its lower bound, shortened to a line (`30`) when all of that line is inside. Else it is an error that names
file and text. What comes out is digits and dots, with an optional `rc1`, `-beta.2` or the like: a legal tag, always.

All of that is a choice, which other releases would change. It is noted, and one that was made before
(`Settings.locked`) is kept as long as it lies inside.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from langs import documents, ranges, releases, spans, statements
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Choice, Releases, Settings, Version
from langs.ranges import composer, elixir, npm, poetry, ruby, sdk
from langs.spans import Release, Span, Spans
from langs.statements import Statement, exact, not_understood, ranged, release

__all__ = [
    "Release",
    "Statement",
    "composer",
    "elixir",
    "exact",
    "known",
    "not_understood",
    "npm",
    "poetry",
    "release",
    "resolve",
    "ruby",
    "sdk",
    "tool_files",
]


_DEFAULT: Final = "default"
_NUMBERS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}"


class _MiseTool(msgspec.Struct):
    version: str | None = None


class _MiseEntry(msgspec.Struct):
    stated: str | _MiseTool | list[str | _MiseTool] | None


class _Mise(msgspec.Struct):
    tools: dict[str, object] = {}


def resolve(
    stated: Sequence[Statement], *, settings: Settings, table: str, default: str, line: int
) -> tuple[Version, tuple[str, ...]]:
    """The version to use and what there is to warn of.

    Args:
        stated: what the sources say, in their order; the first wins, and what lies inside of it decides.
        settings: of the app: they hold the tables that the operator refreshed.
        table: whose releases to choose from: a name in releases.toml, as a rule the language's.
        default: what to use when nothing is said.
        line: how many numbers name a release line whose releases are compatible: 1 for Node, 2 for Python and Go.

    Raises:
        LangError: no tag is known to lie in the stated range.
    """
    candidates = known(settings, table)
    agreed = _agreed(stated, candidates) if stated else ranged("", spans.ALL, source=_DEFAULT, free=True)
    chosen = agreed.exact is None or agreed.moving
    kept = _kept(settings.locked.get(table), agreed, candidates, default) if chosen else None
    value = kept or agreed.exact
    best = _nearest(agreed, candidates, default) if agreed.near else _newest(agreed, candidates)
    value = value or (default if agreed.free else best or _bound(agreed, line))
    if value is None:
        raise LangError(
            f"no version is known to satisfy {agreed.text.strip()[:80]!r} of {agreed.source}",
            file=agreed.file,
            hint=f"State a lower bound or one version there, such as {default}.",
        )
    if chosen and value and settings.chosen is not None:
        settings.chosen[table] = Choice(tool=table, value=value, source=agreed.source, locked=kept is not None)
    means = statements.span_of(value)
    warnings = tuple(
        f"{_quoted(agreed, value)}; {other.source} asks for {_written(other)}, which does not allow it; "
        f"{agreed.source} wins"
        for other in stated
        if not any(span.overlaps(means) for span in other.spans)
    )
    return Version(value=value, source=agreed.source), warnings


def _kept(locked: str | None, agreed: Statement, candidates: Releases, default: str) -> str | None:
    """What was chosen before, where it still may be; it was written by others, and may be anything."""
    if locked is None or re.fullmatch(_NUMBERS, locked, re.ASCII) is None:
        return None
    # Of Java, say, there are releases of one number, and nobody reckons with three.
    lengths = (*map(len, candidates.newest_first), default.count(".") + 1)
    if locked.count(".") + 1 > max(lengths):
        return None
    if agreed.free or agreed.moving:
        return locked
    means = statements.span_of(locked)
    return locked if any(span.overlaps(means) for span in agreed.spans) else None


def _agreed(stated: Sequence[Statement], from_: Releases) -> Statement:
    """The first statement, made narrower by those behind it that allow something of it."""
    agreed, *others = stated
    for other in others:
        if agreed.exact is not None or _is_newest(agreed):
            break
        common = spans.both(agreed.spans, other.spans)
        if other.free or _is_newest(other) or not common:
            continue
        inside = all(_is_inside(span, agreed.spans) for span in other.spans)
        narrower = (
            other
            if inside
            else Statement(
                source=f"{agreed.source} and {other.source}",
                text=f"{agreed.text.strip()}, {other.text.strip()}",
                file=agreed.file,
                spans=common,
            )
        )
        wider = all(_is_inside(span, other.spans) for span in agreed.spans)
        if not wider and (narrower.exact is not None or _newest(narrower, from_) is not None):
            agreed = narrower
    return agreed


def _is_newest(statement: Statement) -> bool:
    """Whether it asks for the newest release, as `latest` does, and leaves no choice to others."""
    return statement.spans == spans.ALL and not statement.free


def _quoted(statement: Statement, value: str) -> str:
    written = _written(statement)
    return f"{statement.source} asks for {written}" + ("" if written == value else f", which became {value}")


def _written(statement: Statement) -> str:
    text = " ".join(statement.text.split())[:80]
    return text if text == statement.exact else f"`{text}`"


def known(settings: Settings, table: str) -> Releases:
    """The newer of what ships and of what the operator refreshed."""
    refreshed = settings.releases.get(table)
    ours = releases.shipped(table)
    return ours if refreshed is None or refreshed.read < ours.read else refreshed


def tool_files(files: AppFiles, names: tuple[str, ...], parse: Callable[..., Statement]) -> Iterable[Statement]:
    """What `.tool-versions` (asdf) and `mise.toml` say of the tool that goes by one of `names`.

    Raises:
        LangError: a file or its word on this tool cannot be understood.
    """
    text = files.read_text(".tool-versions")
    if text is not None:
        for line in text.split("\n"):
            words = line.partition("#")[0].split()
            # `system` leaves the choice to the machine: it states nothing.
            if len(words) > 1 and words[0] in names and words[1] != "system":
                yield parse(words[1], source=".tool-versions", file=".tool-versions")
                break
    file = files.first("mise.toml", ".mise.toml", ".config/mise.toml")
    if file is not None:
        tools = documents.toml_as(files.read_text(file) or "", _Mise, file).tools
        stated = next((tools[name] for name in names if name in tools), None)
        text = _mise_version(stated, file)
        if text is not None:
            yield parse(text, source=file, file=file)


def _mise_version(stated: object, file: str) -> str | None:
    try:
        tool = msgspec.convert({"stated": stated}, type=_MiseEntry).stated
    except msgspec.ValidationError as error:
        hint = 'Write one version as a string, such as "3".'
        raise not_understood(repr(stated), source=file, file=file, hint=hint) from error
    first = next(iter(tool), None) if isinstance(tool, list) else tool
    return first.version if isinstance(first, _MiseTool) else first


def _newest(statement: Statement, from_: Releases) -> str | None:
    inside = (found for found in from_.newest_first if any(span.contains(found) for span in statement.spans))
    newest = next(inside, None)
    return None if newest is None else spans.text(newest)


def _nearest(statement: Statement, from_: Releases, default: str) -> str | None:
    """The newest release of the line nearest to the default: its own, then long-term ones, the later ones first."""
    own = statements.release(default)[:1]
    named = frozenset(from_.names.values())

    def far(line: Release) -> tuple[bool, bool, bool, int]:
        return line != own, line not in named, line < own, abs(line[0] - own[0])

    for line in sorted({numbers[:1] for numbers in from_.newest_first}, key=far):
        inside = spans.both(statement.spans, (spans.line(line),))
        found = _newest(msgspec.structs.replace(statement, spans=inside), from_)
        if found is not None:
            return found
    return None


def _bound(statement: Statement, line: int) -> str | None:
    """The lower bound of the newest span that has one: the one release that is inside for certain."""
    bounded = [span for span in statement.spans if span.lower is not None]
    span = max(bounded, key=lambda span: spans.key(span.lower or ()), default=None)
    if span is None or span.lower is None:
        return None
    whole = ranges.padded(span.lower)
    for length in range(min(line, len(span.lower)), len(whole)):
        short = whole[:length]
        # Nothing but zeros may be cut off, and all of the line must be inside.
        if spans.key(short) == spans.key(whole) and _is_inside(spans.line(short), (span,)):
            return spans.text(short)
    return spans.text(whole)


def _is_inside(span: Span, allowed: Spans) -> bool:
    """Whether one of `allowed` holds all of `span`."""
    return any(all(spans.intersect(span, beside).empty for beside in spans.outside(outer)) for outer in allowed)
