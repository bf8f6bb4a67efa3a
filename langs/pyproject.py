"""pyproject.toml: the parts of it that decide something, checked."""

import functools
import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from langs import documents, requirements
from langs.files import AppFiles, once
from langs.requirements import beneath, canonical

FILE: Final = "pyproject.toml"
_BESIDE: Final = r"@\s*file:///\$\{PROJECT_ROOT\}/([^\s;#]*)"


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


class _Poetry(msgspec.Struct, rename="kebab"):
    name: object = None
    dependencies: dict[str, object] | None = None
    scripts: dict[str, object] = {}
    package_mode: bool = True


class _Pdm(msgspec.Struct, rename="kebab"):
    distribution: bool | None = None
    scripts: dict[str, object] = {}


class _Tool(msgspec.Struct):
    pdm: _Pdm = msgspec.field(default_factory=_Pdm)
    uv: _Uv = msgspec.field(default_factory=_Uv)
    poetry: _Poetry = msgspec.field(default_factory=_Poetry)


class _Raw(msgspec.Struct, rename="kebab"):
    project: _Table | None = None
    build_system: object = None
    tool: _Tool = msgspec.field(default_factory=_Tool)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a project's declaration: pyproject.toml, or what stood before it."""

    file: str = FILE
    name: str | None = None
    requires_python: str | None = None
    poetry_python: str | None = None
    """The same in Poetry's own table and syntax."""
    dependencies: tuple[str, ...] = ()
    """Requirements as written, each a legal PEP 508 one."""
    names: frozenset[str] = frozenset()
    """Canonical names of the packages required, those in Poetry's table included."""
    scripts: Mapping[str, str] = {}
    commands: Mapping[str, str] = {}
    """The command lines that `pdm run NAME` stands for."""
    distribution: bool | None = None
    """Whether PDM installs the project itself, where it says so."""
    package: bool = False
    """Whether the project itself is installed: it has a build system, and uv is not told otherwise."""
    workspace: bool = False
    local: bool = False
    """Whether other projects in the app's own directory are among its dependencies."""
    sources: frozenset[str] = frozenset()
    """Canonical names of the dependencies that uv alone finds, by `tool.uv.sources`."""
    poetry: bool = False
    """Whether its dependencies stand in Poetry's own table."""
    poetry_package: bool = False
    """Whether Poetry would install the project itself."""
    is_project: bool = False
    """False for a file that only configures tools."""
    computed: bool = False
    """Whether the dependencies are found out only by running the project's own code."""


@functools.lru_cache(maxsize=4)  # detection and build ask for the same file of the same app
@once
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
    named = requirements.named(project.dependencies, file=FILE, key="project.dependencies")
    uv, poetry, pdm = raw.tool.uv, raw.tool.poetry, raw.tool.pdm
    wanted = poetry.dependencies or {}
    sources = [entry for value in uv.sources.values() for entry in (value if isinstance(value, list) else [value])]
    paths = [beneath(FILE, entry.path) for entry in sources if entry.path is not None]
    paths += [beneath(FILE, path) for path in (*_paths(wanted), *_beside(project.dependencies))]
    return Project(
        name=project.name or (poetry.name if isinstance(poetry.name, str) else None),
        requires_python=project.requires_python,
        poetry_python=_poetry_python(wanted.get("python")),
        dependencies=tuple(project.dependencies),
        names=named | (requirements.keys(wanted) - {"python"}),
        scripts={**dict.fromkeys(poetry.scripts, ""), **project.scripts},
        commands={name: command for name, said in pdm.scripts.items() if (command := _command(said)) is not None},
        distribution=pdm.distribution,
        package=raw.build_system is not None and uv.package is not False,
        workspace=uv.workspace is not None,
        local=bool(paths) or uv.workspace is not None or any(entry.workspace for entry in sources),
        sources=named & {canonical(name) for name in uv.sources},
        poetry=poetry.dependencies is not None,
        poetry_package=poetry.package_mode,
        is_project=raw.project is not None,
    )


def _poetry_python(said: object) -> str | None:
    """Poetry's word on Python, as a string or with other keys beside it."""
    version = _key(said, "version") or said
    return version if isinstance(version, str) else None


def _beside(dependencies: list[str]) -> list[str]:
    """Where the projects lie that are named relative to this one: `money @ file:///${PROJECT_ROOT}/money`."""
    return [found[1] for text in dependencies if (found := re.search(_BESIDE, text))]


def _command(said: object) -> str | None:
    """The command line of a script of PDM: the text itself, or that under `cmd` or `shell`."""
    text = _key(said, "cmd") or _key(said, "shell") or said
    return text if isinstance(text, str) else None


def _paths(wanted: Mapping[str, object]) -> list[str]:
    """Where Poetry's path dependencies lie."""
    return [path for said in wanted.values() if isinstance(path := _key(said, "path"), str)]


def _key(said: object, key: str) -> object:
    """A key of what may be a table."""
    return cast("dict[str, object]", said).get(key) if isinstance(said, dict) else None
