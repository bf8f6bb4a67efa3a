"""pyproject.toml and requirements files: the parts of them that decide something, checked."""

import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from langs import documents
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FILE: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"

_INCLUDE: Final = re.compile(r"(-r|--requirement|-c|--constraint)(?:[ \t]+|=|(?<=-[rc]))[ \t]*(\S.*)")
_LOCAL: Final = re.compile(r"(?:-e[ \t]+|--editable[ =])?(?:file:)?(\.{1,2}(?:/|$)[^\s;\[]*)")
_CREDENTIAL: Final = re.compile(r"://[^/\s:@]*:(?!\$\{)[^/\s@]+@")
"""A URL with a password that no variable stands for."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MAX_INCLUDED: Final = 50
_BUNDLES: Final = frozenset({"all", "standard"})
"""FastAPI's extras that bring uvicorn."""


class _Table(msgspec.Struct, rename="kebab"):
    name: str | None = None
    requires_python: str | None = None
    dependencies: list[str] = []
    scripts: dict[str, str] = {}


class _Source(msgspec.Struct):
    path: str | None = None
    workspace: bool = False


class _Uv(msgspec.Struct):
    package: bool | None = None
    sources: dict[str, _Source | list[_Source]] = {}
    workspace: object = None


class _Poetry(msgspec.Struct):
    dependencies: object = None


class _Tool(msgspec.Struct):
    uv: _Uv = msgspec.field(default_factory=_Uv)
    poetry: _Poetry = msgspec.field(default_factory=_Poetry)


class _Raw(msgspec.Struct, rename="kebab"):
    project: _Table | None = None
    build_system: object = None
    tool: _Tool = msgspec.field(default_factory=_Tool)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a pyproject.toml."""

    name: str | None = None
    requires_python: str | None = None
    dependencies: tuple[str, ...] = ()
    """Requirements as written, each a legal PEP 508 one."""
    scripts: Mapping[str, str] = {}
    package: bool = False
    """Whether the project itself is installed: it has a build system, and uv is not told otherwise."""
    workspace: bool = False
    local: bool = False
    """Whether other projects in the app's own directory are among its dependencies."""
    sources: frozenset[str] = frozenset()
    """Canonical names of the dependencies that uv alone finds, by `tool.uv.sources`."""
    poetry: bool = False
    is_project: bool = False
    """False for a file that only configures tools."""


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """A requirements file with all that it includes."""

    files: tuple[str, ...]
    """The file and its `-r` and `-c` files, relative to the app."""
    names: frozenset[str]
    """Canonical names of the packages required."""
    local: bool
    """Whether something is installed from the app's own directory."""


class _Lines(msgspec.Struct, frozen=True, kw_only=True):
    """What one requirements file says."""

    includes: tuple[str, ...]
    names: frozenset[str]
    local: bool


def read(files: AppFiles) -> Project | None:
    """The app's pyproject.toml, or None without one.

    Raises:
        LangError: it is no TOML, or a part of it has another type than its standard gives it.
    """
    content = files.read_text(FILE)
    if content is None:
        return None
    raw = documents.toml_as(content, _Raw, FILE)
    project = raw.project or _Table()
    for text in project.dependencies:
        _requirement(text)
    uv = raw.tool.uv
    sources = [entry for value in uv.sources.values() for entry in (value if isinstance(value, list) else [value])]
    paths = [_beneath(FILE, entry.path) for entry in sources if entry.path is not None]
    return Project(
        name=project.name,
        requires_python=project.requires_python,
        dependencies=tuple(project.dependencies),
        scripts=project.scripts,
        package=raw.build_system is not None and uv.package is not False,
        workspace=uv.workspace is not None,
        local=bool(paths) or uv.workspace is not None or any(entry.workspace for entry in sources),
        sources=names(tuple(project.dependencies)) & {_canonical(name) for name in uv.sources},
        poetry=raw.tool.poetry.dependencies is not None,
        is_project=raw.project is not None,
    )


def names(dependencies: tuple[str, ...]) -> frozenset[str]:
    """The canonical names in a list of requirements, extras of FastAPI's bundle included.

    Raises:
        LangError: one is no requirement.
    """
    found: set[str] = set()
    for text in dependencies:
        requirement = _requirement(text)
        found.add(_canonical(requirement.name))
        if requirement.name.lower() == "fastapi" and requirement.extras & _BUNDLES:
            found.add("uvicorn")
    return frozenset(found)


def requirements(files: AppFiles, path: str = REQUIREMENTS) -> Requirements | None:
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
    return Requirements(
        files=tuple(seen),
        names=frozenset(name for lines in seen.values() for name in lines.names),
        local=any(lines.local for lines in seen.values()),
    )


def _read_lines(text: str, file: str, top: str) -> _Lines:
    includes: list[str] = []
    required: set[str] = set()
    local = False
    for number, line in _logical_lines(text):
        if _CREDENTIAL.search(line):
            raise LangError(
                "holds a credential in plain text",
                file=file,
                line=number,
                hint="Write `${PIP_PASSWORD}` in its place, which pip replaces, and declare that secret for this app.",
            )
        include = _INCLUDE.fullmatch(line)
        directory = _LOCAL.match(line)
        name = _NAME.match(line)
        if include:
            includes.append(_beneath(file, include[2].strip(), line=number))
        elif directory:
            # pip reads a path relative to where it runs, an include relative to the file that includes it.
            _beneath(top, directory[1], line=number)
            local = True
        elif name:
            required.add(_canonical(name[0]))
            extras = re.match(r"\s*\[([^\]]*)\]", line[name.end() :])
            if extras and _BUNDLES & {extra.strip() for extra in extras[1].split(",")} and name[0].lower() == "fastapi":
                required.add("uvicorn")
    return _Lines(includes=tuple(includes), names=frozenset(required), local=local)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines of a requirements file with their numbers: continued ones joined, comments and blank ones gone."""
    found: list[tuple[int, str]] = []
    pending = ""
    for number, raw in enumerate(text.split("\n"), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw)
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        joined = (pending + line).strip()
        pending = ""
        if joined:
            found.append((number, joined))
    return found


def _beneath(file: str, path: str, *, line: int | None = None) -> str:
    """`path` as `file` names it, relative to the app."""
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


def _canonical(name: str) -> str:
    """A package's one name: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(text: object) -> "Requirement":
    # Start-up counts: `langs.registry`, which imports this module, is imported by every command.
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  (as said above)

    if _CREDENTIAL.search(str(text)):
        raise LangError(
            "`project.dependencies` holds a credential in plain text",
            file=FILE,
            hint="Put that requirement into requirements.txt, with a variable such as `${PIP_PASSWORD}` in its place.",
        )
    try:
        if isinstance(text, str):
            return Requirement(text)
    except (InvalidRequirement, RecursionError):
        pass
    raise LangError(
        f"{str(text)[:80]!r} in `project.dependencies` is not a requirement",
        file=FILE,
        hint='Write `"flask>=3,<4"`, as in PEP 508.',
    )
