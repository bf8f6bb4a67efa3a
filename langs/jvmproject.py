"""What Maven or Gradle builds in an app's directory, and what in the directories around it holds it as a module."""

import functools
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from langs import gradle, mainclass, maven, workspace
from langs.files import AppFiles, is_plain_name, once
from langs.launch import Launch
from langs.model import Evidence

JAVA: Final = "java"
KOTLIN: Final = "kotlin"

_LOOKED_AT: Final = 40
"""How many modules of a project around the app are looked at: whoever has more has several apps."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A project of Maven or a build of Gradle."""

    file: str
    work: maven.Project | gradle.Build
    launches: tuple[Launch, ...] = ()
    """What of it can be started."""
    kotlin: Evidence | None = None
    """What shows that its sources are Kotlin; None for Java."""

    @property
    def tool(self) -> str:
        """What builds it."""
        return "maven" if isinstance(self.work, maven.Project) else "gradle"

    @property
    def language(self) -> str:
        """What its sources are written in."""
        return KOTLIN if self.kotlin else JAVA


@functools.lru_cache(maxsize=1)
@once
def find(files: AppFiles) -> Found | None:
    """What Maven or Gradle builds here; the answer is kept for the next language that asks of the same app.

    Raises:
        LangError: a file cannot be understood.
    """
    project = maven.read(files)
    if project is not None:
        launches = _strongest(maven.launch(files, module) for module in project.modules)
        return Found(
            file=project.root.pom.file,
            work=project,
            launches=launches,
            kotlin=_kotlin(
                files,
                _directories(launches, (module.directory for module in project.modules)),
                compiled=any(maven.kotlin(module) for module in project.modules),
            ),
        )
    build = gradle.read(files)
    if build is None:
        return None
    launches = _strongest(gradle.launch(files, project) for project in build.projects)
    return Found(
        file=files.first(*gradle.BUILDS, *gradle.SETTINGS) or gradle.SETTINGS[0],
        work=build,
        launches=launches,
        kotlin=_kotlin(
            files,
            _directories(launches, (project.directory for project in build.projects)),
            compiled=any(gradle.kotlin(build, project) for project in build.projects),
        ),
    )


def held(files: AppFiles, found: Found) -> bool:
    """Whether the app is what the project around it makes: that is built, and not its one module that starts."""
    above = maven.holder(files) if isinstance(found.work, maven.Project) else gradle.holder(files)
    return above is not None and _is_one_app(above)


@once
def _is_one_app(above: AppFiles) -> bool:
    """Whether one module at most of a project can be started."""
    around = _whole(above)
    if isinstance(around, maven.Project):
        starts = [maven.launch(above, each, guess=False) for each in around.modules[:_LOOKED_AT]]
    else:
        starts = [gradle.launch(above, each, guess=False) for each in around.projects[:_LOOKED_AT]] if around else []
    return len(starts) < _LOOKED_AT and sum(each is not None for each in starts) <= 1


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is a module of the project around it. All paths are from the root."""

    root: AppFiles
    path: str
    work: maven.Project | gradle.Build
    """The project around."""
    launches: tuple[Launch, ...]
    needed: tuple[str, ...]
    """The modules that it depends on."""

    @property
    def modules(self) -> tuple[str, ...]:
        """All modules but the root."""
        if isinstance(self.work, maven.Project):
            found = [module.directory for module in self.work.modules]
        else:
            found = [project.directory for project in self.work.projects]
        return tuple(directory for directory in found if directory)

    def place(self, manifests: Iterable[str]) -> workspace.Place:
        """Where the app stands.

        Raises:
            LangError: a directory's name cannot stand in a Dockerfile.
        """
        beside = self.root.glob("*.xml") if isinstance(self.work, maven.Project) else ()
        files = (*manifests, *(file for file in beside if is_plain_name(file)))
        packages = (directory or "." for directory in self.needed)
        return workspace.place(self.path, packages, files=files, members=self.modules)


@once
def member_of(files: AppFiles) -> Member | None:
    """The project around the app that it cannot be built without: it has what the app inherits, or its neighbours.

    Raises:
        LangError: a file cannot be understood.
    """
    if not files.enclosing or (found := find(files)) is None:
        return None
    above = maven.holder(files) if isinstance(found.work, maven.Project) else gradle.holder(files)
    around = _whole(above) if above else None
    if above is None or around is None:
        return None
    path = files.root.relative_to(above.root).as_posix()
    started: Launch | None = None
    needed: tuple[str, ...] = ()
    if isinstance(around, maven.Project):
        module = next((each for each in around.modules if each.directory == path), None)
        needed = maven.needed(around, module) if module else ()
        if module is None or not (needed or maven.inherits(files)):
            return None
        started = maven.launch(above, module)
    else:
        project = next((each for each in around.projects if each.directory == path), None)
        if project is None:
            return None
        needed, started = gradle.needed(around, project), gradle.launch(above, project)
    return Member(
        root=above, path=path, work=around, launches=(started,) if started else (), needed=tuple(sorted(needed))
    )


@once
def _whole(files: AppFiles) -> maven.Project | gradle.Build | None:
    """A project around apps, read once for all of them."""
    return maven.read(files) or gradle.read(files)


def _strongest(found: Iterable[Launch | None]) -> tuple[Launch, ...]:
    """All that builds say can be started; where they say nothing, what has a main method."""
    launches = tuple(each for each in found if each)
    return tuple(each for each in launches if not each.guessed) or launches


def _directories(launches: tuple[Launch, ...], all_: Iterable[str]) -> tuple[str, ...]:
    """The directories whose sources decide the language."""
    return tuple(each.directory for each in launches) or tuple(all_)


def _kotlin(files: AppFiles, directories: tuple[str, ...], *, compiled: bool) -> Evidence | None:
    """The first Kotlin source, when the build compiles Kotlin, or when nothing there is Java."""
    for directory in directories:
        found = mainclass.sources(files, directory)
        source = next((file for file in found if file.endswith(".kt")), None)
        if source and (compiled or not any(file.endswith(".java") for file in found)):
            return Evidence(file=source, reason="a Kotlin source")
    return None


def compilers(files: AppFiles) -> Iterator[tuple[str, str]]:
    """The versions of Kotlin that the app's modules are compiled with, and where they stand.

    Raises:
        LangError: a file cannot be understood.
    """
    work = (found := find(files)) and found.work
    if isinstance(work, maven.Project):
        said = [maven.kotlin(module) for module in work.modules]
    else:
        said = [gradle.kotlin(work, project) for project in work.projects] if work else []
    for each in said:
        if each and each[0]:
            yield each[0], each[1]
