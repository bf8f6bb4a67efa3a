"""Keys of TOML that no person writes, found before the file is parsed.

The parser's work grows with the square of a dotted key's parts, and with every one of them again for each key below:
a few kilobytes of `a.a.a. ... = 1` would keep it busy for minutes. One linear look tells such files from all others.
"""

import re
from functools import cache
from typing import Final

MAX_PARTS: Final = 12
"""Parts of one key or table name; the deepest that tools define have six or seven."""

HINT: Final = f"A key may have up to {MAX_PARTS} parts divided by dots: shorten it."

_PART: Final = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\[^\n])*+"|'[^'\n]*+')"""
_DOT: Final = r"[ \t]*+\.[ \t]*+"
_PATTERN: Final = (
    # A string of several lines may end in two quotes of its own.
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*+(?:"{3,5}+|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}+|\Z)"
    r"|#[^\n]*+"
    rf"|(?P<deep>{_PART}(?:{_DOT}{_PART}){{{MAX_PARTS},}}+)"
    rf"|{_PART}(?:{_DOT}{_PART})*+"
)


def too_deep(text: str) -> int | None:
    """The line, counted from 1, of the first key or table name with more than `MAX_PARTS` parts; None without one."""
    # Most files end here: dots are many on a line only where versions or host names are listed.
    if not any(line.count(".") >= MAX_PARTS for line in text.split("\n")):
        return None
    for found in _pattern().finditer(text):
        if found["deep"] is not None:
            return text.count("\n", 0, found.start()) + 1
    return None


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(_PATTERN)
