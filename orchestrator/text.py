"""Foreign text made fit for a screen, and figures made fit for people.

Names and output of a build are untrusted: what a terminal would obey, or what would make a line look like another one,
is left out.
"""

import unicodedata

_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) != "\t"}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that take no place, or take another than they seem to: bidirectional marks, line separators,
halves of surrogate pairs."""
_DELETE = "\x7f"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_ROUNDS_UP = 999.95
_MINUTE = 60
_HOUR = 3600
_SECONDS = {"s": 1, "m": _MINUTE, "h": _HOUR, "d": 24 * _HOUR}
_LONGEST_AMOUNT = 9
_REVISION = 12

DIRTY = "-dirty"
"""Behind a revision: of files that differ from it (as buildx marks them, and `git describe --dirty`)."""


def printable(text: str) -> str:
    """Text without the characters that a terminal would obey."""
    return text.translate(_CONTROLS)


def inert(document: str) -> str:
    """JSON with an escape for every character that is not seen: the same document, fit for a terminal; on one line.

    GitHub's runner would obey `##[name]` anywhere in a line: there, an escape stands for the second character.
    """
    document = document.replace("##[", "#\\u0023[")
    # Of ASCII, JSON itself escapes all the others.
    if (document.isascii() and _DELETE not in document) or document.isprintable():
        return document
    return "".join(character if character.isprintable() else _escaped(character) for character in document)


def _escaped(character: str) -> str:
    raw = character.encode("utf-16-be")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))


def inline(text: str, limit: int) -> str:
    """The beginning of a text as a part of one line: at most `limit` characters, all of which can be seen."""
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if character in "\t\n\r" else "" if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )


def indented(text: str) -> str:
    """A text of several lines to be written behind a word: all but the first line are indented."""
    return "\n  ".join([printable(line) for line in text.splitlines()] or [""])


def size(count: int) -> str:
    """Bytes in decimal units, as registries and BuildKit count: `12.3 MB`."""
    amount, units = float(count), iter(_UNITS)
    unit = next(units)
    while amount >= _ROUNDS_UP and (larger := next(units, None)):
        amount, unit = amount / 1000, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def short(revision: str) -> str:
    """The beginning of a revision, as people call it; marked where the files were others."""
    commit = revision.removesuffix(DIRTY)
    return commit[:_REVISION] + revision[len(commit) :]


def parse_duration(text: str) -> float | None:
    """`90m`, `168h`, `7d`, `0s` in seconds; None when it is nothing of the kind."""
    amount, unit = text[:-1], text[-1:]
    if unit not in _SECONDS or not (amount.isascii() and amount.isdigit()) or len(amount) > _LONGEST_AMOUNT:
        return None
    return float(int(amount) * _SECONDS[unit])


def is_too_long(text: str) -> bool:
    """Whether it would be a duration, of more digits than are read."""
    amount = text[:-1]
    return len(amount) > _LONGEST_AMOUNT and amount.isascii() and amount.isdigit() and text[-1] in _SECONDS


def parse_size(text: str) -> int | None:
    """`500MB`, `20GB`, `1 TB` in bytes, in decimal units; None when it is nothing of the kind."""
    amount = text.rstrip("BkMGTPE").rstrip()
    unit = text[len(amount) :].strip()
    if unit not in _UNITS or not (amount.isascii() and amount.isdigit()) or len(amount) > _LONGEST_AMOUNT:
        return None
    return int(f"{amount}{'000' * _UNITS.index(unit)}")


def duration(seconds: float) -> str:
    """Whole seconds: `7s`, `2m07s`, `1h02m`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
