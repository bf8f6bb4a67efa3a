"""Sets of releases as spans of numbers: what a range means, without the syntax it is written in.

A release is a tuple of numbers of any length; trailing zeros mean nothing, so that 22, 22.0 and 22.0.0 are one. A set
is a tuple of spans, any of which may hold a release: an alternative adds spans, a conjunction intersects sets.
"""

from typing import Final, TypeAlias

import msgspec

Release: TypeAlias = tuple[int, ...]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The releases from `lower` (included) up to `upper` (excluded); None is no bound."""

    lower: Release | None = None
    upper: Release | None = None

    def contains(self, release: Release) -> bool:
        """Whether `release` lies inside."""
        at = key(release)
        return (self.lower is None or at >= key(self.lower)) and (self.upper is None or at < key(self.upper))

    def overlaps(self, other: "Span") -> bool:
        """Whether some release can lie in both."""
        return not intersect(self, other).empty

    @property
    def empty(self) -> bool:
        """Whether no release can lie inside."""
        return self.upper is not None and key(self.lower or ()) >= key(self.upper)


Spans: TypeAlias = tuple[Span, ...]

ALL: Final[Spans] = (Span(),)


def key(release: Release) -> Release:
    """What a release is compared by: its numbers without trailing zeros."""
    end = len(release)
    while end and not release[end - 1]:
        end -= 1
    return release[:end]


def intersect(one: Span, other: Span) -> Span:
    """The releases in both; the result may be empty."""
    lowers = [span.lower for span in (one, other) if span.lower is not None]
    uppers = [span.upper for span in (one, other) if span.upper is not None]
    return Span(lower=max(lowers, key=key, default=None), upper=min(uppers, key=key, default=None))


def both(one: Spans, other: Spans) -> Spans:
    """The releases in both sets."""
    found = (intersect(left, right) for left in one for right in other)
    return tuple(span for span in found if not span.empty)


def line(numbers: Release) -> Span:
    """The releases that begin with `numbers`; of none, all of them."""
    return Span(lower=numbers, upper=after(numbers)) if numbers else Span()


def outside(span: Span) -> Spans:
    """All releases but those of `span`."""
    below = () if span.lower is None else (Span(upper=span.lower),)
    above = () if span.upper is None else (Span(lower=span.upper),)
    return (*below, *above)


def after(numbers: Release) -> Release:
    """The first release after all those that begin with `numbers`: (3, 12) gives (3, 13)."""
    return (*numbers[:-1], numbers[-1] + 1)


def text(numbers: Release) -> str:
    """(3, 12) is `3.12`."""
    return ".".join(map(str, numbers))
