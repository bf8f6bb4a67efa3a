"""uv's workspaces: an app in one is installed by the lockfile at its root, with the members that it depends on.

The dependencies of all members are installed first, so that the apps of one workspace have that layer in common; what
the app does not need is taken out again, in the next step. Only then come the sources: the members are installed where
they stand (https://docs.astral.sh/uv/concepts/projects/workspaces/).
"""

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from langs import documents, pyproject, workspace
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, once
from langs.pyproject import Project
from langs.requirements import canonical

LOCK: Final = "uv.lock"
ROOT: Final = "."
_READ: Final = (pyproject.FILE, LOCK, ".python-version", "uv.toml")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SYNC: Final = 'uv sync --frozen --no-dev --python "$(command -v python)"'


class _Workspace(msgspec.Struct):
    members: list[str] = []
    exclude: list[str] = []


class _Uv(msgspec.Struct):
    workspace: _Workspace | None = None
    conflicts: object = None


class _Tool(msgspec.Struct):
    uv: _Uv = msgspec.field(default_factory=_Uv)


class _Raw(msgspec.Struct):
    tool: _Tool = msgspec.field(default_factory=_Tool)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app in a workspace. All paths are from the root."""

    root: AppFiles
    path: str
    name: str
    """What uv calls it."""
    needed: tuple[str, ...]
    """The members that it depends on."""
    members: tuple[str, ...]
    together: bool
    """Whether everything can be installed into one environment."""

    @property
    def everything(self) -> str:
        """Installs the dependencies of all members, or of the app where those contradict each other."""
        return f"{_SYNC} --all-packages --no-install-workspace" if self.together else self.own

    @property
    def own(self) -> str:
        """Leaves those of the app."""
        return f"{_SYNC} --package {self.name} --no-install-workspace"

    @property
    def installed(self) -> str:
        """Installs the app and the members that it depends on."""
        return f"{_SYNC} --package {self.name}"

    @property
    def context(self) -> str:
        """The way from the app's directory to the root."""
        return posixpath.relpath(ROOT, self.path)

    @property
    def manifests(self) -> tuple[str, ...]:
        """What an installation of dependencies reads."""
        places = sorted((self.path, *self.members))
        return (
            *(name for name in _READ if self.root.exists(name)),
            *(f"{path}/{pyproject.FILE}" for path in dict.fromkeys(places) if path != ROOT),
        )

    @property
    def gone(self) -> tuple[str, ...]:
        """What is there of other members when everything is installed."""
        kept = {self.path, *self.needed, ROOT}
        return tuple(f"{path}/{pyproject.FILE}" for path in self.members if path not in kept)

    @property
    def place(self) -> workspace.Place:
        """Where the app stands.

        Raises:
            LangError: a directory's name cannot stand in a Dockerfile.
        """
        return workspace.place(
            self.path, self.needed, files=self.manifests, members=(each for each in self.members if each != ROOT)
        )

    def check(self) -> None:
        """Whether it can be built.

        Raises:
            LangError: there is no lockfile, or the app's name is none.
        """
        if not self.root.exists(LOCK):
            raise LangError(
                f"the workspace that holds the app has no {LOCK}",
                file=posixpath.join(self.context, pyproject.FILE),
                hint="Run `uv lock` and commit what it writes.",
            )
        if not _NAME.fullmatch(self.name):
            raise LangError(
                f"project.name: {self.name[:80]!r} is no name of a package",
                file=pyproject.FILE,
                hint="Use letters, digits and . _ - in it.",
            )


@once
def member_of(files: AppFiles) -> Member | None:
    """The workspace around the app that it is a member of, unless it has a lockfile or requirements of its own.

    Raises:
        LangError: a pyproject.toml cannot be understood.
    """
    project = pyproject.read(files) if files.enclosing else None
    if project is None or project.name is None or project.workspace or files.exists(LOCK):
        return None
    for root in files.enclosing:
        said = _read(root)
        if said is None or said.workspace is None:
            continue
        members = _members(root)
        path = files.root.relative_to(root.root).as_posix()
        if path not in members:
            continue
        needed = _needed(members, path)
        return Member(
            root=root,
            path=path,
            name=project.name,
            needed=tuple(sorted(needed)),
            members=tuple(members),
            together=not said.conflicts,
        )
    return None


@once
def _read(files: AppFiles) -> _Uv | None:
    text = files.read_text(pyproject.FILE) or ""
    # Most files around an app say nothing of a workspace, and need not be read twice.
    return documents.toml_as(text, _Raw, pyproject.FILE).tool.uv if "workspace" in text else None


@once
def _members(root: AppFiles) -> Mapping[str, Project]:
    """The members' directories, the root's own among them; one that cannot be read is nobody's neighbour."""
    said = _read(root)
    stated = said.workspace if said and said.workspace else _Workspace()
    excluded = [posixpath.normpath(pattern) for pattern in stated.exclude]
    places = {path for pattern in stated.members for path in root.directories(pattern)}
    found: dict[str, Project] = {}
    for path in sorted(places):
        if not is_plain_name(path) or any(fnmatch.fnmatchcase(path, pattern) for pattern in excluded):
            continue
        project = _project(root.below_at(path))
        if project is not None and project.name:
            found[path] = project
    own = _project(root)
    return {ROOT: own, **found} if own is not None and own.name else found


def _project(files: AppFiles) -> Project | None:
    try:
        return pyproject.read(files)
    except LangError:
        return None


def _needed(members: Mapping[str, Project], path: str) -> frozenset[str]:
    by_name = {canonical(cast("str", project.name)): each for each, project in members.items()}
    found: set[str] = set()
    queue = [path]
    while queue:
        for name in members[queue.pop()].names:
            place = by_name.get(name)
            if place is not None and place != path and place not in found:
                found.add(place)
                queue.append(place)
    return frozenset(found)
