"""What an image is made with for Django, told from the settings' text: static files, and a database beside the code.

Whether `collectstatic` can run while an image is built: what settings need to be imported is seen where it is written
plainly, variables of the environment without which they stop, and a secret key, which is made up for the step. Where
that cannot be known, nothing is collected, and a warning says why: a build must not stop at settings that only a
deployment has.

Django's own server looks into the database before it listens. That of a new project is a file of SQLite in the app: it
has to be there, where nothing can be written.
"""

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import djangosettings, wsgi
from langs.djangosettings import Read, Said
from langs.files import AppFiles
from langs.model import Settings

_MANAGE: Final = "manage.py"
_APPLICATIONS: Final = frozenset({"asgi.py", "wsgi.py"})
_DISABLE: Final = "DISABLE_COLLECTSTATIC"
"""Heroku's: whoever comes from there has it set."""
_KEY: Final = "SECRET_KEY"
_APP: Final = "django.contrib.staticfiles"
_DATABASES: Final = "DATABASES"
_SQLITE: Final = "django.db.backends.sqlite3"
_PATHS: Final = frozenset({"Path", "abspath", "join", "joinpath", "normpath", "realpath", "resolve", "root", "str"})
"""Functions that make a path of what is in the text."""
_READERS: Final = frozenset({"config", "env"})
"""What django-environ and python-decouple call the function that asks for a variable."""
# Text, because start-up counts: `re` compiles it when it is first needed.
_PLAIN: Final = r"[A-Za-z0-9_][A-Za-z0-9_./-]*"
"""Paths that need no quotes."""


class Static(msgspec.Struct, frozen=True, kw_only=True):
    """How static files are collected, or why they are not."""

    module: str | None = None
    """The settings' dotted name; None: nothing is collected."""
    manage: str = _MANAGE
    """The project's program."""
    keys: tuple[str, ...] = ()
    """Variables that the secret key is read from, to be made up."""
    warning: str | None = None


def find(files: AppFiles, application: wsgi.Application | None) -> str | None:
    """A Django project's program: at the app's root, else where the imports of its application begin."""
    if files.exists(_MANAGE) and (files.glob("*/wsgi.py") or files.glob("*/asgi.py")):
        return _MANAGE
    if application is None or posixpath.basename(application.file) not in _APPLICATIONS or not application.directory:
        return None
    file = f"{application.directory}/{_MANAGE}"
    return file if re.fullmatch(_PLAIN, file, re.ASCII) and files.exists(file) else None


def static(files: AppFiles, settings: Settings, manage: str, application: wsgi.Application | None) -> Static:
    """What is to be done for a Django project's static files.

    Args:
        files: the app's.
        settings: what configuration says of it.
        manage: the project's program.
        application: the application object, whose file may name other settings than that.
    """
    asked = "collectstatic" in (settings.build_command or "")
    if asked or settings.env.get(_DISABLE, "0") not in {"", "0"}:
        return Static()
    read = djangosettings.read(files, settings, manage, application)
    if read is None:
        return _skipped("which settings count cannot be seen")
    if "STATIC_ROOT" not in read.said or _APP not in djangosettings.strings(*read.trees):
        return Static()
    given = {*settings.env, *settings.secrets}
    asked_for = {name for tree in read.trees for name in _required(tree)}
    keys = {_KEY, *djangosettings.strings(read.said[_KEY].value)} if _KEY in read.said else {_KEY}
    obstacle = _obstacle(read.said, sorted(asked_for - given - keys))
    if obstacle is not None:
        return _skipped(obstacle)
    made_up = tuple(sorted(key for key in keys - given if _is_variable(key)))
    return Static(module=read.module, manage=manage, keys=made_up)


