"""Which apps a command is about, each with the reason: pure.

Paths and filters add up; what `!` excludes is taken away from them; of what is left, `--affected-since` keeps what a
change reaches. Last come the apps whose images those need.

A filter is the name of an app, or a pattern of names (`*`, `?`, `[...]`); with a slash, or as `.`, it is a path or a
pattern of paths, where `*` stays within a directory and `**` does not. `...` before it adds all apps that need what is
named, directly or not, and behind it all apps that are needed. So pnpm and turbo have it.
"""

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from orchestrator.config.decode import did_you_mean
from orchestrator.config.repository import normal_path
from orchestrator.errors import UsageError
from orchestrator.model import App
from orchestrator.workspace.files import printable
from orchestrator.workspace.graph import inverted, reachable

_ELLIPSIS = "..."
_GLOB = re.compile(r"[*?\[]")

Reasons = dict[str, str]
"""Path of an app -> why it is selected."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One `--filter`, taken apart."""

    text: str
    """As it was written."""
    pattern: str
    """A name, a path from the root, or a pattern of either."""
    path: bool
    exclude: bool = False
    dependents: bool = False
    dependencies: bool = False

    @property
    def exact(self) -> bool:
        """Whether it names one thing, which must be there."""
        return not _GLOB.search(self.pattern)


def parse(text: str) -> Filter:
    """Take a filter apart.

    Raises:
        UsageError: it names nothing, or leaves the source.
    """
    rest = text.removeprefix("!")
    dependents, rest = rest.startswith(_ELLIPSIS), rest.removeprefix(_ELLIPSIS)
    dependencies, rest = rest.endswith(_ELLIPSIS), rest.removesuffix(_ELLIPSIS)
    path = "/" in rest or rest == "."
    pattern = normal_path(rest) if path else rest
    if not pattern:
        problem = "names nothing" if not rest else "is no path below the source"
        raise UsageError(
            f"--filter: {printable(text)!r} {problem}",
            hint="As in --filter api, --filter 'web-*', --filter './services/**', --filter '...base', --filter '!api'.",
        )
    return Filter(
        text=text,
        pattern=pattern,
        path=path,
        exclude=text.startswith("!"),
        dependents=dependents,
        dependencies=dependencies,
    )


def needs_of(apps: Sequence[App]) -> dict[str, tuple[str, ...]]:
    """Path of an app -> the paths of the apps, and the directories, that it uses."""
    paths = {app.name: app.path for app in apps}
    return {app.path: (*(paths[name] for name in app.depends_on), *app.packages) for app in apps}


def filtered(apps: Sequence[App], filters: Sequence[Filter], named: Reasons) -> Reasons:
    """What filters leave.

    Args:
        apps: all of them.
        filters: in any order.
        named: apps that the command names by their paths.

    Raises:
        UsageError: a filter names what is not there, or nothing is left.
    """
    if not filters:
        return named
    needs = needs_of(apps)
    needed_by = inverted(needs)
    chosen = dict(named)
    if not chosen and all(each.exclude for each in filters):
        chosen = dict.fromkeys((app.path for app in apps), f"filter {filters[0].text}")
    for each in filters:
        if not each.exclude:
            for path in _matches(apps, each, needs, needed_by):
                chosen.setdefault(path, f"filter {each.text}")
    for each in filters:
        if each.exclude:
            for path in _matches(apps, each, needs, needed_by):
                chosen.pop(path, None)
    if not chosen:
        said = " ".join(f"--filter {printable(each.text)!r}" for each in filters)
        raise UsageError(f"{said}: no app is left", hint="See `fleetpacks apps` for all apps.")
    return chosen


def needed(apps: Sequence[App], chosen: Reasons) -> Reasons:
    """Add the apps whose images the chosen ones need."""
    names = {app.path: app.name for app in apps}
    images = {app.path: tuple(app.contexts.values()) for app in apps if app.contexts}
    return {**{path: f"needed by {names[by]}" for path, by in reachable(images, chosen).items()}, **chosen}


def _matches(
    apps: Sequence[App], each: Filter, needs: Mapping[str, Collection[str]], needed_by: Mapping[str, Collection[str]]
) -> list[str]:
    """The paths of the apps that a filter means."""
    if each.path:
        # A package is no app, but the apps that need it can be meant.
        packages = (node for edges in needs.values() for node in edges) if each.dependents else ()
        found = _at(each, tuple(dict.fromkeys((*(app.path for app in apps), *packages))))
    else:
        found = [app.path for app in apps if fnmatch.fnmatchcase(app.name, each.pattern)]
    wanted = {*found}
    if each.dependents:
        wanted |= reachable(needed_by, found).keys()
    if each.dependencies:
        wanted |= reachable(needs, found).keys()
    matched = [app.path for app in apps if app.path in wanted]
    if not matched and (each.exact or not each.exclude):
        raise _nothing(apps, each, {node for edges in needs.values() for node in edges})
    return matched


def _at(each: Filter, nodes: Collection[str]) -> list[str]:
    """What is at a path, else all below it, or what a pattern means."""
    if each.exact:
        return [node for node in nodes if node == each.pattern] or [node for node in nodes if _below(node, each)]
    parts = tuple(each.pattern.split("/"))
    return [node for node in nodes if _fits(() if node == "." else tuple(node.split("/")), parts)]


def _below(node: str, each: Filter) -> bool:
    return each.pattern == "." or node.startswith(f"{each.pattern}/")


def _fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(path[skipped:], pattern[1:]) for skipped in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


def _nothing(apps: Sequence[App], each: Filter, used: Collection[str]) -> UsageError:
    problem = f"--filter: {printable(each.text)!r}: there is no app"
    if each.path and each.pattern in used:
        hint = f"It is a package; all apps that use it: --filter '...{printable(each.pattern)}'."
    elif not each.path and any(app.path.startswith(f"{each.pattern}/") for app in apps):
        hint = f"The apps in that directory: --filter './{printable(each.pattern)}/**'."
    else:
        near = did_you_mean(each.pattern, [app.path if each.path else app.name for app in apps])
        hint = f"Did you mean {printable(near)!r}?" if near else "See `fleetpacks apps` for all apps."
    return UsageError(problem, hint=hint)
