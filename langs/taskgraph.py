"""Which task of which package of a workspace comes before which, as a tool that runs tasks says it.

Turborepo, Nx and moon are modules that read what is said of all members into a `Graph`; here is what it means for one
app: which packages, and which files beside them, its build needs that no manifest names. What is asked of a package is
its task `build`, and whatever tasks ask of the packages that they depend on; rather one too many than one too few.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias

import msgspec

from langs.files import AppFiles, is_plain_name
from langs.packagejson import PackageJson

BUILD: Final = "build"
ROOT: Final = "."
"""The workspace's own directory, as the place of a task."""

Members: TypeAlias = Mapping[str, PackageJson]
"""All members of a workspace, by their directories."""

_GLOB: Final = frozenset("*?[]{}!")


class Tool(Protocol):
    """One tool: a module with these names."""

    @property
    def NAME(self) -> str:  # noqa: N802  (a module's constant)
        """The program."""
        ...

    @property
    def PACKAGE(self) -> str:  # noqa: N802  (a module's constant)
        """The npm package that brings it."""
        ...

    @property
    def ENVIRONMENT(self) -> tuple[tuple[str, str], ...]:  # noqa: N802  (a module's constant)
        """Variables of all steps: it sends nothing, and leaves nothing running."""
        ...

    @property
    def CACHE(self) -> str | None:  # noqa: N802  (a module's constant)
        """Where it may keep results between builds; None where it cannot be told a place."""
        ...

    @property
    def TIDY(self) -> str:  # noqa: N802  (a module's constant)
        """Removes what it leaves among the sources, which differs from run to run."""
        ...

    def read(self, root: AppFiles, members: Members) -> "Graph | None":
        """What it says of all members; None where it is not configured.

        Raises:
            LangError: a file of its configuration cannot be understood.
        """
        ...

    def command(self, graph: "Graph", targets: tuple[str, ...], cache: str | None, *, fresh: bool) -> str:
        """The command line that runs the task `build` of members, and all that comes before.

        Args:
            graph: what it says.
            targets: the members' directories.
            cache: where it keeps results.
            fresh: whether no result that it kept may be used.
        """
        ...


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task of one package."""

    own: tuple[str, ...] = ()
    """Tasks of the same package that come before it."""
    dependencies: tuple[str, ...] = ()
    """Tasks of all packages that it depends on which come before it."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Tasks of packages that are named: the directory, and the task."""
    inputs: tuple[str, ...] = ()
    """Patterns of files that it reads outside of its package, from the root."""
    runs: bool = True
    """Whether there is something to run."""
    kept: bool = False
    """Whether it says what it writes, so that a result that was kept is a whole one."""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool says of all members."""

    tasks: Mapping[str, Mapping[str, Task]]
    """By the package's directory, and the task's name."""
    names: Mapping[str, str] = {}
    """What the tool calls the packages, by their directories."""
    needs: Mapping[str, tuple[str, ...]] = {}
    """Packages that others depend on, whatever their manifests say."""
    inputs: tuple[str, ...] = ()
    """Patterns of files that all tasks read, from the root."""
    files: tuple[str, ...] = ()
    """What the tool itself reads, from the root."""
    variables: tuple[str, ...] | None = None
    """The names of the variables that tasks see, and patterns of them; None: they see all."""
    asked: frozenset[str] = frozenset({BUILD})
    """The names of the tasks that `build` may lead to."""

    def has(self, place: str, name: str = BUILD) -> bool:
        """Whether a package has a task of this name."""
        return name in self.tasks.get(place, {})

    def of(self, places: Iterable[str]) -> Iterator[Task]:
        """The tasks of these packages that their builds may need, and those of others that they name."""
        pending = [(place, name) for place in places for name in sorted(self.asked)]
        seen: set[tuple[str, str]] = set()
        while pending:
            place, name = pending.pop()
            task = self.tasks.get(place, {}).get(name)
            if task is None or (place, name) in seen:
                continue
            seen.add((place, name))
            pending += [(place, each) for each in task.own]
            pending += task.elsewhere
            yield task

    def beside(self, place: str) -> tuple[str, ...]:
        """The packages that one needs, whatever its manifest says; nothing is asked of the workspace itself."""
        if place == ROOT:
            return ()
        named = (each for task in self.of((place,)) for each, _ in task.elsewhere)
        return tuple(each for each in dict.fromkeys((*self.needs.get(place, ()), *named)) if each not in {ROOT, place})

    def of_root(self, places: Iterable[str]) -> tuple[str, ...]:
        """The names of the tasks of the workspace itself that these packages need."""
        pending = [name for task in self.of(places) for place, name in task.elsewhere if place == ROOT]
        found: dict[str, None] = {}
        while pending:
            name = pending.pop()
            if name not in found:
                found[name] = None
                task = self.tasks.get(ROOT, {}).get(name)
                pending += task.own if task else ()
        return tuple(found)

    def hidden(self, root: AppFiles, places: Iterable[str]) -> tuple[str, ...]:
        """What the build of these packages reads beside them: files and directories of the root.

        A pattern stands for the directory that it begins with. One that begins with none is looked for at the top, and
        a directory that holds members is nobody's: what is needed of those is known.
        """
        inputs = dict.fromkeys((*self.inputs, *(each for task in self.of(places) for each in task.inputs)))
        found: dict[str, None] = {}
        for pattern in inputs:
            for path in _paths(root, pattern):
                if path not in self.tasks and not any(each.startswith(f"{path}/") for each in self.tasks):
                    found[path] = None
        return (*self.files, *found)


def asked(graph: Graph) -> Graph:
    """The same graph, with the names of all tasks that `build` may lead to, of whichever package."""
    by_name: dict[str, set[str]] = {}
    for tasks in graph.tasks.values():
        for name, task in tasks.items():
            by_name.setdefault(name, set()).update(
                (*task.own, *task.dependencies, *(each for _, each in task.elsewhere))
            )
    found, pending = {BUILD}, [BUILD]
    while pending:
        following = by_name.get(pending.pop(), set()) - found
        found |= following
        pending += following
    return msgspec.structs.replace(graph, asked=frozenset(found))


def _paths(root: AppFiles, pattern: str) -> tuple[str, ...]:
    path = posixpath.normpath(pattern)
    if pattern.startswith("!") or path.startswith(("/", "..")) or path == ".":
        return ()
    parts = path.split("/")
    plain = next((index for index, part in enumerate(parts) if _GLOB & set(part)), len(parts))
    begin = "/".join(parts[:plain])
    if not begin:
        return tuple(each for each in root.glob(path) if is_plain_name(each)) if len(parts) == 1 else ()
    is_there = root.has_directory(begin) or (plain == len(parts) and root.exists(begin))
    return (begin,) if is_there and is_plain_name(begin) else ()
