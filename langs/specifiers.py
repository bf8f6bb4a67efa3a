"""PEP 440 specifiers as statements of a version, reduced to what `versions` knows.

`packaging` parses them, but for those of the plain forms that nearly all projects write: its import takes as long as to
plan ten apps.
"""

import re
from typing import Final

from langs import ranges, spans, statements
from langs.statements import Statement

_HINT: Final = "Write a Python version such as 3.12 or 3.12.8, or a range such as >=3.11,<3.14."
_NUMBERS: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})((?:a|b|rc)[0-9]{1,6})?", re.ASCII)
_PLAIN: Final = r"\s*(?:(<=?|>=?|!=)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})|(~=)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){1,3}))\s*"
"""A comparison of releases; where `==` stands, `packaging` knows what is the same version twice."""


def pep440(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of PEP 440 specifiers, or a plain version.

    `3.12` alone is the line, as `.python-version` means it; `==3.12` is 3.12.0, as PEP 440 does.

    Raises:
        LangError: it cannot be understood.
    """
    stated = text.strip()
    if stated in {"*", "latest", ""}:
        return ranges.poetry(stated, source=source, file=file)
    if not stated.startswith((">", "<", "=", "~", "!")):
        return statements.exact(stated, source=source, file=file, hint=_HINT)
    refusal = statements.not_understood(text, source=source, file=file, hint=_HINT)
    if statements.too_long(stated):
        raise refusal
    parsed = _parsed(stated)
    if parsed is None:
        raise refusal
    allowed = spans.ALL
    for operator, version in parsed:
        numbers = version.removesuffix(".*")
        match = _NUMBERS.fullmatch(numbers)
        if match is None or (match[2] and operator in {"==", "==="}):
            if len(parsed) == 1 and operator in {"==", "==="}:
                return statements.exact(numbers, source=source, file=file, hint=_HINT)
            raise refusal
        whole = version.endswith(".*")
        if len(parsed) == 1 and operator in {"==", "==="} and not whole:
            one = spans.text(ranges.padded(statements.release(numbers)))
            return statements.exact(one, source=source, file=file, hint=_HINT)
        if match[2] and operator == "!=":
            continue
        # Releases only: what comes after 3.13.0a1 begins with 3.13.0, and what comes up to it ends before that.
        meant = {">": ">=", "<=": "<"}.get(operator, operator) if match[2] else operator
        allowed = spans.both(allowed, ranges.meaning(meant, statements.release(match[1]), whole=whole))
    return statements.ranged(text, allowed, source=source, file=file)


def _parsed(text: str) -> tuple[tuple[str, str], ...] | None:
    """Operators with their versions; None when it is no set of specifiers."""
    plain = [re.fullmatch(_PLAIN, part, re.ASCII) for part in text.split(",")]
    if all(plain):
        return tuple((match[1] or match[3], match[2] or match[4]) for match in plain if match)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  (as said at the top)

    try:
        return tuple((part.operator, part.version) for part in SpecifierSet(text))
    except InvalidSpecifier:
        return None
