"""The tools that run tasks in workspaces of Node.js, and the step with which one of them builds an app.

Such a tool is asked where the root's manifest has it and its configuration knows what builds the app: then no `build`
script is run by us. Its results are kept in a cache mount, so that a package which did not change is not built again
for the next app; in a directory of its own for each builder image and each `[env]`, of which the tools know nothing.
"""

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from langs import base, moon, nx, taskgraph, turborepo
from langs.files import AppFiles
from langs.model import CacheMount, Settings
from langs.packagejson import PackageJson
from langs.taskgraph import BUILD, Graph, Members, Tool

TOOLS: Final[tuple[Tool, ...]] = (turborepo, nx, moon)
"""Who has several builds with the first: it is the one that has to be set up by hand."""

_PROGRAMS: Final = frozenset(tool.NAME for tool in TOOLS)
_WORD: Final = re.compile(r"[A-Za-z0-9@/._-]+")


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """The tool of a workspace."""

    tool: Tool
    graph: Graph


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What builds an app, or what it is made of."""

    command: str
    mounts: tuple[CacheMount, ...]
    whole: bool
    """Whether the app is built, too."""
    warnings: tuple[str, ...] = ()


def of(root: AppFiles, manifest: PackageJson, members: Members) -> Runner | None:
    """The tool of the workspace at `root`, whose manifest is `manifest`.

    Raises:
        LangError: its configuration cannot be understood.
    """
    for tool in TOOLS:
        graph = tool.read(root, members) if tool.PACKAGE in manifest.everything else None
        if graph is not None:
            return Runner(tool=tool, graph=taskgraph.asked(graph))
    return None


def step(
    runner: Runner,
    settings: Settings,
    *,
    app: tuple[str, PackageJson],
    needed: Mapping[str, PackageJson],
    prefix: str,
    builder: str,
) -> Step | None:
    """The step that builds the app, or what it is made of where somebody says how itself is built.

    Args:
        runner: the tool.
        settings: of the app.
        app: its directory and its manifest.
        needed: the members that it is made of.
        prefix: how a program of the workspace is called, up to its name.
        builder: the image that it runs in.

    Returns:
        None where the tool has nothing to run, would be run by what it runs, or does not know of all that is built.
    """
    path, _ = app
    tool, graph = runner.tool, runner.graph
    scripts = {each: said.scripts[BUILD] for each, said in (*needed.items(), app) if BUILD in said.scripts}
    whole = settings.build_command is None and graph.has(path)
    known = all(graph.has(each) for each in scripts if each != path)
    if not known or any(_PROGRAMS.intersection(_WORD.findall(script)) for script in scripts.values()):
        return None
    targets = (path,) if whole else tuple(each for each in needed if graph.has(each))
    tasks = [*graph.of((path, *needed) if whole else needed)]
    if not targets or not any(task.runs for task in tasks):
        return None
    fresh = bool(settings.invalidating or settings.arguments or settings.passed) or not all(t.kept for t in tasks)
    place = f"{tool.CACHE}/{_salt(builder, settings)}" if tool.CACHE else None
    return Step(
        # What stands before the program are variables, which a shell reads as such at the very beginning only.
        command=_called(prefix, tool.command(graph, targets, place, fresh=fresh)) + f" && {tool.TIDY}",
        mounts=(base.cache(settings, tool.NAME, tool.CACHE),) if tool.CACHE else (),
        whole=whole,
        warnings=tuple(_unseen(runner, settings)),
    )


def _called(prefix: str, command: str) -> str:
    words = command.split(" ")
    first = next(index for index, word in enumerate(words) if "=" not in word)
    return " ".join((*words[:first], prefix + words[first], *words[first + 1 :]))


def _salt(builder: str, settings: Settings) -> str:
    """What results depend on beside sources, as the name of a directory."""
    said = json.dumps([builder, settings.apt, sorted(settings.env.items())])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _unseen(runner: Runner, settings: Settings) -> Iterable[str]:
    """The build arguments that no task will see: they are good for nothing else."""
    seen = runner.graph.variables
    hidden = [] if seen is None else [name for name in settings.arguments if not _matches(name, seen)]
    if hidden:
        file = runner.graph.files[0]
        yield f"{file} does not name {', '.join(hidden)}: {runner.tool.NAME} hides from tasks what it is not told of"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
