"""The images that a Dockerfile stands on, read from its text: what may change although no file does.

Only as much of the syntax is understood as it takes to find them: directives, comments, continued lines,
here-documents, `ARG` before the first `FROM`, `FROM`, `--from=`, `--mount=from=`, and what `ADD` fetches. Too many is
harmless (a stage that is not built), too few is not: what cannot be told is said.
"""

import re
from collections.abc import Mapping

import msgspec

from orchestrator.plan.syntax import NATIVE, WITH_DOCUMENTS, directives, expanded, instructions, unquoted, without_flags

_FETCHED = re.compile(r"(?:https?|git|ssh)://|github\.com/|[^/@\s]+@[^/:]+:|\$", re.IGNORECASE)
"""What `ADD` does not find in the context, or may not: where it is from is known when variables have their values."""
_LOGIN = re.compile(r"//[^/@]*@|[?#].*")
MOUNT_FROM = re.compile(r"(?:^|,)from=([^,]*)")
_SCRATCH = "scratch"
_LONGEST_INDEX = 9


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """What a Dockerfile stands on."""

    names: tuple[str, ...]
    """References as they are written, in the order in which they come."""
    unknown: tuple[str, ...] = ()
    """Words that name an image which cannot be told from the text."""
    native: frozenset[str] = frozenset()
    """Those of the names that are needed for the builder's own platform only, whatever the build is for."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a Dockerfile's text where it names an image."""

    name: str
    """The image."""
    written: str
    """How it is named there: with variables, perhaps, or in quotes."""
    before: str = ""
    """What stands right before that: `from=`."""
    first: int
    """The first of the lines that the instruction is on, from 0."""
    last: int
    """The line behind them."""
    native: bool = False
    """Whether the builder's own platform is asked for."""


def images(text: str, args: Mapping[str, str] | None = None, contexts: tuple[str, ...] = ()) -> Images:
    """The images of a Dockerfile, its frontend's too where it names one.

    Args:
        text: the Dockerfile.
        args: build arguments, which go before the defaults of `ARG`.
        contexts: names of further build contexts, which stand for images of the same name.
    """
    reading = _read(text, args or {}, contexts)
    names = dict.fromkeys(use.name for use in reading.uses)
    foreign = {use.name for use in reading.uses if not use.native}
    return Images(names=tuple(names), unknown=tuple(reading.unknown), native=frozenset(names) - foreign)


def uses(text: str, args: Mapping[str, str] | None = None, contexts: tuple[str, ...] = ()) -> tuple[Use, ...]:
    """Each place where a Dockerfile names an image; see `images`. Lines are parted by nothing but line feeds."""
    return tuple(_read(text, args or {}, contexts).uses)


def _read(text: str, args: Mapping[str, str], contexts: tuple[str, ...]) -> "_Reading":
    escape, directive, lines = directives(text)
    syntax = args.get("BUILDKIT_SYNTAX", "").strip() or directive
    reading = _Reading(args, contexts)
    if syntax:
        name = syntax.split()[0]
        # Where the directive does not count, nothing in the text names it.
        reading.uses.append(Use(name=name, written=name, before="=", first=0, last=len(lines) if directive else 0))
    for instruction, rest, first, last in instructions(lines, escape):
        reading.lines = (first, last)
        rest, flags = without_flags(rest)  # noqa: PLW2901 -- the rest of the rest
        if instruction == "ARG":
            reading.argument(rest)
        elif instruction == "FROM":
            reading.stage(
                rest.split(), native=any(flag == "platform" and unquoted(value) in NATIVE for flag, value in flags)
            )
        elif instruction in WITH_DOCUMENTS:
            reading.sources(flags)
        if instruction == "ADD" and not any(flag == "checksum" for flag, _ in flags):
            reading.fetched(rest)
    return reading


class _Reading:
    """What is known at one line of a Dockerfile."""

    def __init__(self, args: Mapping[str, str], contexts: tuple[str, ...]) -> None:
        self.uses: list[Use] = []
        self.lines: tuple[int, int] = (0, 0)
        """Of the instruction that is read."""
        self.unknown: dict[str, None] = {}
        self._said = args
        self._defaults: dict[str, str | None] = {}
        self._names = {_SCRATCH, *(name.lower() for name in contexts)}
        self._stages = 0

    def argument(self, rest: str) -> None:
        """`ARG`: those after the first `FROM` do not reach another one."""
        for word in rest.split() if not self._stages else ():
            name, stated, value = word.partition("=")
            known = {**self._defaults, **self._said}
            self._defaults[name] = self._said.get(name, expanded(unquoted(value), known) if stated else None)

    def stage(self, words: list[str], *, native: bool) -> None:
        """`FROM IMAGE [AS NAME]`."""
        if words:
            name = expanded(unquoted(words[0]), self._defaults)
            if name is None:
                self.unknown[words[0]] = None
            else:
                self._take(name, words[0], native=native)
        self._stages += 1
        if len(words) == 3 and words[1].lower() == "as":  # noqa: PLR2004 -- IMAGE AS NAME
            self._names.add(words[2].lower())

    def sources(self, flags: list[tuple[str, str]]) -> None:
        """`--from=NAME` and `--mount=type=bind,from=NAME`."""
        for flag, value in flags:
            match = MOUNT_FROM.search(unquoted(value)) if flag == "mount" else None
            source = unquoted(value) if flag == "from" else match[1] if match else ""
            if "$" in source:
                self.unknown[source] = None
            elif source and not self._is_stage(source):
                self._take(source, value if flag == "from" else source, "from=")

    def fetched(self, rest: str) -> None:
        """`ADD`, without the digest of what it fetches."""
        for word in rest.strip("[] ").replace(",", " ").split() if rest.startswith("[") else rest.split():
            place = word.strip("\"'")
            if _FETCHED.match(place):
                self.unknown[_LOGIN.sub(lambda login: "//" if login[0].startswith("//") else "", place)] = None

    def _is_stage(self, source: str) -> bool:
        # Longer numbers, and digits of other scripts, are no indexes.
        return source.isascii() and source.isdecimal() and len(source) <= _LONGEST_INDEX and int(source) < self._stages

    def _take(self, name: str, written: str, before: str = "", *, native: bool = False) -> None:
        if name.lower() not in self._names:
            first, last = self.lines
            self.uses.append(Use(name=name, written=written, before=before, first=first, last=last, native=native))
