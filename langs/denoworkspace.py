"""Deno's workspaces: `workspace` in a deno.json around the app, who is a member of it, and what the app imports of it.

Deno reads the configuration of all members whenever it runs, so that all of these come before the installation, which
the apps of a workspace have in common, and stay in the image. Members import each other by name without a word in their
configuration: what an app is made of is found in its sources, and in the import maps.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec

from langs import denoconfig, packagejson, workspace
from langs.denoconfig import DenoConfig
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, once

_SOURCES: Final = (".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs")
_IMPORTED: Final = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([A-Za-z0-9@._/:^~*-]{1,200})["']""", re.ASCII)
_IMPORTS: Final = 1 << 14
"""Bytes: imports stand at a source's beginning."""
_MAX_SOURCES: Final = 2000


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app in a workspace. All paths are from `root`."""

    root: AppFiles
    config: DenoConfig
    """The root's."""
    path: str
    needed: tuple[str, ...]
    """The members that it imports, directly or not."""
    members: tuple[str, ...]

    @property
    def context(self) -> str:
        """The way from the app's directory to the root."""
        return posixpath.relpath(".", self.path)

    @property
    def manifests(self) -> tuple[str, ...]:
        """The members' own configuration."""
        names = (*denoconfig.FILES, packagejson.FILE)
        files = (posixpath.join(path, name) for path in self.members for name in names)
        return tuple(file for file in files if self.root.exists(file))


@once
def member_of(files: AppFiles) -> Member | None:
    """The nearest workspace around the app that it is a member of.

    Raises:
        LangError: the configuration of the workspace cannot be understood.
    """
    if not files.first(*denoconfig.FILES, packagejson.FILE):
        return None
    for root in files.enclosing:
        path = files.root.relative_to(root.root).as_posix()
        members = _members(root)
        if path in members:
            config = denoconfig.read(root) or DenoConfig(file=denoconfig.FILES[0])
            needed = tuple(_needed(root, path, members, config))
            return Member(root=root, config=config, path=path, needed=needed, members=tuple(members))
    return None


@once
def _members(root: AppFiles) -> Mapping[str, DenoConfig]:
    """The members' directories, sorted, with their configuration; an empty one for those of npm."""
    config = denoconfig.read(root)
    if config is None or not config.workspace:
        return {}
    places = {path for pattern in config.members for path in root.directories(pattern)}
    found: dict[str, DenoConfig] = {}
    for path in sorted(places):
        if is_plain_name(path):
            # One that cannot be read is nobody's neighbour.
            with suppress(LangError):
                below = root.below_at(path)
                own = denoconfig.read(below)
                if own is not None or below.exists(packagejson.FILE):
                    found[path] = own or DenoConfig(file=packagejson.FILE)
    return found


def _needed(root: AppFiles, path: str, members: Mapping[str, DenoConfig], config: DenoConfig) -> Iterator[str]:
    """What the app imports of the workspace, directly or not."""
    by_name = {name: each for each, said in members.items() if (name := _name(root, each, said))}
    seen, queue = {path}, [path]
    # The root's import map is everybody's.
    shared = [(".", imported) for imported in config.imports]
    while queue:
        place = queue.pop(0)
        own = sorted({*_imported(root.below_at(place)), *members[place].imports})
        for where, imported in (*((place, each) for each in own), *shared):
            found = _meant(imported, where, by_name, members)
            if found is not None and found not in seen:
                seen.add(found)
                queue.append(found)
                yield found


def _name(root: AppFiles, path: str, config: DenoConfig) -> str | None:
    if config.name is not None:
        return config.name
    package = packagejson.read(root.below_at(path))
    return package.name if package else None


def _meant(imported: str, place: str, by_name: Mapping[str, str], members: Mapping[str, DenoConfig]) -> str | None:
    """The member that an import means: by its name, also where JSR has it, or by its path."""
    if imported.startswith("."):
        path = posixpath.normpath(posixpath.join(place, imported))
        around = (path, *reversed(workspace.ancestors(path))) if workspace.is_inside(path) else ()
        return next((each for each in around if each in members), None)
    parts = imported.removeprefix("jsr:").lstrip("/").split("/")
    name = "/".join(parts[:2]) if parts[0].startswith("@") else parts[0]
    # `@scope/name@^1`
    return by_name.get(name) or by_name.get(name[:1] + name[1:].partition("@")[0])


@once
def _imported(files: AppFiles) -> frozenset[str]:
    """What a member's sources import, relative paths being read from its directory."""
    found: set[str] = set()
    for file in islice((file for file in files.listing if file.endswith(_SOURCES)), _MAX_SOURCES):
        # A source that cannot be read imports nothing, and Deno will say why.
        with suppress(LangError):
            for said in _IMPORTED.findall(files.read_head(file, _IMPORTS) or ""):
                if said.startswith("."):
                    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), said))
                    found.update({path} if path.startswith("../") else ())
                else:
                    found.add(said)
    return frozenset(found)
