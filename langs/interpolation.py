"""Compose's `${NAME}`: in values, with defaults and errors, and the `.env` file which it reads them from.

Facts: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md. `$$` is a dollar sign; a variable
that nobody gave is empty; `${NAME:?text}` demands one.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from langs.errors import LangError
from langs.files import AppFiles

_REFERENCE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<word>[^{}]*(?:\{[^{}]*\}[^{}]*)*))?\}|(?P<wrong>))",
    re.ASCII,
)
_LINE: Final = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(.*)", re.ASCII)
_DEPTH: Final = 5
_LONGEST: Final = 1 << 16


def interpolate(value: object, variables: Mapping[str, str]) -> object:
    """`value` with the references in its texts replaced; keys stay as they are.

    Raises:
        ValueError: a reference is malformed, or demands a variable that is not given.
    """
    if isinstance(value, str):
        return substitute(value, variables)
    if isinstance(value, list):
        return [interpolate(each, variables) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: interpolate(each, variables) for key, each in cast("dict[str, object]", value).items()}
    return value


def substitute(text: str, variables: Mapping[str, str], depth: int = 0) -> str:
    """`text` with its references replaced; a default may hold references in its turn.

    Raises:
        ValueError: as `interpolate`.
    """
    if "$" not in text:
        return text
    if depth > _DEPTH or len(text) > _LONGEST:
        raise ValueError("a value with variables is too long, or its defaults stand too deep in each other")

    def replaced(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["wrong"] is not None:
            raise ValueError(f"{text[:80]!r} holds a `$` that begins no variable: write `$$`")
        name, operator = match["plain"] or match["name"], match["operator"] or ""
        value = variables.get(name)
        given = bool(value) if operator.startswith(":") else value is not None
        match operator[-1:]:
            case "-" if not given:
                return substitute(match_word(match), variables, depth + 1)
            case "?" if not given:
                raise ValueError(f"the variable {name} is needed and not given")
            case "+":
                return substitute(match_word(match), variables, depth + 1) if given else ""
            case _:
                return value or ""

    return _REFERENCE.sub(replaced, text)


def match_word(match: re.Match[str]) -> str:
    """What stands behind the operator."""
    return match["word"] or ""


def read_env(files: AppFiles, path: str) -> Mapping[str, str]:
    """The variables of a `.env` file, in which lines that are none are passed over.

    Raises:
        LangError: it cannot be read.
    """
    variables: dict[str, str] = {}
    for line in (files.read_text(path) or "").split("\n"):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, value = match.groups()
        quote = value[:1]
        if quote in {"'", '"'} and value.find(quote, 1) > 0:
            value = value[1 : value.find(quote, 1)]
        else:
            value = re.split(r"[ \t]#", value, maxsplit=1)[0].rstrip()
        try:
            variables[name] = value if quote == "'" else substitute(value, variables)
        except ValueError as error:
            raise LangError(f"{name}: {error}", file=path, hint="Quote it with '...'.") from error
    return variables
