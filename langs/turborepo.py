"""Turborepo: turbo.json at the root says which tasks there are, and one in a package what is different there.

https://turborepo.com/docs/reference/configuration, and its predecessor of 1.x, in which `tasks` was `pipeline`. A
task's results are kept by what it reads and by the variables that turbo.json names, and it sees no others.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from langs import jsonc, render
from langs.documents import table, texts
from langs.files import AppFiles
from langs.taskgraph import BUILD, ROOT, Graph, Members, Task

NAME: Final = "turbo"
PACKAGE: Final = "turbo"
ENVIRONMENT: Final = (("TURBO_TELEMETRY_DISABLED", "1"), ("TURBO_NO_UPDATE_NOTIFIER", "1"))
CACHE: Final = "/root/.cache/turbo"
TIDY: Final = "find . -name node_modules -prune -o -name .turbo -prune -exec rm -rf {} +"
"""Its logs hold times."""

FILES: Final = ("turbo.json", "turbo.jsonc")
_AT_ROOT: Final = "$TURBO_ROOT$/"
_ROOT_TASK: Final = "//#"
_INFERRED: Final = (
    *("ASTRO_PUBLIC_*", "EXPO_PUBLIC_*", "GATSBY_*", "NEXT_PUBLIC_*", "NITRO_*", "NUXT_*", "NUXT_PUBLIC_*", "PUBLIC_*"),
    *("REACT_APP_*", "REDWOOD_ENV_*", "SANITY_STUDIO_*", "VITE_*", "VUE_APP_*"),
    *("CI", "HOME", "LANG", "NODE_OPTIONS", "PATH", "SHELL", "TURBO_*", "TZ", "USER"),
)
"""What frameworks' tasks, and all, see without a word."""

_Said = Mapping[str, Mapping[str, object]]
"""What is said of tasks, by their names."""


def read(root: AppFiles, members: Members) -> Graph | None:
    """What turbo.json and those of the members say.

    Raises:
        LangError: one is no JSON with comments.
    """
    said = _read(root, "")
    if not said:
        return None
    tasks = _tasks(said)
    by_name = {package.name: path for path, package in members.items() if package.name}
    generic = {name: task for name, task in tasks.items() if "#" not in name}
    graph: dict[str, dict[str, Task]] = {}
    for path, package in members.items():
        own = {
            name.rpartition("#")[2]: task
            for name, task in tasks.items()
            if package.name and name.startswith(f"{package.name}#")
        }
        merged: _Said = {**generic, **own}
        for name, task in _tasks(_read(root, path)).items():
            merged = {**merged, name: {**merged.get(name, {}), **task}}
        graph[path] = {name: _task(task, path, by_name, runs=name in package.scripts) for name, task in merged.items()}
    graph[ROOT] = {
        name.removeprefix(_ROOT_TASK): _task(task, ROOT, by_name, runs=True)
        for name, task in tasks.items()
        if name.startswith(_ROOT_TASK)
    }
    return Graph(
        tasks=graph,
        inputs=texts(said.get("globalDependencies")),
        files=tuple(file for file in FILES if root.exists(file)),
        variables=_variables(said, tasks),
    )


def command(graph: Graph, targets: tuple[str, ...], cache: str | None, *, fresh: bool) -> str:  # noqa: ARG001 -- as all
    """Directories select packages, whatever these are called; with three dots, all that they depend on, too."""
    words = ["turbo", "run", BUILD, "--no-daemon"]
    words += [f"--cache-dir={cache}"] if cache else []
    words += ["--force"] if fresh else []
    return render.words((*words, *(f"--filter=./{path}..." for path in targets)))


def _read(root: AppFiles, path: str) -> dict[str, object]:
    for name in FILES:
        file = posixpath.join(path, name)
        text = root.read_text(file) if root.exists(file) else None
        if text is not None:
            return jsonc.parse(text, dict[str, object], file)
    return {}


def _tasks(said: Mapping[str, object]) -> _Said:
    found = table(said.get("tasks")) or table(said.get("pipeline"))
    return {name: table(task) for name, task in found.items()}


def _task(said: Mapping[str, object], path: str, by_name: Mapping[str, str], *, runs: bool) -> Task:
    own: list[str] = []
    dependencies: list[str] = []
    elsewhere: list[tuple[str, str]] = []
    for each in texts(said.get("dependsOn")):
        package, hash_, name = each.partition("#")
        if each.startswith(_ROOT_TASK):
            elsewhere.append((ROOT, name))
        elif hash_ and package in by_name:
            elsewhere.append((by_name[package], name))
        elif each.startswith("^"):
            dependencies.append(each[1:])
        elif not each.startswith("$") and not hash_:
            own.append(each)
    return Task(
        own=tuple(own),
        dependencies=tuple(dependencies),
        elsewhere=tuple(elsewhere),
        inputs=tuple(_inputs(texts(said.get("inputs")), path)),
        runs=runs,
        kept=not runs or bool(texts(said.get("outputs"))) or said.get("cache") is False,
    )


def _inputs(said: tuple[str, ...], path: str) -> Iterator[str]:
    """Those that lie outside of the package."""
    for each in said:
        if each.startswith(_AT_ROOT):
            yield each.removeprefix(_AT_ROOT)
        elif path == ROOT:
            yield each
        elif each.startswith("../"):
            yield posixpath.normpath(posixpath.join(path, each))


def _variables(said: Mapping[str, object], tasks: _Said) -> tuple[str, ...] | None:
    """What tasks see: all, where turbo.json says so, or is one of 1.x, which may have been told so elsewhere."""
    if said.get("envMode") == "loose" or "tasks" not in said:
        return None
    named = [*texts(said.get("globalEnv")), *texts(said.get("globalPassThroughEnv"))]
    for task in tasks.values():
        named += [*texts(task.get("env")), *texts(task.get("passThroughEnv"))]
    return (*dict.fromkeys(each for each in named if not each.startswith("!")), *_INFERRED)
