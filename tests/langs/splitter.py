"""A Dockerfile into its instructions, written apart from the code under test.

By the rules of https://docs.docker.com/reference/dockerfile/: comment and blank lines go, a backslash at a line's end
continues it. A here-document, which generated files must not hold, is an error.
"""

import json
import re

import msgspec


class SplitError(Exception):
    """The text is not a Dockerfile of the 1.2 syntax."""


def split(text: str) -> list[tuple[str, str]]:
    """The instructions in order: the keyword in capitals and the rest of the logical line."""
    found: list[tuple[str, str]] = []
    pending = ""
    for line in re.split(r"\r\n|[\n\r]", text):
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not pending):
            continue
        if stripped.endswith("\\"):
            pending += stripped[:-1]
            continue
        keyword, _, rest = (pending + stripped).partition(" ")
        pending = ""
        if not re.fullmatch(r"[A-Z]+", keyword):
            raise SplitError(f"{keyword!r} is no instruction")
        if keyword in {"RUN", "COPY", "ADD"} and "<<" in rest and not is_exec_form(rest):
            raise SplitError(f"a here-document: {rest!r}")
        found.append((keyword, rest.strip()))
    if pending:
        raise SplitError("the last line continues into nothing")
    return found


def keywords(text: str) -> list[str]:
    """The instructions' keywords in order."""
    return [keyword for keyword, _ in split(text)]


def is_exec_form(rest: str) -> bool:
    """Whether what follows the options is a JSON list of strings."""
    bare = re.sub(r"^(--\S+\s+)*", "", rest)
    try:
        words = json.loads(bare)
    except ValueError:
        return False
    return isinstance(words, list)


def cmd(text: str) -> list[str]:
    """The words of the last CMD."""
    last = [rest for keyword, rest in split(text) if keyword == "CMD"][-1]
    return msgspec.json.decode(last, type=list[str])
