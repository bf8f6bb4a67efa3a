r"""Which version an app asks for: statements in order, ranges, and what becomes an image tag.

Sources state a version as an exact one (`22.16.0`), a line (`22`, `3.12`) or a range (`>=18`, `^20.1`, `>=3.11,<3.14`).
The first statement wins and the others are only compared with it. Without a table of releases, a range becomes a tag
by one rule, which never leaves the range:

1. the default version when the range contains it;
2. else the release line of the lower bound (`^20.1` is `20`, `>=3.13` is `3.13`) when all newer releases of that line
   are inside;
3. else the lower bound itself (`>=18.5.0 <18.9.0` is `18.5.0`);
4. else an error that names file and text.

Exact versions and lines are kept as written. A tag is digits and dots, with an optional `rc1`, `b2` or the like.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from langs import documents
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Version

Release: TypeAlias = tuple[int, ...]

_EXACT: Final = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,2})((?:rc|beta|alpha|a|b)\d{1,4})?", re.ASCII)
_PARTIAL: Final = re.compile(r"v?(\d{1,9}(?:\.(?:\d{1,9}|[xX*])){0,2})", re.ASCII)
_COMPARATOR: Final = re.compile(r"(>=|<=|>|<|=|\^|~>|~)?\s*(v?[0-9][0-9.xX*]*)")
_NPM_HINT: Final = "Write an exact version such as 22.16.0, a line such as 22, or a range such as >=18."
_ANY: Final = frozenset({"*", "x", "X", "latest", "lts", "lts/*", "node", "stable", "current"})
_NODE_LINES: Final = {
    "argon": "4",
    "boron": "6",
    "carbon": "8",
    "dubnium": "10",
    "erbium": "12",
    "fermium": "14",
    "gallium": "16",
    "hydrogen": "18",
    "iron": "20",
    "jod": "22",
    "krypton": "24",
}
"""Names of Node's long-term lines, from the schedule of nodejs/Release."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The releases from `lower` (included) up to `upper` (excluded); None is no bound."""

    lower: Release | None = None
    upper: Release | None = None

    def contains(self, release: Release) -> bool:
        """Whether `release` lies inside."""
        full = _full(release)
        return (self.lower is None or full >= _full(self.lower)) and (self.upper is None or full < _full(self.upper))

    def overlaps(self, other: "Span") -> bool:
        """Whether some release can lie in both."""
        meets = (self.upper, other.lower), (other.upper, self.lower)
        return all(upper is None or lower is None or _full(lower) < _full(upper) for upper, lower in meets)


class _MiseTool(msgspec.Struct):
    version: str | None = None


class _MiseEntry(msgspec.Struct):
    stated: str | _MiseTool | list[str | _MiseTool] | None


class _Mise(msgspec.Struct):
    tools: dict[str, object] = {}


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says: an exact version or line as written, or else a range of spans, any of which will do."""

    source: str
    text: str
    """As written, for messages."""
    file: str | None = None
    exact: str | None = None
    spans: tuple[Span, ...] = ()


def resolve(statements: Sequence[Statement], *, default: str, line: int) -> tuple[Version, tuple[str, ...]]:
    """The version to use and what there is to warn of.

    Args:
        statements: what the sources say, in their order; the first wins.
        default: what to use when nothing is said, and the preferred release of a range.
        line: how many numbers name a release line whose releases are compatible: 1 for Node, 2 for Python and Go.

    Raises:
        LangError: no tag is known to lie in the stated range.
    """
    if not statements:
        return Version(value=default, source="default"), ()
    first, *others = statements
    value = first.exact or _choose(first, default, line)
    chosen = _span_of(value)
    warnings = tuple(
        f"{first.source} asks for {value}, which {other.source} does not allow; {first.source} wins"
        for other in others
        if not any(span.overlaps(chosen) for span in other.spans)
    )
    return Version(value=value, source=first.source), warnings


def exact(text: str, *, source: str, hint: str, file: str | None = None) -> Statement:
    """A statement of one version or line, such as `22.16.0`, `v20.11.0`, `3.12` or `1.25rc1`.

    Args:
        text: what is stated.
        source: where, for people.
        hint: what could stand there instead.
        file: the file of the app, if it stands in one.

    Raises:
        LangError: it is something else.
    """
    match = _EXACT.fullmatch(text.strip())
    if match is None:
        raise not_understood(text, source=source, file=file, hint=hint)
    value = match[1] + (match[2] or "")
    return Statement(source=source, text=text, file=file, exact=value, spans=(_span_of(value),))


def npm(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of npm's semver ranges, with `lts/iron`, `lts/*` and `node` of nvm.

    Raises:
        LangError: it cannot be understood.
    """
    text = text.strip()
    name = text.lower().removeprefix("lts/")
    if name in _NODE_LINES:
        return exact(_NODE_LINES[name], source=source, file=file, hint=_NPM_HINT)
    if text in _ANY or not text:
        return Statement(source=source, text=text, file=file, spans=(Span(),))
    if _EXACT.fullmatch(text):
        return exact(text, source=source, file=file, hint=_NPM_HINT)
    spans: list[Span] = []
    for alternative in text.split("||"):
        span = _npm_span(alternative.strip())
        if span is None:
            raise not_understood(text, source=source, file=file, hint=_NPM_HINT)
        spans.append(span)
    return Statement(source=source, text=text, file=file, spans=tuple(spans))


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
    file = files.first("mise.toml", ".mise.toml")
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


