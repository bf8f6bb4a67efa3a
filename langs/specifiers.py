"""PEP 440 specifiers as statements of a version: parsed by `packaging`, reduced to what `versions` knows."""

from typing import Final

import msgspec

from langs import versions
from langs.errors import LangError

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
        return versions.exact(text, source=source, file=file)
    try:
        parsed = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise LangError(
            f"the version {text[:80]!r} of {source} is not understood",
            file=file,
            hint="Write a version such as 3.12, or a range such as >=3.11,<3.14.",
        ) from error
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
    if not any(word.startswith("=") for word in words) or len(words) > 1:
        return msgspec.structs.replace(versions.npm(" ".join(words), source=source, file=file), text=text)
    return versions.exact(words[0][1:], source=source, file=file)
