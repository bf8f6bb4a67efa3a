"""Lockfiles, as far as they tell what is installed for an app, and what of it is compiled.

Only where a lockfile names something that needs a native library is it read as a whole (`natives.spoken`), and one that
cannot be read decides nothing: the package manager is going to say what is wrong with it.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from langs import documents, natives, packagejson
from langs.errors import LangError
from langs.files import AppFiles
from langs.natives import Dependencies
from langs.nodeworkspace import Member
from langs.packagejson import PackageJson
from langs.requirements import canonical

_MAX: Final = 16 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_MODULES: Final = "node_modules/"
PIPENV: Final = "Pipfile.lock"
PYTHON: Final = ("uv.lock", "poetry.lock", "pdm.lock", PIPENV)
"""uv's, Poetry's and PDM's are alike: a list of packages, each with what it depends on and with its files."""
NPM: Final = ("package-lock.json", "npm-shrinkwrap.json")


class _Entry(msgspec.Struct):
    dev: bool = False
    optional: bool = False
    dev_optional: bool = msgspec.field(default=False, name="devOptional")
    peer: bool = False


class _Npm(msgspec.Struct):
    packages: dict[str, _Entry] = {}


class _Pipenv(msgspec.Struct):
    default: dict[str, object] = {}


class _Toml(msgspec.Struct):
    package: list[dict[str, Any]] = []


def node(root: AppFiles, package: PackageJson, member: Member | None) -> Dependencies:
    """What is installed for an app on Node.js or Bun to run: what its manifest asks for, and what that needs.

    Args:
        root: where the lockfile is. Only npm's is read, and not that of a workspace, which has all apps in it.
        package: the app's manifest.
        member: the app in its workspace; the manifests of those that it depends on count, too.
    """
    names = dict.fromkeys(package.dependencies, packagejson.FILE)
    if member is None:
        return Dependencies(names={**names, **_npm(root)})
    for path, each in member.needed.items():
        file = posixpath.join(member.context, path, packagejson.FILE)
        names = {**dict.fromkeys(each.dependencies, file), **names}
    return Dependencies(names=names)


def _npm(files: AppFiles) -> Mapping[str, str]:
    """What npm's lockfile installs for production, each with the file; not what it may do without."""
    for file in NPM:
        text = _text(files, file)
        if text is None or not natives.spoken("npm", text):
            continue
        try:
            packages = documents.json_as(text, _Npm, file).packages
        except LangError:
            return {}
        return {
            path.rpartition(_MODULES)[2]: file
            for path, entry in packages.items()
            if _MODULES in path and not (entry.dev or entry.optional or entry.dev_optional or entry.peer)
        }
    return {}


def python(files: AppFiles, wanted: Iterable[str]) -> Dependencies:
    """What Python's lockfiles install of what is wanted and of all that this depends on; nothing without one.

    Args:
        files: where the lockfile is.
        wanted: canonical names of what the app asks for; of Pipenv's lockfile, all that is no development counts.
    """
    for file in PYTHON:
        text = _text(files, file)
        if text is None:
            continue
        if not natives.spoken("pypi", text):
            return Dependencies()
        try:
            if file == PIPENV:
                said = documents.json_as(text, _Pipenv, file).default
                return Dependencies(names={canonical(name): file for name in said})
            return _walked(documents.toml_as(text, _Toml, file).package, file, wanted)
        except LangError:
            return Dependencies()
    return Dependencies()


def _walked(packages: Iterable[Mapping[str, object]], file: str, wanted: Iterable[str]) -> Dependencies:
    """From what is wanted to all that it needs; an extra's packages stand in a lockfile where somebody asks for it."""
    needs: dict[str, set[str]] = {}
    compiled: set[str] = set()
    for package in packages:
        name = package.get("name")
        if not isinstance(name, str):
            continue
        name = canonical(name)
        needs.setdefault(name, set()).update(_dependencies(package))
        if (published := _published(package)) and not any(map(_runs_here, published)):
            compiled.add(name)
    found: dict[str, None] = {}
    queue = [name for name in wanted if name in needs]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = None
            queue += (each for each in needs[name] if each in needs)
    return Dependencies(names=dict.fromkeys(found, file), compiled=frozenset(compiled & found.keys()))


def _dependencies(package: Mapping[str, object]) -> Iterable[str]:
    optional = package.get("optional-dependencies")
    groups = [package.get("dependencies")]
    groups += cast("dict[str, object]", optional).values() if isinstance(optional, dict) else ()
    for group in groups:
        # uv: tables with a name. PDM: requirements. Poetry: names as keys.
        for each in cast("Iterable[object]", group) if isinstance(group, (list, dict)) else ():
            said = cast("dict[str, object]", each).get("name") if isinstance(each, dict) else each
            if isinstance(said, str) and (match := _NAME.match(said)):
                yield canonical(match[0])


def _published(package: Mapping[str, object]) -> tuple[str, ...]:
    """The names of a package's files."""
    found: list[str] = []
    for key in ("wheels", "files"):
        files = package.get(key)
        for each in cast("list[object]", files) if isinstance(files, list) else ():
            said = cast("dict[str, object]", each) if isinstance(each, dict) else {}
            found += [text for part in ("url", "file", "filename") if isinstance(text := said.get(part), str)]
    return (*found, *(("sdist",) if package.get("sdist") is not None else ()))


def _runs_here(file: str) -> bool:
    return file.endswith("any.whl") or (file.endswith(".whl") and ("manylinux" in file or "-linux_" in file))


def _text(files: AppFiles, file: str) -> str | None:
    try:
        return files.read_head(file, _MAX)
    except LangError:
        return None
