"""PEP 440 specifiers as statements of a version: parsed by `packaging`, reduced to what `versions` knows."""

import re
from typing import Final

from langs import ranges, spans, statements
from langs.statements import Statement

_HINT: Final = "Write a Python version such as 3.12 or 3.12.8, or a range such as >=3.11,<3.14."
_NUMBERS: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})((?:a|b|rc)[0-9]{1,6})?", re.ASCII)


def pep440(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of PEP 440 specifiers, or a plain version.

    `3.12` alone is the line, as `.python-version` means it; `==3.12` is 3.12.0, as PEP 440 does.

    Raises:
        LangError: it cannot be understood.
    """
    # Start-up counts: `langs.registry`, which imports this module, is imported by every command.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  (as said above)

    stated = text.strip()
    if stated in {"*", "latest", ""}:
        return ranges.poetry(stated, source=source, file=file)
    if not stated.startswith((">", "<", "=", "~", "!")):
        return statements.exact(stated, source=source, file=file, hint=_HINT)
    refusal = statements.not_understood(text, source=source, file=file, hint=_HINT)
    if statements.too_long(stated):
        raise refusal
    try:
        parsed = tuple(SpecifierSet(stated))
    except InvalidSpecifier as error:
        raise refusal from error
    allowed = spans.ALL
    for part in parsed:
        numbers = part.version.removesuffix(".*")
        match = _NUMBERS.fullmatch(numbers)
        if match is None or (match[2] and part.operator in {"==", "==="}):
            if len(parsed) == 1 and part.operator in {"==", "==="}:
                return statements.exact(numbers, source=source, file=file, hint=_HINT)
            raise refusal
        whole = part.version.endswith(".*")
        if len(parsed) == 1 and part.operator in {"==", "==="} and not whole:
            one = spans.text(ranges.padded(statements.release(numbers)))
            return statements.exact(one, source=source, file=file, hint=_HINT)
        if match[2] and part.operator == "!=":
            continue
        # Releases only: what comes after 3.13.0a1 begins with 3.13.0, and what comes up to it ends before that.
        operator = {">": ">=", "<=": "<"}.get(part.operator, part.operator) if match[2] else part.operator
        allowed = spans.both(allowed, ranges.meaning(operator, statements.release(match[1]), whole=whole))
    return statements.ranged(text, allowed, source=source, file=file)
