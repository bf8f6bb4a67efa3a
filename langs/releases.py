"""The releases that ranges are resolved against: the table that ships, and how a refreshed one is read and written.

A table is TOML, so that a person can read it: of each tool the date, the source, and by release line what follows the
line's numbers, `"3.12" = "0-8"` for 3.12.0 to 3.12.8. It ships complete; `fleetpacks versions refresh` writes one of
the same form from the tags of a registry, which then counts for the tools that stand in it. This module reads no file
but the one beside it.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from langs import documents, spans
from langs.errors import LangError
from langs.model import Releases
from langs.spans import Release

FILE: Final = "releases.toml"
MAX_RELEASES: Final = 5_000
"""Of one tool; Node.js, the most diligent, has under a thousand."""

_REST: Final = r"((?:[0-9]{1,9}\.){0,3})([0-9]{1,9})(?:-([0-9]{1,9}))?"
_Line = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,2}$")]


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool's releases, as they are written."""

    source: str
    """Where they were read: an address, or the name of a registry and of a package there."""
    read: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """When."""
    image: str | None = None
    """The image whose tags a refresh reads; None where tags do not say it."""
    tag: str = "{}"
    """What a release looks like in a tag."""
    names: Mapping[str, _Line] = {}
    """Words for release lines; Node.js's long-term ones."""
    lines: Mapping[_Line, str]


@functools.cache
def shipped(tool: str) -> Releases:
    """What ships of a tool.

    Raises:
        KeyError: no table of it ships.
    """
    return expanded(tools()[tool])


@functools.cache
def tools() -> Mapping[str, Tool]:
    """All that ships, as it is written."""
    return parse(Path(__file__).with_name(FILE).read_text(encoding="utf-8"), FILE)


def parse(text: str, file: str) -> Mapping[str, Tool]:
    """The tools of a table.

    Args:
        text: of the table.
        file: its name, for errors.

    Raises:
        LangError: it is no such table.
    """
    return documents.toml_as(text, dict[str, Tool], file)


def expanded(tool: Tool, file: str = FILE) -> Releases:
    """A tool's releases, one by one.

    Raises:
        LangError: a line's releases are not written as they must be.
    """
    found: list[Release] = []
    for line, words in tool.lines.items():
        start = _numbers(line)
        if not words:
            found.append(start)
        for word in words.split():
            match = re.fullmatch(_REST, word, re.ASCII)
            last = int(match[3] or match[2]) if match else -1
            if match is None or last - int(match[2]) > MAX_RELEASES or len(found) > MAX_RELEASES:
                hint = "Write what follows the line's numbers, such as `0-8 10`."
                raise LangError(f"{line}: {word[:80]!r} is no release of that line", file=file, hint=hint)
            before = (*start, *_numbers(match[1].rstrip(".")))
            found += [(*before, number) for number in range(int(match[2]), last + 1)]
    names = {name: _numbers(line) for name, line in tool.names.items()}
    return Releases(read=tool.read, newest_first=tuple(sorted(set(found), reverse=True)), names=names)


def write(tables: Mapping[str, Tool]) -> str:
    """The text of a table, which `parse` reads."""
    parts: list[str] = []
    for name, tool in tables.items():
        parts += [f"[{name}]", f"source = {_string(tool.source)}", f"read = {_string(tool.read)}"]
        if tool.names:
            names = ", ".join(f'{_string(key)} = "{line}"' for key, line in tool.names.items())
            parts.append(f"names = {{ {names} }}")
        parts += [f"[{name}.lines]", *(f'"{line}" = "{rest}"' for line, rest in tool.lines.items()), ""]
    return "\n".join(parts)


def of_tags(tool: Tool, tags: Iterable[str], *, source: str, read: str) -> Tool | None:
    """What a registry's tags say of a tool that ships, or None when none of them names a whole release.

    Args:
        tool: as it ships: it says what its tags look like, and how many numbers a release and a line have.
        tags: all of them, of whatever form.
        source: the repository.
        read: the day.
    """
    before, _, after = tool.tag.partition("{}")
    shape = re.compile(rf"{re.escape(before)}([0-9]{{1,9}}(?:\.[0-9]{{1,9}}){{0,3}}){re.escape(after)}", re.ASCII)
    lengths = {len(release) for release in expanded(tool).newest_first}
    found = {_numbers(match[1]) for tag in tags if (match := shape.fullmatch(tag))}
    whole = sorted((release for release in found if len(release) in lengths), reverse=True)[:MAX_RELEASES]
    width = len(_numbers(next(iter(tool.lines))))
    return msgspec.structs.replace(tool, source=source, read=read, lines=compact(whole, width)) if whole else None


def compact(found: Iterable[Release], width: int) -> Mapping[str, str]:
    """Releases as the lines of a table, the oldest first.

    Args:
        found: the releases, none of them shorter than `width`.
        width: how many numbers name a line.
    """
    lines: dict[str, list[str]] = {}
    begun: dict[str, Release] = {}
    last: Release = ()
    for release in sorted(set(found)):
        line, rest = spans.text(release[:width]), release[width:]
        words = lines.setdefault(line, [])
        if words and release == spans.after(last):
            words[-1] = f"{spans.text(begun[line])}-{rest[-1]}"
        else:
            words.append(spans.text(rest))
            begun[line] = rest
        last = release
    return {line: " ".join(words) for line, words in lines.items()}


def _numbers(text: str) -> Release:
    return tuple(int(part) for part in text.split(".")) if text else ()


def _string(text: str) -> str:
    return msgspec.json.encode(text).decode()
