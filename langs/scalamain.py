"""Which classes of Scala sources can be started: `object A extends App`, `def main`, `@main def`."""

import bisect
import re
from collections.abc import Iterable
from typing import Final

from langs.errors import LangError
from langs.files import AppFiles

_MAX_SOURCES: Final = 500
# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
_PACKAGE: Final = r"(?m)^package[ \t]++([A-Za-z_][\w.]*+)[ \t]*+[;{:]?[ \t]*+$"
_OBJECT: Final = r"(?m)^(?:(?:private|final|case|sealed)[ \t]++)*object[ \t]++([A-Za-z_]\w*+)(.*)"
_STARTED: Final = (
    r"\b(?:App|IOApp|ZIOApp|ZIOAppDefault|CommandIOApp|ResourceApp|OxApp|TwitterServer|cask\.Main|MainRoutes)\b"
)
"""What an object extends that has a method `main`."""
_METHOD: Final = r"(?m)^[ \t]*+(?:override[ \t]++)?def[ \t]++main[ \t]*+\([^)=]{0,80}Array[ \t]*+\["
_ANNOTATED: Final = r"(?m)^@main[ \t\n]++(?:inline[ \t]++)?def[ \t]++([A-Za-z_]\w*+)"


def find(files: AppFiles, sources: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The classes that `java` can start, each with its source, in the sources' order."""
    found: list[tuple[str, str]] = []
    for file in [file for file in sources if file.endswith(".scala")][:_MAX_SOURCES]:
        try:
            text = files.read_text(file) or ""
        except LangError:
            # A source that cannot be read is no evidence, and the compiler will say why.
            continue
        found += [(file, name) for name in classes(text)]
    return tuple(dict.fromkeys(found))


def classes(text: str) -> tuple[str, ...]:
    """The classes of one source that `java` can start, with their packages."""
    package = "".join(f"{match[1]}." for match in re.finditer(_PACKAGE, text))
    objects = list(re.finditer(_OBJECT, text))
    starts = [match.start() for match in objects]
    names = {match.start(): match[1] for match in objects if re.search(_STARTED, match[2])}
    for method in re.finditer(_METHOD, text):
        before = bisect.bisect(starts, method.start())
        if before:
            names[starts[before - 1]] = objects[before - 1][1]
    names |= {match.start(): match[1] for match in re.finditer(_ANNOTATED, text)}
    return tuple(package + names[start] for start in sorted(names))
