"""A project of .NET and what around it belongs to its build: projects that it refers to, and files that govern it.

MSBuild and NuGet look for `Directory.*.props`, `global.json` and `nuget.config` in all directories above a project. So
where some lie around the app, or its references lead out of it, the build begins in the outermost directory that has
one, and sees the projects that the app refers to, and no others; of other directories the files that these name.
"""

import posixpath
from contextlib import suppress
from typing import Final

import msgspec

from langs import msbuild, workspace
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name
from langs.msbuild import Project

GLOBAL: Final = "global.json"
NUGET: Final = ("nuget.config", "NuGet.config", "NuGet.Config")
SOLUTIONS: Final = ("*.sln", "*.slnx")

_READ: Final = (".editorconfig", ".globalconfig", "stylecop.json", "*.ruleset", "*.snk")
"""What compilations read of the root."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app among projects. All paths are from the root."""

    root: AppFiles
    path: str
    project: Project
    """The app's own, as it stands in the root."""
    projects: tuple[Project, ...]
    """It, and all that it refers to."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The directories of the other projects."""
        directories = {posixpath.dirname(project.file) or "." for project in self.projects}
        return tuple(sorted(each for each in directories if not workspace.is_around(self.path, each)))

    @property
    def astray(self) -> bool:
        """Whether a project is made of files that lie outside of the root."""
        return any(project.astray for project in self.projects)

    def place(self, files: tuple[str, ...]) -> workspace.Place:
        """Where the app stands.

        Args:
            files: what restoring reads.

        Raises:
            LangError: a directory's name cannot stand in a Dockerfile.
        """
        read = (file for pattern in _READ for file in self.root.glob(pattern) if is_plain_name(file))
        sources = (path for project in self.projects for path in project.sources if path not in project.astray)
        mine = {posixpath.dirname(project.file) for project in self.projects}
        others = {posixpath.dirname(file) for file in msbuild.files_of(self.root)} - mine - {"", self.path}
        members = (each for each in sorted(others) if not any(workspace.is_around(each, own) for own in mine))
        return workspace.place(self.path, self.needed, files=(*files, *read, *sources), members=members)


def member_of(files: AppFiles, project: Project) -> Member | None:
    """The app among the projects around it; None where neither its references nor what governs it lie outside.

    Args:
        files: the app's.
        project: the one that is published.
    """
    found: Member | None = None
    for around in files.enclosing:
        path = files.root.relative_to(around.root).as_posix()
        governs = around.first(GLOBAL, *msbuild.PROPS, *NUGET) or any(around.glob(each) for each in SOLUTIONS)
        if not governs and not (found.astray if found else _leads_out(files, project)):
            continue
        # What cannot be built from here either may be so from further up.
        with suppress(LangError):
            own = msbuild.read(around, posixpath.join(path, project.file))
            if own is not None:
                member = Member(root=around, path=path, project=own, projects=msbuild.closure(around, own))
                found = member if governs or found is None or not member.astray else found
    return found


def _leads_out(files: AppFiles, project: Project) -> bool:
    try:
        return any(each.astray for each in msbuild.closure(files, project))
    except LangError:
        return True
