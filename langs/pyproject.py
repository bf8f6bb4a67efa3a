"""pyproject.toml and requirements files: the parts of them that decide something, checked."""

import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from langs import versions
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name

FILE: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"

_INCLUDE: Final = re.compile(r"(-r|--requirement|-c|--constraint)(?:[ \t]+|=|(?<=-[rc]))[ \t]*(\S.*)")
_LOCAL: Final = re.compile(r"(?:-e[ \t]+|--editable[ =])?(?:file:)?(\.{1,2}(?:/|$)[^\s;\[]*)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MAX_INCLUDED: Final = 50


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


def read(files: AppFiles) -> Project | None:
    """The app's pyproject.toml, or None without one.

    Raises:
        LangError: it is no TOML, or a part of it has another type than its standard gives it.
    """
    if not files.exists(FILE) and files.read_text(FILE) is None:
        return None
    content = versions.read_toml(files, FILE)
    project = _table(content, "project")
    tool = _table(content, "tool")
    uv = _table(tool, "uv")
    dependencies: Any = project.get("dependencies", [])
    if not isinstance(dependencies, list):
        raise LangError("`project.dependencies` must be a list", file=FILE, hint="See PEP 621.")
    for text in dependencies:
        _requirement(text)
    return Project(
        name=_text(project, "name"),
        requires_python=_text(project, "requires-python"),
        dependencies=tuple(dependencies),
        scripts={name: text for name, text in _table(project, "scripts").items() if isinstance(text, str)},
        package="build-system" in content and uv.get("package") is not False,
        workspace="workspace" in uv,
        poetry="poetry" in tool and "dependencies" in _table(tool, "poetry"),
        is_project=bool(project),
    )


def names(dependencies: tuple[str, ...]) -> frozenset[str]:
    """The canonical names in a list of requirements, extras of FastAPI's bundle included.

    Raises:
        LangError: one is no requirement.
    """
    found: set[str] = set()
    for text in dependencies:
        requirement = _requirement(text)
        found.add(canonicalize_name(requirement.name))
        # The extra `standard` of FastAPI brings the server.
        if requirement.name.lower() == "fastapi" and requirement.extras & {"standard", "all"}:
            found.add("uvicorn")
    return frozenset(found)


def requirements(files: AppFiles, path: str = REQUIREMENTS) -> Requirements | None:
    """A requirements file and what it includes; None when it is absent.

    Raises:
        LangError: an included file is absent or lies outside of the app, or there are too many.
    """
    if not files.exists(path) and files.read_text(path) is None:
        return None
    seen: dict[str, None] = {}
    required: list[str] = []
    local = False
    waiting = [path]
    while waiting:
        file = waiting.pop(0)
        if file in seen:
            continue
        seen[require_plain_name(file)] = None
        if len(seen) > _MAX_INCLUDED:
            raise LangError(f"includes more than {_MAX_INCLUDED} files", file=path, hint="Write one file.")
        text = files.read_text(file)
        if text is None:
            raise LangError(f"includes {file!r}, which is not there", file=path, hint="Add it, or remove its line.")
        for number, line in enumerate(_logical_lines(text), start=1):
            include = _INCLUDE.fullmatch(line)
            if include:
                waiting.append(_beneath(file, include[2].strip(), line=number))
            elif (directory := _LOCAL.match(line)) is not None:
                _beneath(path, directory[1], line=number)
                local = True
            elif (name := _NAME.match(line)) is not None:
                required.append(name[0])
                if name[0].lower() == "fastapi" and re.match(r"\s*\[[^\]]*\b(standard|all)\b", line[name.end() :]):
                    required.append("uvicorn")
    return Requirements(files=tuple(seen), names=frozenset(canonicalize_name(name) for name in required), local=local)


def _logical_lines(text: str) -> list[str]:
    """The lines of a requirements file: continued ones joined, comments and blank ones gone."""
    joined = re.sub(r"\\\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.split("\n"))
    return [line for line in lines if line]


def _beneath(file: str, path: str, *, line: int) -> str:
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


def _requirement(text: object) -> Requirement:
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


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise LangError(f"`{key}` must be a table", file=FILE, hint="Correct it.")
    return value


def _text(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None
