"""What a lockfile says of Node.js: which versions the packages need that an app asks for.

Generators write no `engines`, and what they install needs a later Node.js than the default sooner or later. npm and
pnpm note beside each package what it needs; Yarn and Bun do not. Asked are the packages that the app's own manifest
names: what lies deeper is theirs to answer for.

A lockfile may have megabytes and a hundred apps: it is read once for all of them. Of npm's nothing but `engines` is
made into values. pnpm's is written in blocks, of which the ones that are asked for are given to the parser.
"""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from langs import spans, statements, versions, workspace, yamltext
from langs.documents import table
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.nodemanagers import NPM_LOCKS
from langs.statements import Statement

PNPM_LOCK: Final = "pnpm-lock.yaml"

_MAX: Final = 16 << 20
"""Bytes; of a longer one nothing is known."""
_MOST: Final = 64
"""Different ranges, and spans that all of them have in common: nobody's packages have more."""
_LONGEST: Final = 1 << 18
"""Characters of a block of pnpm's; that of an app with a thousand packages has half of it."""
_TEXTS: Final = (PNPM_LOCK, "yarn.lock", "bun.lock")
_MARK: Final = b"<<<<<<< "
"""What git writes where two branches contradict."""
_OFFSET: Final = re.compile(r"\(byte ([0-9]{1,9})\)")
_OLDEST: Final[spans.Spans] = (spans.Span(lower=(18,)),)
"""The package managers of today do not run on what is older."""
_GROUPS: Final = ("dependencies", "devDependencies", "optionalDependencies")


class _Package(msgspec.Struct):
    engines: object = None


class _Npm(msgspec.Struct):
    packages: dict[str, _Package] = {}


class _Lock(msgspec.Struct, frozen=True, kw_only=True):
    """npm's, as far as it matters here."""

    engines: Mapping[str, str | None] = {}
    """The places of packages -> what they need."""
    problem: str | None = None


class _Blocks(msgspec.Struct, frozen=True, kw_only=True):
    """pnpm's, in lines."""

    lines: tuple[str, ...] = ()
    at: Mapping[str, Mapping[str, int]] = {}
    """By section: the lines with which blocks begin -> where these are."""
    parsed: dict[int, dict[str, object]] = {}
    """What was asked for before, by where it begins: no block is parsed twice."""

    def read(self, section: str, *keys: str) -> dict[str, object]:
        """The block that one of the keys begins in a section; empty where there is none."""
        places = self.at.get(section, {})
        names = (name for key in keys for name in (f"  {key}:", f"  '{key}':"))
        begin = next((places[name] for name in names if name in places), None)
        if begin is None:
            return {}
        if begin not in self.parsed:
            self.parsed[begin] = self._parse(begin)
        return self.parsed[begin]

    def _parse(self, begin: int) -> dict[str, object]:
        end = begin + 1
        while end < len(self.lines) and (not self.lines[end] or self.lines[end].startswith("   ")):
            end += 1
        text = "\n".join(self.lines[begin:end])
        if len(text) <= _LONGEST:
            with suppress(LangError):
                return table(next(iter(table(yamltext.load(text, PNPM_LOCK)).values()), None))
        return {}


def problem(root: AppFiles, file: str | None) -> str | None:
    """Why no package manager can read a lockfile, where that shows."""
    return _npm(root).problem if file in NPM_LOCKS else _conflicts(root).get(file or "")


def needed(
    root: AppFiles, file: str | None, *, place: str, names: Iterable[str], default: str
) -> tuple[Statement | None, tuple[str, ...]]:
    """What an app's packages need of Node.js, where the default is not enough for them; and what there is to warn of.

    Args:
        root: where the lockfile is.
        file: its name.
        place: the app's directory, from there; `.` for itself.
        names: of the packages that the app asks for.
        default: the version that is used where nothing asks for another one.
    """
    read = _of_npm if file in NPM_LOCKS else _of_pnpm if file == PNPM_LOCK else None
    if file is None or read is None:
        return None, ()
    texts: dict[str, str] = {}
    for name, text in read(root, place, names):
        texts.setdefault(" ".join(text.split()), name)
    wanted = [*_stated(file, itertools.islice(texts.items(), _MOST))]
    release = statements.release(default)
    unfit = [each for each in wanted if not any(span.contains(release) for span in each.spans)]
    if not unfit:
        return None, ()
    allowed = _OLDEST
    for each in wanted:
        # Each is there once: what an attacker writes eighty times does not multiply.
        common = tuple(dict.fromkeys(spans.both(allowed, each.spans)))
        if not common:
            return None, (_contradicting(each, unfit, wanted, default),)
        if len(common) > _MOST:
            return None, ()
        allowed = common
    return msgspec.structs.replace(unfit[0], exact=None, moving=False, spans=allowed, near=True), ()


