"""What pip is asked for: requirements of PEP 508, and the files that hold them, checked."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final, cast

import msgspec

from langs.errors import LangError
from langs.files import AppFiles, require_plain_name

FILE: Final = "requirements.txt"

_INCLUDE: Final = re.compile(r"(-r|--requirement|-c|--constraint)(?:[ \t]+|=|(?<=-[rc]))[ \t]*(\S.*)")
_LOCAL: Final = re.compile(r"(?:-e[ \t]+|--editable[ =])?(?:file:)?(\.{1,2}(?:/|$)[^\s;\[]*)")
_CREDENTIAL: Final = re.compile(r"://[^/\s:@]*:(?!\$\{)[^/\s@]+@")
"""A URL with a password that no variable stands for."""
_COMPARISON: Final = (
    r"(?:(?:[<>]=?|[=!]=)[ \t]*[0-9]{1,9}(?:\.[0-9]{1,9})*|[=!]=[ \t]*[0-9]{1,9}(?:\.[0-9]{1,9})*\.\*"
    r"|~=[ \t]*[0-9]{1,9}(?:\.[0-9]{1,9})+)[ \t]*"
)
_PLAIN: Final = (
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ \t]*(?:\[([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)\][ \t]*)?"
    rf"(?:{_COMPARISON}(?:,[ \t]*{_COMPARISON})*)?"
)
"""What nearly all requirements look like: a name, an extra, and comparisons of releases."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MAX_INCLUDED: Final = 50
_BROUGHT: Final[Mapping[tuple[str, str], str]] = {
    **{(name, extra): "uvicorn" for name in ("fastapi", "litestar") for extra in ("all", "standard")},
    ("psycopg", "binary"): "psycopg-binary",
    ("psycopg", "c"): "psycopg-c",
}
"""What extras bring that decides something."""
_NO_BINARY: Final = re.compile(r"--no-binary(?:[ \t]+|=)[ \t]*(\S+)")


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """A requirements file with all that it includes."""

    files: tuple[str, ...]
    """The file and its `-r` and `-c` files, relative to the app."""
    names: frozenset[str]
    """Canonical names of the packages required."""
    local: bool
    """Whether something is installed from the app's own directory."""
    compiled: frozenset[str] = frozenset()
    """Those of the packages that are not to be taken ready-made."""


class _Lines(msgspec.Struct, frozen=True, kw_only=True):
    """What one requirements file says."""

    includes: tuple[str, ...]
    names: frozenset[str]
    local: bool
    no_binary: frozenset[str]


def read(files: AppFiles, path: str = FILE) -> Requirements | None:
    """A requirements file and what it includes; None when it is absent.

    Raises:
        LangError: an included file is absent or lies outside of the app, or there are too many.
    """
    if files.read_text(path) is None:
        return None
    seen: dict[str, _Lines] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop(0)
        if file in seen:
            continue
        text = files.read_text(require_plain_name(file))
        if text is None:
            raise LangError(f"includes {file!r}, which is not there", file=path, hint="Add it, or remove its line.")
        seen[file] = _read_lines(text, file, path)
        waiting += seen[file].includes
        if len(seen) > _MAX_INCLUDED:
            raise LangError(f"includes more than {_MAX_INCLUDED} files", file=path, hint="Write one file.")
    names = frozenset(name for lines in seen.values() for name in lines.names)
    no_binary = frozenset(name for lines in seen.values() for name in lines.no_binary)
    return Requirements(
        files=tuple(seen),
        names=names,
        local=any(lines.local for lines in seen.values()),
        compiled=names if ":all:" in no_binary else names & no_binary,
    )


