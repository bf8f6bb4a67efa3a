"""PEP 440 specifiers as statements of a version: parsed by `packaging`, reduced to what `versions` knows."""

from typing import Final

import msgspec

from langs import versions
from langs.errors import LangError

_HINT: Final = "Write a Python version such as 3.12 or 3.12.8, or a range such as >=3.11,<3.14."
_OPERATORS: Final = {">=": ">=", ">": ">", "<": "<", "<=": "<=", "===": "="}


def pep440(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    """A statement in the syntax of PEP 440 specifiers, or a plain version.

    Raises:
        LangError: it cannot be understood.
    """
    # Start-up counts: `langs.registry`, which imports this module, is imported by every command.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  (as said above)

    text = text.strip()
    if text in {"*", "latest"}:
        return versions.npm("*", source=source, file=file)
    if not text.startswith((">", "<", "=", "~", "!")):
        return versions.exact(text, source=source, file=file, hint=_HINT)
    try:
        parsed = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise versions.not_understood(text, source=source, file=file, hint=_HINT) from error
    words: list[str] = []
    for part in parsed:
        numbers = part.version.removesuffix(".*")
        match part.operator:
            case "~=":
                # `~=3.12` allows 3.13, `~=3.12.1` does not: the last number is free.
                words += [f">={numbers}", f"={numbers.rpartition('.')[0]}"]
            case "==":
                words.append(f"={numbers}")
            case "!=":
                # An excluded release is a matter of the index; a tag names a line or the default.
                continue
            case operator:
                words.append(f"{_OPERATORS[operator]}{numbers}")
    if len(words) == 1 and words[0].startswith("="):
        return versions.exact(words[0][1:], source=source, file=file, hint=_HINT)
    try:
        range_ = versions.npm(" ".join(words), source=source, file=file)
    except LangError as error:
        # What it says of npm's syntax is none of the user's business.
        raise versions.not_understood(text, source=source, file=file, hint=_HINT) from error
    return msgspec.structs.replace(range_, text=text)
