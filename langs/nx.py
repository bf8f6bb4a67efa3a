"""Nx: targets of project.json, of `nx` in package.json, or its scripts, over the defaults of nx.json.

https://nx.dev/reference/project-configuration. Targets that plugins infer are not known before they run; where a
package has a `build` script beside, it is taken for one of them. Its tasks see all variables, and what a plain target
keeps may not be all that it wrote.
"""

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping
from typing import Final

from langs import jsonc, packagejson, render
from langs.documents import items, table, texts
from langs.files import AppFiles
from langs.packagejson import PackageJson
from langs.taskgraph import BUILD, Graph, Members, Task

NAME: Final = "nx"
PACKAGE: Final = "nx"
ENVIRONMENT: Final = (
    ("NX_DAEMON", "false"),
    ("NX_NO_CLOUD", "true"),
    ("NX_TUI", "false"),
    ("NX_CACHE_DIRECTORY", "/tmp/nx/cache"),  # noqa: S108  (in an image)
    ("NX_WORKSPACE_DATA_DIRECTORY", "/tmp/nx/data"),  # noqa: S108  (in an image)
)
CACHE: Final = None
"""Beside what it keeps stands what it knows of all projects, and of these another build has others."""
TIDY: Final = "rm -rf .nx /tmp/nx"

FILE: Final = "nx.json"
PROJECT: Final = "project.json"
_AT_ROOT: Final = "{workspaceRoot}/"
_OF_DEPENDENCIES: Final = frozenset({"dependencies", "{dependencies}"})
_OWN: Final = frozenset({"self", "{self}"})


def read(root: AppFiles, members: Members) -> Graph | None:
    """What nx.json and the projects say.

    Raises:
        LangError: a file is no JSON.
    """
    if not root.exists(FILE):
        return None
    said = _read(root, FILE)
    defaults = table(said.get("targetDefaults"))
    projects = {path: _Project(root, path, package) for path, package in members.items()}
    by_name = {project.name: path for path, project in projects.items()}
    return Graph(
        tasks={path: project.tasks(defaults, by_name) for path, project in projects.items()},
        names={path: project.name for path, project in projects.items()},
        needs={path: _named(project.implicit, by_name) for path, project in projects.items()},
        inputs=tuple(_inputs(said.get("namedInputs"))),
        # Projects are called as these say, also those whose sources are not there.
        files=(FILE, *(path for path in (".nxignore", PROJECT) if root.exists(path)), *_files(projects.values())),
    )


def command(graph: Graph, targets: tuple[str, ...], cache: str | None, *, fresh: bool) -> str:  # noqa: ARG001 -- as all
    """One project's target, or those of several."""
    names = [graph.names[path] for path in targets]
    words = ["nx", "run", f"{names[0]}:{BUILD}"] if len(names) == 1 else []
    words = words or ["nx", "run-many", f"--targets={BUILD}", f"--projects={','.join(names)}"]
    return render.words((*words, "--output-style=stream"))


class _Project:
    """One project: a member with what Nx's own files say of it."""

    def __init__(self, root: AppFiles, path: str, package: PackageJson) -> None:
        self.path = path
        self._file = posixpath.join(path, PROJECT)
        self.has_file = root.exists(self._file)
        said = _read(root, self._file) if self.has_file else {}
        manifest = table(_read(root, posixpath.join(path, packagejson.FILE)).get("nx"))
        included = manifest.get("includedScripts")
        scripts = package.scripts if included is None else [*texts(included)]
        self.targets: dict[str, dict[str, object]] = {name: {} for name in scripts}
        self.targets |= _targets(manifest) | _targets(said)
        self.implicit = (*texts(manifest.get("implicitDependencies")), *texts(said.get("implicitDependencies")))
        name = said.get("name") or manifest.get("name")
        self.name = name if isinstance(name, str) else package.name or posixpath.basename(path)

    @property
    def file(self) -> str | None:
        return self._file if self.has_file else None

    def tasks(self, defaults: Mapping[str, object], by_name: Mapping[str, str]) -> Mapping[str, Task]:
        found: dict[str, Task] = {}
        for name, said in self.targets.items():
            executor = said.get("executor")
            default = table(defaults.get(executor)) if isinstance(executor, str) else {}
            merged = {**(default or table(defaults.get(name))), **said}
            found[name] = _task(merged, by_name)
        return found


def _task(said: Mapping[str, object], by_name: Mapping[str, str]) -> Task:
    own: list[str] = []
    dependencies: list[str] = []
    elsewhere: list[tuple[str, str]] = []
    for each in items(said.get("dependsOn")):
        if isinstance(each, str):
            project, colon, name = each.partition(":")
            if each.startswith("^"):
                dependencies.append(each[1:])
            elif colon and project in by_name:
                elsewhere.append((by_name[project], name))
            else:
                own.append(each)
            continue
        entry = table(each)
        target, projects = entry.get("target"), texts(entry.get("projects"))
        if not isinstance(target, str):
            continue
        if entry.get("dependencies") or not _OF_DEPENDENCIES.isdisjoint(projects):
            dependencies.append(target)
        elif not projects or not _OWN.isdisjoint(projects):
            own.append(target)
        elsewhere += [(place, target) for place in _named(projects, by_name)]
    kept = bool(texts(said.get("outputs"))) or said.get("cache") is False
    return Task(
        own=tuple(own),
        dependencies=tuple(dependencies),
        elsewhere=tuple(elsewhere),
        inputs=tuple(_inputs(said.get("inputs"))),
        kept=kept,
    )


def _named(said: Iterable[str], by_name: Mapping[str, str]) -> tuple[str, ...]:
    """The directories of the projects that names, and patterns of names, mean."""
    return tuple(path for each in said for name, path in by_name.items() if fnmatch.fnmatchcase(name, each))


def _inputs(said: object) -> Iterable[str]:
    """What is said of files of the root, however deep it stands: inputs have names, which stand for more of them."""
    pending = [said]
    while pending:
        each = pending.pop()
        if isinstance(each, str) and each.startswith(_AT_ROOT):
            yield each.removeprefix(_AT_ROOT)
        pending += [*items(each), *table(each).values()]


def _targets(said: Mapping[str, object]) -> dict[str, dict[str, object]]:
    return {name: table(target) for name, target in table(said.get("targets")).items()}


def _files(projects: Iterable[_Project]) -> Iterable[str]:
    return (project.file for project in projects if project.file)


def _read(root: AppFiles, file: str) -> dict[str, object]:
    return jsonc.parse(root.read_text(file) or "{}", dict[str, object], file)
