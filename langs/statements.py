"""What one source says of a version: as written, and what it allows."""

import re
from typing import Final

import msgspec

from langs import spans
from langs.errors import LangError
from langs.spans import Release, Span, Spans

_NUMBERS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}"
_PRE: Final = r"[.-]?(?:alpha|beta|preview|pre|rc|a|b|m)[.-]?[0-9]{1,6}"
_EXACT: Final = re.compile(rf"[vV]?({_NUMBERS})((?i:{_PRE}))?", re.ASCII)
_LONGEST: Final = 500
"""Characters of a statement; the longest real ones have a hundred."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says: an exact version or line as written, or else a set of releases, any of which will do."""

    source: str
    """For people: `.nvmrc`, `package.json engines.node`."""
    text: str
    """As written, for messages."""
    file: str | None = None
    exact: str | None = None
    spans: Spans = ()
    """What is allowed; of an exact version, itself."""
    free: bool = False
    """Whether it leaves the choice to us, as `*` does."""
    moving: bool = False
    """Whether it is a word that means another version later, as `stable` does; `exact` is what it means now."""
    near: bool = False
    """Whether of several release lines the one nearest to the default is meant, not the newest."""


def exact(text: str, *, source: str, hint: str, file: str | None = None) -> Statement:
    """A statement of one version or line, such as `22.16.0`, `v20.11.0`, `3.12`, `1.25rc1` or `3.4.0-preview1`.

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
    return Statement(
        source=source, text=text, file=file, exact=match[1] + (match[2] or ""), spans=(spans.line(release(match[1])),)
    )


def ranged(text: str, allowed: Spans, *, source: str, file: str | None = None, free: bool = False) -> Statement:
    """A statement of a set of releases."""
    return Statement(source=source, text=text, file=file, spans=allowed, free=free)


def too_long(text: str) -> bool:
    """Whether no person writes so long a statement; what is shorter is parsed in no time."""
    return len(text) > _LONGEST


def release(text: str) -> Release:
    """The numbers of a version: `3.12` is (3, 12)."""
    return tuple(int(part) for part in text.split("."))


def span_of(value: str) -> Span:
    """The releases that a tag stands for: `3.12` all of its line, `3.12.8` and `3.14.0rc1` one."""
    match = _EXACT.fullmatch(value)
    return spans.line(release(match[1])) if match else Span()


def not_understood(text: str, *, source: str, hint: str, file: str | None) -> LangError:
    """The error for a statement in no syntax that its language knows."""
    return LangError(f"the version {text.strip()[:80]!r} of {source} is not understood", file=file, hint=hint)
