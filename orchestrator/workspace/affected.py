"""Which apps a change reaches, each with the file that shows it: pure.

A change reaches an app when it is in the app's directory, in a package or in an app that it uses, directly or not, in
the root's configuration or its lock file, in a manifest, lockfile or setting of a directory around it, or in whatever
else of the source its build is sent. What a .dockerignore of the app leaves out of its directory counts as well: too
many apps are built at worst, never too few.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from langs.facts import DOCKERFILES
from langs.governing import governing
from orchestrator.config import lock
from orchestrator.config.repository import FILE
from orchestrator.model import App
from orchestrator.workspace.files import printable
from orchestrator.workspace.graph import reachable
from orchestrator.workspace.links import place_of
from orchestrator.workspace.selection import Reasons, needs_of

Sent = Callable[[App, Sequence[str]], Sequence[str]]
"""Those of some files, as paths from the source's root, that an app's build is sent from outside of its directory."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from a revision."""

    since: str
    """The revision, as it was called."""
    files: tuple[str, ...]
    """Paths from the source's root, of both sides of a renaming. A submodule whose revision changed is one, too."""


class _Changed:
    """The changed files, by the directories that hold them."""

    def __init__(self, files: Iterable[str]) -> None:
        self.files = dict.fromkeys(sorted(files))
        self._below: dict[str, list[str]] = {}
        self._governing: dict[str, list[str]] = {}
        for file in self.files:
            for directory in _around(file):
                self._below.setdefault(directory, []).append(file)
            # It may be a submodule: everything in it has changed.
            self._below.setdefault(file, []).append(file)
        for directory, file in governing(self.files):
            self._governing.setdefault(directory, []).append(file)

    def below(self, directory: str) -> Sequence[str]:
        """What changed in a directory, or the submodule around it."""
        found = self._below.get(directory)
        if found:
            return found
        return [above for above in _around(directory) if above in self.files]

    def governing(self, directory: str) -> Sequence[str]:
        """What says something of a directory from above, and changed."""
        return [file for above in _around(directory) for file in self._governing.get(above, ())]

    def among(self, files: Iterable[str]) -> Sequence[str]:
        return [file for file in files if file in self.files]


def affected(root: Path, apps: Sequence[App], changes: Changes, sent: Sent) -> Reasons:
    """The apps that a change reaches, and why.

    Args:
        root: the source.
        apps: all of them, with what they need.
        changes: what differs.
        sent: knows the builds; asked of apps that nothing else shows to be reached.
    """
    changed = _Changed(changes.files)
    since = f"changed since {printable(changes.since)}"
    if found := changed.among([FILE, lock.FILE]):
        return dict.fromkeys((app.path for app in apps), f"{since}: {_shown(found)}")
    paths = {app.path: app for app in apps}
    own = {path: found for path, app in paths.items() if (found := _own(root, app, changed))}
    needs = needs_of(apps)
    for path in paths.keys() - own.keys():
        rest = _untold(root, paths, reachable(needs, [path]), changed)
        if rest and (found := sent(paths[path], rest)):
            own[path] = found
    reasons: Reasons = {}
    for path in paths:
        if path in own:
            reasons[path] = f"{since}: {_shown(own[path])}"
            continue
        for need, by in reachable(needs, [path]).items():
            if need in own:
                reasons[path] = f"it needs {paths[need].name}, which {since}: {_shown(own[need])}"
                break
            if need not in paths and (found := changed.below(need)):
                whose = "its" if by == path else f"{paths[by].name}'s"
                reasons[path] = f"{whose} package {printable(need)} {since}: {_shown(found)}"
                break
    return reasons


def _own(root: Path, app: App, changed: _Changed) -> Sequence[str]:
    """What changed of an app itself."""
    context = app.directory.relative_to(root).as_posix()
    return changed.below(context) or changed.among(_elsewhere(app, context)) or changed.governing(context)


def _untold(root: Path, paths: Mapping[str, App], needs: Iterable[str], changed: _Changed) -> Sequence[str]:
    """What changed besides what an app needs, of which is told by its name."""
    told: set[str] = set()
    for need in needs:
        told.update(changed.below(paths[need].directory.relative_to(root).as_posix() if need in paths else need))
    return [file for file in changed.files if file not in told]


def _elsewhere(app: App, context: str) -> Iterator[str]:
    """Files outside of its context that a service is built by."""
    service = app.settings.service
    if service is not None:
        file = app.path.removesuffix(f"#{service.name}")
        recipe = posixpath.normpath(posixpath.join(context, service.dockerfile or DOCKERFILES[0]))
        yield from (file, posixpath.normpath(posixpath.join(posixpath.dirname(file), ".env")))
        yield from (recipe, f"{recipe}.dockerignore", posixpath.normpath(posixpath.join(place_of(app), FILE)))


def _around(path: str) -> Iterator[str]:
    """The directories around a path, the nearest first, up to the root."""
    while path != ".":
        path = path.rpartition("/")[0] or "."
        yield path


def _shown(files: Sequence[str]) -> str:
    more = f" (+{len(files) - 1} more)" if len(files) > 1 else ""
    return f"{printable(files[0])}{more}"
