"""Lines of a Dockerfile become instructions, and words lose quotes and variables: as much as it takes to read one.

Facts: https://docs.docker.com/reference/dockerfile/, parser/directives.go and parser/parser.go of BuildKit v0.30.0.
"""

import re
from collections.abc import Iterator, Mapping

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=(.+)")
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s+")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^{}]*))?\})")
WITH_DOCUMENTS = frozenset({"RUN", "COPY", "ADD"})
"""The instructions that here-documents may follow."""
NATIVE = frozenset({"$BUILDPLATFORM", "${BUILDPLATFORM}"})
"""What `FROM --platform=` says where a stage's programs are the builder's own, whatever the image is for."""
_MOST = 1000
"""Substitutions in one word: defaults may hold variables."""
_LONGEST = 4096
"""Characters of a word: one that doubles itself a few times is no image's name, but would fill the memory."""


def directives(text: str) -> tuple[str, str | None, list[str]]:
    """The escape character, the frontend, and the lines; directives stand before everything else, comments too."""
    # Not `splitlines`, which knows more ends of a line than the daemon does.
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape, syntax = "\\", None
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        value = match[2].strip() if match else ""
        if match is None or not value:
            break
        if match[1].lower() == "escape" and value in {"\\", "`"}:
            escape = value
        elif match[1].lower() == "syntax":
            syntax = value
    return escape, syntax, lines


def instructions(lines: list[str], escape: str) -> Iterator[tuple[str, str, int, int]]:
    """Each instruction in capitals with what follows it on its logical line, and which lines that is."""
    position = 0
    while position < len(lines):
        logical, first = "", position
        while position < len(lines):
            line = lines[position]
            position += 1
            stripped = line.strip()
            if stripped.startswith("#") or (logical and not stripped):
                continue
            if not line.rstrip().endswith(escape):
                logical += line
                break
            logical += line.rstrip()[:-1] + " "
        name, _, rest = logical.strip().partition(" ")
        name, rest = (name.upper(), rest.strip()) if "\t" not in name else _tabbed(logical.strip())
        if not name:
            continue
        last = position
        if name in WITH_DOCUMENTS:
            position = _after_documents(rest, lines, position)
        yield name, rest, first, last


def _after_documents(rest: str, lines: list[str], position: int) -> int:
    """The line behind an instruction's here-documents. Without its last line, a word was none: the daemon says so."""
    if "<<" not in rest or any(quote in _WORD.sub("", rest) for quote in "\"'"):
        return position
    for word in _WORD.findall(rest):
        match = _HEREDOC.fullmatch(word)
        if match is None:
            continue
        last = re.sub(r"[\"'\\]", "", match[2])
        for index in range(position, len(lines)):
            if (lines[index].lstrip("\t") if match[1] else lines[index]) == last:
                position = index + 1
                break
        else:
            return position
    return position


def _tabbed(logical: str) -> tuple[str, str]:
    name, rest = re.split(r"\s+", logical, maxsplit=1)
    return name.upper(), rest.strip()


def without_flags(rest: str) -> tuple[str, list[tuple[str, str]]]:
    """What follows an instruction without its flags, and these by name."""
    flags: list[tuple[str, str]] = []
    position = 0
    while match := _FLAG.match(rest, position):
        flags.append((match[1], match[2] or ""))
        position = match.end()
    return rest[position:], flags


def unquoted(word: str) -> str:
    """A word without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def expanded(word: str, known: Mapping[str, str | None]) -> str | None:
    """A word with its variables' values; None when one has none, or it is more than a plain substitution."""
    for _ in range(_MOST):
        match = _VARIABLE.search(word)
        if match is None:
            return None if "$" in word or "\\" in word else word or None
        name, operator, alternative = match[1] or match[2], match[3], match[4]
        value = known.get(name)
        there = value is not None if operator in {"-", "+"} else bool(value)
        if operator and operator.endswith("-"):
            value = value if there else alternative
        elif operator:
            value = alternative if there else ""
        if value is None:
            return None
        word = word[: match.start()] + value + word[match.end() :]
        if len(word) > _LONGEST:
            return None
    return None