def _read_lines(text: str, file: str, top: str) -> _Lines:
    includes: list[str] = []
    required: set[str] = set()
    no_binary: set[str] = set()
    local = False
    for number, line in _logical_lines(text):
        refuse_credential(line, file=file, line=number)
        include = _INCLUDE.fullmatch(line)
        directory = _LOCAL.match(line)
        name = _NAME.match(line)
        if include:
            includes.append(beneath(file, include[2].strip(), line=number))
        elif directory:
            # pip reads a path relative to where it runs, an include relative to the file that includes it.
            beneath(top, directory[1], line=number)
            local = True
        elif name:
            required.add(canonical(name[0]))
            extras = re.match(r"\s*\[([^\]]*)\]", line[name.end() :])
            required |= _brought(name[0], extras[1].split(",")) if extras else set()
        elif option := _NO_BINARY.match(line):
            no_binary |= {word if word == ":all:" else canonical(word) for word in option[1].split(",")}
    return _Lines(includes=tuple(includes), names=frozenset(required), local=local, no_binary=frozenset(no_binary))


def named(texts: Iterable[str], *, file: str, key: str) -> frozenset[str]:
    """The canonical names in a list of requirements, those that extras bring included.

    Args:
        texts: what stands there.
        file: where.
        key: under which name.

    Raises:
        LangError: one is no requirement of PEP 508, or holds a credential.
    """
    found: set[str] = set()
    for text in texts:
        name, extras = _requirement(text, file=file, key=key)
        found |= {canonical(name), *_brought(name, extras)}
    return frozenset(found)


def keys(wanted: Mapping[str, object]) -> frozenset[str]:
    """The canonical names in a table of Poetry or Pipenv, those that extras bring included."""
    found = {canonical(name) for name in wanted}
    for name, said in wanted.items():
        extras = cast("dict[str, object]", said).get("extras") if isinstance(said, dict) else None
        if isinstance(extras, list):
            found |= _brought(name, map(str, cast("list[object]", extras)))
    return frozenset(found)


def _brought(name: str, extras: Iterable[str]) -> set[str]:
    """What a package brings by its extras."""
    known = (_BROUGHT.get((canonical(name), extra.strip())) for extra in extras)
    return {brought for brought in known if brought is not None}


def canonical(name: str) -> str:
    """A package's one name: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def refuse_credential(text: str, *, file: str, line: int) -> None:
    """Refuse an address with a password in it.

    Raises:
        LangError: there is one.
    """
    if _CREDENTIAL.search(text):
        raise LangError(
            "holds a credential in plain text",
            file=file,
            line=line,
            hint="Write `${PIP_PASSWORD}` in its place, which pip replaces, and declare that secret for this app.",
        )


def beneath(file: str, path: str, *, line: int | None = None) -> str:
    """`path` as `file` names it, relative to the app.

    Raises:
        LangError: it leads elsewhere.
    """
    if "://" in path:
        raise LangError(
            f"includes {path[:80]!r}: a file elsewhere", file=file, line=line, hint="Keep a copy in the app."
        )
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
    if posixpath.isabs(joined) or joined.split("/")[0] == "..":
        raise LangError(
            f"leads to {path[:80]!r}, outside of the app's directory",
            file=file,
            line=line,
            hint="The build sees the app's directory only: keep a copy there.",
        )
    return joined


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a requirements file with their numbers: continued ones joined, comments and blank ones gone."""
    found: list[tuple[int, str]] = []
    pending: list[str] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw) if "#" in raw else raw
        if line.endswith("\\"):
            pending.append(line[:-1])
            continue
        joined = " ".join((*pending, line)).strip()
        pending.clear()
        if joined:
            found.append((number, joined))
    return found


def _requirement(text: str, *, file: str, key: str) -> tuple[str, Iterable[str]]:
    """The name and the extras of a requirement."""
    if match := re.fullmatch(_PLAIN, text, re.ASCII):
        return match[1], (match[2],) if match[2] else ()
    if _CREDENTIAL.search(text):
        raise LangError(
            f"`{key}` holds a credential in plain text",
            file=file,
            hint="Put that requirement into requirements.txt, with a variable such as `${PIP_PASSWORD}` in its place.",
        )
    # Its import takes as long as to plan ten apps.
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  (as said above)

    try:
        requirement = Requirement(text)
    except (InvalidRequirement, RecursionError) as error:
        raise LangError(
            f"{text[:80]!r} in `{key}` is not a requirement", file=file, hint='Write `"flask>=3,<4"`, as in PEP 508.'
        ) from error
    return requirement.name, requirement.extras