def release(text: str) -> Release:
    """The numbers of a version: `3.12` is (3, 12)."""
    return tuple(int(part) for part in text.split("."))


def _choose(statement: Statement, default: str, line: int) -> str:
    if any(span.contains(release(default)) for span in statement.spans):
        return default
    for span in sorted(statement.spans, key=lambda span: _full(span.lower or ()), reverse=True):
        if span.lower is None or not span.overlaps(span):
            continue
        lower = span.lower[:line]
        if len(lower) == line and (span.upper is None or _full(span.upper) >= _full(_next(lower))):
            return _text(lower)
        return _text(span.lower)
    raise LangError(
        f"no version is known to satisfy {statement.text.strip()[:80]!r} of {statement.source}",
        file=statement.file,
        hint=f"State a lower bound or one version there, such as {default}.",
    )


def _npm_span(text: str) -> Span | None:
    """One alternative of an npm range: a hyphen range, or comparators that must all hold."""
    if text in _ANY or not text:
        return Span()
    low, hyphen, high = text.partition(" - ")
    if hyphen:
        if not _PARTIAL.fullmatch(low.strip()) or not _PARTIAL.fullmatch(high.strip()):
            return None
        return Span(lower=_numbers(low), upper=_next(_numbers(high)))
    span = Span()
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None or not _PARTIAL.fullmatch(match[2]):
            return None
        span = _intersect(span, _comparator_span(match[1] or "", _numbers(match[2])))
        position = match.end()
        rest = text[position:]
        position += len(rest) - len(rest.lstrip(" \t,"))
        if position < len(text) and position == match.end():
            return None
    return span


def _comparator_span(operator: str, numbers: Release) -> Span:
    # The first number that is not zero may not change; `^0` may change nothing but what it leaves open.
    significant = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    spans = {
        ">=": Span(lower=numbers),
        ">": Span(lower=_next(numbers)),
        "<": Span(upper=numbers),
        "<=": Span(upper=_next(numbers)),
        "^": Span(lower=numbers, upper=_next(numbers[: significant + 1])),
        "~": Span(lower=numbers, upper=_next(numbers[:2])),
        "~>": Span(lower=numbers, upper=_next(numbers[:2])),
    }
    return spans.get(operator) or Span(lower=numbers, upper=_next(numbers))


def _intersect(one: Span, other: Span) -> Span:
    lowers = [span.lower for span in (one, other) if span.lower is not None]
    uppers = [span.upper for span in (one, other) if span.upper is not None]
    return Span(lower=max(lowers, key=_full, default=None), upper=min(uppers, key=_full, default=None))


def _numbers(text: str) -> Release:
    numbers: list[int] = []
    for part in text.strip().removeprefix("v").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _span_of(value: str) -> Span:
    match = _EXACT.fullmatch(value)
    numbers = release(match[1]) if match else ()
    return Span(lower=numbers, upper=_next(numbers))


def _next(numbers: Release) -> Release:
    """The first release after all those that begin with `numbers`: (3, 12) gives (3, 13)."""
    return (*numbers[:-1], numbers[-1] + 1)


def _full(numbers: Release) -> Release:
    return (*numbers, 0, 0, 0)[:3]


def _text(numbers: Release) -> str:
    return ".".join(str(number) for number in numbers)


def not_understood(text: str, *, source: str, hint: str, file: str | None) -> LangError:
    """The error for a statement in no syntax that its language knows."""
    return LangError(f"the version {text.strip()[:80]!r} of {source} is not understood", file=file, hint=hint)