def database(files: AppFiles, settings: Settings, manage: str, application: wsgi.Application | None) -> str | None:
    """The file of a project's database, relative to the app's directory, where it is SQLite's and lies in there.

    Args:
        files: the app's.
        settings: what configuration says of it.
        manage: the project's program.
        application: as of `static`.
    """
    read = djangosettings.read(files, settings, manage, application)
    said = read.said.get(_DATABASES) if read else None
    # What is said a second time may be of a deployment, whose database is not ours to touch.
    if read is None or said is None or _mentions(read) != 1:
        return None
    default = _item(said.value, "default")
    engine, name = _item(default, "ENGINE"), _item(default, "NAME")
    if name is None or not (isinstance(engine, ast.Constant) and engine.value == _SQLITE):
        return None
    path = djangosettings.path(Said(name, said.file), read.said) or ""
    path = posixpath.normpath(path.removeprefix("/app/"))
    return path if re.fullmatch(_PLAIN, path, re.ASCII) and not files.has_directory(path) else None


def _mentions(read: Read) -> int:
    nodes = (node for tree in read.trees for node in ast.walk(tree))
    return sum(isinstance(node, ast.Name) and node.id == _DATABASES for node in nodes)


def _item(table: ast.expr | None, key: str) -> ast.expr | None:
    """What a literal dictionary says of a key."""
    pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
    return next((value for name, value in pairs if isinstance(name, ast.Constant) and name.value == key), None)


def _obstacle(said: Mapping[str, Said], missing: list[str]) -> str | None:
    """Why these settings cannot be collected by."""
    if not _inside(said["STATIC_ROOT"].value):
        return "STATIC_ROOT is computed, or lies outside of the app"
    if any(text.startswith("storages.") for text in _storage(said)):
        return "they go to a storage elsewhere"
    return f"the settings need ${missing[0][:80]}, which `env` may give" if missing else None


def _skipped(why: str) -> Static:
    return Static(warning=f"static files are not collected: {why}; a `build` of yours may run collectstatic")


def _inside(root: ast.expr) -> bool:
    """Whether this is a path in the app's directory: literals below a directory of the app's own, nothing computed."""
    for node in ast.walk(root):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name not in _PATHS:
                return False
            case ast.Attribute(attr="parent" | "parents") | ast.Subscript() | ast.IfExp() | ast.BoolOp():
                return False
            case ast.Constant(value=value) if not _is_below(value):
                return False
            case _:
                pass
    return bool(djangosettings.strings(root))


def _is_below(value: object) -> bool:
    if not isinstance(value, str) or ".." in value.split("/"):
        return False
    return bool(value) and (not value.startswith("/") or value.startswith("/app/"))


def _storage(said: Mapping[str, Said]) -> frozenset[str]:
    """The names of the classes that keep static files."""
    storages = said["STORAGES"].value if "STORAGES" in said else None
    if isinstance(storages, ast.Dict):
        pairs = zip(storages.keys, storages.values, strict=True)
        kept = [value for key, value in pairs if not isinstance(key, ast.Constant) or key.value == "staticfiles"]
    else:
        kept = [storages] if storages else []
    older = [said["STATICFILES_STORAGE"].value] if "STATICFILES_STORAGE" in said else []
    return djangosettings.strings(*kept, *older)


def _required(tree: ast.Module) -> Iterator[str]:
    """The variables of the environment without which the module stops; what stands under a condition is passed over."""
    plain = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr)]
    nodes = [node for statement in plain for node in ast.walk(statement)]
    declared = {
        word.arg
        for node in nodes
        if isinstance(node, ast.Call) and wsgi.called(node) == "Env"
        for word in node.keywords
    }
    for node in nodes:
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="environ") | ast.Name(id="environ"), slice=ast.Constant(value=str(name))
            ):
                yield name
            case ast.Call(
                func=ast.Name(id=reader) | ast.Attribute(value=ast.Name(id=reader)),
                args=[ast.Constant(value=str(name))],
                keywords=keywords,
            ) if reader in _READERS and name not in declared:
                if not any(word.arg == "default" for word in keywords):
                    yield name
            case _:
                pass


def _is_variable(text: str) -> bool:
    return text.isidentifier() and text.isascii() and text.isupper()
