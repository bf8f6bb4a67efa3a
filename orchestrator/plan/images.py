"""The images that a Dockerfile stands on, read from its text: what may change although no file does.

Only as much of the syntax is understood as it takes to find them: directives, comments, continued lines,
here-documents, `ARG` before the first `FROM`, `FROM`, `--from=`, `--mount=from=`, and what `ADD` fetches. Too many is
harmless (a stage that is not built), too few is not: what cannot be told is said.
Facts: https://docs.docker.com/reference/dockerfile/, parser/directives.go and parser/parser.go of BuildKit v0.30.0.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=(.+)")
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+""")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_FETCHED = re.compile(r"(?:https?|git|ssh)://|github\.com/|[^/@\s]+@[^/:]+:|\$", re.IGNORECASE)
"""What `ADD` does not find in the context, or may not: where it is from is known when variables have their values."""
_LOGIN = re.compile(r"//[^/@]*@|[?#].*")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s+")
_MOUNT_FROM = re.compile(r"(?:^|,)from=([^,]*)")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^{}]*))?\})")
_WITH_DOCUMENTS = frozenset({"RUN", "COPY", "ADD"})
_SCRATCH = "scratch"
_MOST = 1000
"""Substitutions in one word: defaults may hold variables."""
_LONGEST = 4096
"""Characters of a word: one that doubles itself a few times is no image's name, but would fill the memory."""
_LONGEST_INDEX = 9


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """What a Dockerfile stands on."""

    names: tuple[str, ...]
    """References as they are written, in the order in which they come."""
    unknown: tuple[str, ...] = ()
    """Words that name an image which cannot be told from the text."""


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


def images(text: str, args: Mapping[str, str] | None = None, contexts: tuple[str, ...] = ()) -> Images:
    """The images of a Dockerfile, its frontend's too where it names one.

    Args:
        text: the Dockerfile.
        args: build arguments, which go before the defaults of `ARG`.
        contexts: names of further build contexts, which stand for images of the same name.
    """
    reading = _read(text, args or {}, contexts)
    return Images(names=tuple(dict.fromkeys(use.name for use in reading.uses)), unknown=tuple(reading.unknown))


def uses(text: str, args: Mapping[str, str] | None = None, contexts: tuple[str, ...] = ()) -> tuple[Use, ...]:
    """Each place where a Dockerfile names an image; see `images`. Lines are parted by nothing but line feeds."""
    return tuple(_read(text, args or {}, contexts).uses)


def _read(text: str, args: Mapping[str, str], contexts: tuple[str, ...]) -> "_Reading":
    escape, directive, lines = _directives(text)
    syntax = args.get("BUILDKIT_SYNTAX", "").strip() or directive
    reading = _Reading(args, contexts)
    if syntax:
        name = syntax.split()[0]
        # Where the directive does not count, nothing in the text names it.
        reading.uses.append(Use(name=name, written=name, before="=", first=0, last=len(lines) if directive else 0))
    for instruction, rest, first, last in _instructions(lines, escape):
        reading.lines = (first, last)
        rest, flags = _without_flags(rest)  # noqa: PLW2901 -- the rest of the rest
        if instruction == "ARG":
            reading.argument(rest)
        elif instruction == "FROM":
            reading.stage(rest.split())
        elif instruction in _WITH_DOCUMENTS:
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
            self._defaults[name] = self._said.get(name, _expanded(_unquoted(value), known) if stated else None)

    def stage(self, words: list[str]) -> None:
        """`FROM IMAGE [AS NAME]`."""
        if words:
            name = _expanded(_unquoted(words[0]), self._defaults)
            if name is None:
                self.unknown[words[0]] = None
            else:
                self._take(name, words[0])
        self._stages += 1
        if len(words) == 3 and words[1].lower() == "as":  # noqa: PLR2004 -- IMAGE AS NAME
            self._names.add(words[2].lower())

    def sources(self, flags: list[tuple[str, str]]) -> None:
        """`--from=NAME` and `--mount=type=bind,from=NAME`."""
        for flag, value in flags:
            match = _MOUNT_FROM.search(_unquoted(value)) if flag == "mount" else None
            source = _unquoted(value) if flag == "from" else match[1] if match else ""
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

    def _take(self, name: str, written: str, before: str = "") -> None:
        if name.lower() not in self._names:
            first, last = self.lines
            self.uses.append(Use(name=name, written=written, before=before, first=first, last=last))


def _directives(text: str) -> tuple[str, str | None, list[str]]:
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


def _instructions(lines: list[str], escape: str) -> Iterator[tuple[str, str, int, int]]:
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
        if name in _WITH_DOCUMENTS:
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


def _without_flags(rest: str) -> tuple[str, list[tuple[str, str]]]:
    flags: list[tuple[str, str]] = []
    position = 0
    while match := _FLAG.match(rest, position):
        flags.append((match[1], match[2] or ""))
        position = match.end()
    return rest[position:], flags


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def _expanded(word: str, known: Mapping[str, str | None]) -> str | None:
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
