"""Runs patternmatcher's expressions on a path, in linear time.

Ignore files come from the repository being built, and Python's `re` backtracks: a line such as `*a*a*a*a*a*b` would
hold the interpreter for minutes, and a session whose event loop stands still is declared dead. Go's engine is linear,
so is this one: the set of positions reached in a path is one integer, and each step of the expression moves all of them
at once.
"""

import re

from orchestrator.buildkit.session.regexp import (
    DOT,
    SLASH,
    Alternatives,
    Assertion,
    CharClass,
    Directories,
    Literal,
    One,
    Repeat,
    Star,
    Step,
)


class Subject:
    """A text to be matched by many expressions; what one finds out about its characters serves the others."""

    __slots__ = ("_end", "_masks", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._end = 1 << len(text)
        self._masks: dict[re.Pattern[str], int] = {}

    def places(self, finder: re.Pattern[str]) -> int:
        """Bit n is set where the finder finds something at character n."""
        mask = self._masks.get(finder)
        if mask is None:
            mask = 0
            for found in finder.finditer(self.text):
                mask |= 1 << found.start()
            self._masks[finder] = mask
        return mask

    def members(self, chars: CharClass) -> int:
        """Bit n is set where character n belongs to the class."""
        places = self.places(chars.finder)
        return (self._end - 1) ^ places if chars.negated else places

    def matches(self, alternatives: Alternatives) -> bool:
        """Whether one of the alternatives is found in the text; anchors are part of them."""
        text = self.text
        return any(
            text.startswith(begin) and text.endswith(end) and self._run(steps) for steps, begin, end in alternatives
        )

    def _run(self, steps: tuple[Step, ...]) -> bool:
        reached = (self._end << 1) - 1
        for step in steps:
            reached = self._advance(reached, step)
            if not reached:
                return False
        return True

    def _advance(self, reached: int, step: Step) -> int:
        match step:
            case Literal(text):
                return self._after_literal(reached, text)
            case One(chars):
                return (reached & self.members(chars)) << 1
            case Star(chars):
                return _spread(reached, self.members(chars))
            case Directories():
                return reached | (_spread(reached, self.members(DOT)) & self.members(SLASH)) << 1
            case Assertion(finder):
                return reached & self.places(finder)
            case Repeat():
                return self._repeat(reached, step)

    def _repeat(self, reached: int, repeat: Repeat) -> int:
        for _ in range(repeat.least):
            reached = self._advance(reached, repeat.step)
        frontier = reached
        # Each round moves by a character at least, or not at all.
        most = len(self.text) if repeat.most is None else repeat.most - repeat.least
        for _ in range(most):
            frontier = self._advance(frontier, repeat.step)
            if frontier | reached == reached:
                break
            reached |= frontier
        return reached

    def _after_literal(self, reached: int, literal: str) -> int:
        out = 0
        place = self.text.find(literal, (reached & -reached).bit_length() - 1)
        while place >= 0:
            if reached >> place & 1:
                out |= 1 << (place + len(literal))
            place = self.text.find(literal, place + 1)
        return out


def _spread(reached: int, members: int) -> int:
    """All places that can be reached by walking over members: an addition carries through each run of ones."""
    return reached | (((reached & members) + members) ^ members)
