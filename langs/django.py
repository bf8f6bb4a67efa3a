"""Django's static files: whether `collectstatic` can run while an image is built, told from the settings' text.

Settings are a program, which is parsed and never run. What they need to be imported is seen where it is written
plainly: variables of the environment without which they stop, and a secret key, which is made up for the step. Where
that cannot be known, nothing is collected, and a warning says why: a build must not stop at settings that only a
deployment has.
"""

import ast
import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import wsgi
from langs.files import AppFiles
from langs.model import Settings

_MANAGE: Final = "manage.py"
_MODULE: Final = "DJANGO_SETTINGS_MODULE"
_DISABLE: Final = "DISABLE_COLLECTSTATIC"
"""Heroku's: whoever comes from there has it set."""
_KEY: Final = "SECRET_KEY"
_APP: Final = "django.contrib.staticfiles"
_PATHS: Final = frozenset({"Path", "abspath", "join", "joinpath", "normpath", "realpath", "resolve", "root", "str"})
"""Functions that make a path of what is in the text."""
_READERS: Final = frozenset({"config", "env"})
"""What django-environ and python-decouple call the function that asks for a variable."""
_MAX_MODULES: Final = 10


class Static(msgspec.Struct, frozen=True, kw_only=True):
    """How static files are collected, or why they are not."""

    module: str | None = None
    """The settings' dotted name; None: nothing is collected."""
    keys: tuple[str, ...] = ()
    """Variables that the secret key is read from, to be made up."""
    warning: str | None = None


def static(files: AppFiles, settings: Settings, application: str | None) -> Static:
    """What is to be done for a Django project's static files.

    Args:
        files: the app's.
        settings: what configuration says of it.
        application: the file of the application object, which may name other settings than `manage.py`.
    """
    asked = "collectstatic" in (settings.build_command or "")
    if asked or settings.env.get(_DISABLE, "0") not in {"", "0"}:
        return Static()
    module = settings.env.get(_MODULE) or _named(files, application) or _named(files, _MANAGE)
    modules = tuple(_modules(files, module)) if module else ()
    if module is None or not modules:
        return _skipped("which settings count cannot be seen")
    said = _assigned(modules)
    if "STATIC_ROOT" not in said or _APP not in _texts(*modules):
        return Static()
    given = {*settings.env, *settings.secrets}
    asked_for = {name for tree in modules for name in _required(tree)}
    keys = {_KEY, *_texts(said[_KEY])} if _KEY in said else {_KEY}
    obstacle = _obstacle(said, sorted(asked_for - given - keys))
    if obstacle is not None:
        return _skipped(obstacle)
    return Static(module=module, keys=tuple(sorted(key for key in keys - given if _is_variable(key))))


def _obstacle(said: Mapping[str, ast.expr], missing: list[str]) -> str | None:
    """Why these settings cannot be collected by."""
    if not _inside(said["STATIC_ROOT"]):
        return "STATIC_ROOT is computed, or lies outside of the app"
    if any(text.startswith("storages.") for text in _storage(said)):
        return "they go to a storage elsewhere"
    return f"the settings need ${missing[0][:80]}, which `env` may give" if missing else None


def _skipped(why: str) -> Static:
    return Static(warning=f"static files are not collected: {why}; a `build` of yours may run collectstatic")


def _named(files: AppFiles, file: str | None) -> str | None:
    """The settings that a program falls back to: `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`."""
    tree = wsgi.parse(files, file) if file else None
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(args=[ast.Constant(value=name), ast.Constant(value=str(module))]) if name == _MODULE:
                return module
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=name))], value=ast.Constant(value=str(module))
            ):
                if name == _MODULE:
                    return module
            case _:
                pass
    return None


def _modules(files: AppFiles, module: str) -> Iterator[ast.Module]:
    """A module of settings, then those that it takes over with `from ... import *`."""
    waiting, seen = [module], set[str]()
    while waiting and len(seen) < _MAX_MODULES:
        name = waiting.pop(0)
        if name in seen or not all(part.isidentifier() and part.isascii() for part in name.split(".")):
            continue
        seen.add(name)
        path = name.replace(".", "/")
        file = files.first(f"{path}.py", f"{path}/__init__.py")
        tree = wsgi.parse(files, file) if file else None
        if file is None or tree is None:
            continue
        yield tree
        # Of a package, one dot is the package itself; of a module, the package around it.
        package = name.split(".") if posixpath.basename(file) == "__init__.py" else name.split(".")[:-1]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                above = package[: len(package) - node.level + 1] if node.level else []
                waiting.append(".".join((*above, *([node.module] if node.module else []))))


def _assigned(modules: tuple[ast.Module, ...]) -> Mapping[str, ast.expr]:
    """What is assigned without a condition; what stands last counts, and a module before those that it takes over."""
    said: dict[str, ast.expr] = {}
    for tree in reversed(modules):
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    said[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    said[name] = value
                case _:
                    pass
    return said


def _texts(*trees: ast.AST) -> frozenset[str]:
    """All strings in there."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


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
    return bool(_texts(root))


def _is_below(value: object) -> bool:
    if not isinstance(value, str) or ".." in value.split("/"):
        return False
    return bool(value) and (not value.startswith("/") or value.startswith("/app/"))


def _storage(said: Mapping[str, ast.expr]) -> frozenset[str]:
    """The names of the classes that keep static files."""
    storages = said.get("STORAGES")
    if isinstance(storages, ast.Dict):
        pairs = zip(storages.keys, storages.values, strict=True)
        kept = [value for key, value in pairs if not isinstance(key, ast.Constant) or key.value == "staticfiles"]
    else:
        kept = [storages] if storages else []
    older = said.get("STATICFILES_STORAGE")
    return _texts(*kept, *([older] if older else []))


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