def _stated(file: str, texts: Iterable[tuple[str, str]]) -> Iterator[Statement]:
    """What packages say, but for what cannot be understood, or leaves the choice."""
    for text, name in texts:
        with suppress(LangError):
            stated = versions.npm(text, source=f"{file}: {name[:80]} needs {text[:80]}", file=file)
            if not stated.free:
                yield stated


def _contradicting(each: Statement, unfit: list[Statement], wanted: list[Statement], default: str) -> str:
    """The warning that no version is good for all."""
    others = (other for other in wanted if not spans.both(other.spans, each.spans))
    said = dict.fromkeys(other.source for other in (next(others, unfit[0]), each))
    return (
        f"no version of Node.js that is still in use is good for all that is locked: {'; '.join(said)}. {default} is "
        "used: say another in package.json's engines.node, or .nvmrc"
    )


def _of_npm(root: AppFiles, place: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Packages with what they need: those in the app's own node_modules come before those of the root."""
    known = _npm(root).engines
    around = () if place == "." else (place, *reversed(workspace.ancestors(place)))
    for name in names:
        places = (*(f"{above}/node_modules/{name}" for above in around), f"node_modules/{name}")
        text = known.get(next((each for each in places if each in known), ""))
        if text and name.isprintable():
            yield name, text


@once
def _npm(root: AppFiles) -> _Lock:
    file = root.first(*NPM_LOCKS)
    data = _data(root, file) if file else None
    if file is None or data is None:
        return _Lock()
    line = _marked(data)
    if line:
        return _Lock(problem=_unresolved(file, line))
    try:
        packages = msgspec.json.decode(data, type=_Npm).packages
    except msgspec.ValidationError:
        return _Lock(problem=f"{file} is not shaped like a lockfile: npm will refuse it, or install anew")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        found = _OFFSET.search(str(error))
        at = data.count(b"\n", 0, int(found[1]) if found else len(data)) + 1
        return _Lock(problem=f"{file}, line {at}: this is no JSON, and npm will refuse it: mend it, or make it anew")
    return _Lock(engines={path: _node(package.engines) for path, package in packages.items()})


def _of_pnpm(root: AppFiles, place: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The same of pnpm, from lockfiles of version 6 on."""
    blocks = _pnpm(root)
    importer = blocks.read("importers", place)
    for name in names:
        groups = (table(importer.get(group)).get(name) or blocks.read(group, name) for group in _GROUPS)
        version = next((text for group in groups if isinstance(text := table(group).get("version"), str)), "")
        plain = version.partition("(")[0]
        if not plain or not name.isprintable():
            continue
        keys = (f"{name}@{plain}", f"/{name}@{version}", f"/{name}@{plain}", plain, version)
        text = _node(blocks.read("packages", *keys).get("engines"))
        if text:
            yield name, text


@once
def _pnpm(root: AppFiles) -> _Blocks:
    try:
        lines = tuple((_data(root, PNPM_LOCK) or b"").decode().replace("\r\n", "\n").split("\n"))
    except UnicodeDecodeError:
        return _Blocks()
    at: dict[str, dict[str, int]] = {}
    section: dict[str, int] = {}
    for number, line in enumerate(lines):
        if line[:1] not in {"", " "}:
            section = at.setdefault(line.partition(":")[0], {})
        elif line[:2] == "  " and line[2:3] not in {"", " "}:
            section[line] = number
    return _Blocks(lines=lines, at=at)


@once
def _conflicts(root: AppFiles) -> Mapping[str, str]:
    """What is wrong with the lockfiles of the others."""
    lines = {file: _marked(_data(root, file) or b"") for file in _TEXTS}
    return {file: _unresolved(file, line) for file, line in lines.items() if line}


def _node(said: object) -> str | None:
    """What `engines` says of Node.js; ancient packages have a list there."""
    text = table(said).get("node")
    return text if isinstance(text, str) else None


def _data(root: AppFiles, file: str) -> bytes | None:
    with suppress(LangError):
        data = root.read_bytes(file, _MAX)
        return None if data is None else data.removeprefix(codecs.BOM_UTF8)
    return None


def _marked(data: bytes) -> int:
    """The line of git's first mark of a conflict; 0 where there is none."""
    at = 0 if data.startswith(_MARK) else data.find(b"\n" + _MARK) + 1
    return data.count(b"\n", 0, at) + 1 if at or data.startswith(_MARK) else 0


def _unresolved(file: str, line: int) -> str:
    return f"{file}, line {line}: git's marks of a conflict are left in it: resolve it, or make the lockfile anew"
