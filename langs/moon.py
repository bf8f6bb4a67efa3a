"""moon: tasks of each project's moon.yml, and those of .moon/tasks.yml, which projects inherit.

https://moonrepo.dev/docs/config. It finds its tools on the PATH: the image has the Node.js that the app asks for, and
what moon would download instead is another one. It keeps its results in the workspace, where no cache can be given to
it, so that every build runs all tasks.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from langs import render, yamltext
from langs.documents import items, table
from langs.files import AppFiles
from langs.taskgraph import BUILD, Graph, Members, Task

NAME: Final = "moon"
PACKAGE: Final = "@moonrepo/cli"
ENVIRONMENT: Final = (("MOON_TOOLCHAIN_FORCE_GLOBALS", "true"),)
CACHE: Final = None
TIDY: Final = "rm -rf .moon/cache"

DIRECTORY: Final = ".moon"
PROJECT: Final = "moon.yml"
_WORKSPACE: Final = f"{DIRECTORY}/workspace.yml"
_SHARED: Final = (
    f"{DIRECTORY}/tasks.yml",
    *(f"{DIRECTORY}/tasks/{name}.yml" for name in ("all", "node", "javascript", "typescript")),
)
"""What projects of Node.js inherit, where no condition is said."""
_CONFIGURATION: Final = (f"{DIRECTORY}/*", f"{DIRECTORY}/tasks/*", f"{DIRECTORY}/tasks/*/*")


def read(root: AppFiles, members: Members) -> Graph | None:
    """What the workspace's files and those of the projects say.

    Raises:
        LangError: one is no YAML.
    """
    if not root.exists(_WORKSPACE):
        return None
    projects = table(_read(root, _WORKSPACE).get("projects"))
    sources = table(projects.get("sources")) if "sources" in projects or "globs" in projects else projects
    called = {posixpath.normpath(place): name for name, place in sources.items() if isinstance(place, str)}
    shared = [said for said in (_read(root, file) for file in _SHARED) if "inheritedBy" not in said]
    inherited = {name: table(task) for said in shared for name, task in table(said.get("tasks")).items()}
    said_of = {path: _of_project(root, path) for path in members}
    names = {path: _name(path, said, called) for path, said in said_of.items()}
    by_name = {name: path for path, name in names.items()}
    tasks: dict[str, dict[str, Task]] = {}
    for path, said in said_of.items():
        own = {name: table(task) for name, task in table(said.get("tasks")).items()}
        merged = {**inherited, **{name: {**inherited.get(name, {}), **task} for name, task in own.items()}}
        tasks[path] = {name: _task(task, by_name) for name, task in merged.items()}
    configuration = (file for pattern in _CONFIGURATION for file in root.glob(pattern))
    described = (posixpath.join(path, PROJECT) for path in members)
    return Graph(
        tasks=tasks,
        names=names,
        needs={path: tuple(_needs(said, by_name)) for path, said in said_of.items()},
        # Projects are called as these say, also those whose sources are not there.
        files=(*dict.fromkeys(configuration), *(file for file in described if root.exists(file))),
    )


def command(graph: Graph, targets: tuple[str, ...], cache: str | None, *, fresh: bool) -> str:  # noqa: ARG001 -- as all
    """Each task by its project's name."""
    return render.words(("moon", "run", *(f"{graph.names[path]}:{BUILD}" for path in targets)))


def _name(path: str, said: Mapping[str, object], called: Mapping[str, str]) -> str:
    own = said.get("id")
    return own if isinstance(own, str) else called.get(path, posixpath.basename(path))


def _needs(said: Mapping[str, object], by_name: Mapping[str, str]) -> Iterator[str]:
    for each in items(said.get("dependsOn")):
        name = each if isinstance(each, str) else table(each).get("id")
        if isinstance(name, str) and name in by_name:
            yield by_name[name]


def _task(said: Mapping[str, object], by_name: Mapping[str, str]) -> Task:
    own: list[str] = []
    dependencies: list[str] = []
    elsewhere: list[tuple[str, str]] = []
    deps = said.get("deps")
    for each in [deps] if isinstance(deps, str) else items(deps):
        target = each if isinstance(each, str) else table(each).get("target")
        if not isinstance(target, str):
            continue
        scope, colon, name = target.partition(":")
        if scope == "^":
            dependencies.append(name)
        elif not colon or scope == "~":
            own.append(name or target)
        elif scope in by_name:
            elsewhere.append((by_name[scope], name))
    return Task(
        own=tuple(own),
        dependencies=tuple(dependencies),
        elsewhere=tuple(elsewhere),
        inputs=tuple(_inputs(said.get("inputs"))),
        kept=bool(said.get("outputs")),
    )


def _inputs(said: object) -> Iterator[str]:
    """Those of the root begin with a slash."""
    for each in items(said):
        entry = table(each)
        text = each if isinstance(each, str) else entry.get("file") or entry.get("glob")
        if isinstance(text, str) and text.startswith("/"):
            yield text.lstrip("/")


def _of_project(root: AppFiles, path: str) -> dict[str, object]:
    return _read(root, posixpath.join(path, PROJECT))


def _read(root: AppFiles, file: str) -> dict[str, object]:
    text = root.read_text(file) if root.exists(file) else None
    return table(yamltext.load(text, file)) if text else {}
