"""A Django project's settings: which module counts, and what its text says.

Settings are a program, which is parsed and never run. What is assigned under a condition is not known, and passed over.
"""

import ast
import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import wsgi
from langs.files import AppFiles
from langs.model import Settings

MODULE: Final = "DJANGO_SETTINGS_MODULE"

_MAX_MODULES: Final = 10
_MAX_STEPS: Final = 40
"""What a path is made of at most: names stand for names, of which each may stand for two."""
_SAME: Final = frozenset(
    {"Path", "abspath", "absolute", "as_posix", "fspath", "normpath", "realpath", "resolve", "str"}
)
"""Functions that make of a path the same path."""


class Said(msgspec.Struct, frozen=True):
    """What a name was given, and the file in which it was."""

    value: ast.expr
    file: str


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a project."""

    module: str
    """Their dotted name, by which Django finds them."""
    trees: tuple[ast.Module, ...]
    """That module, and those that it takes over."""
    said: Mapping[str, Said]
    """What is assigned without a condition; what stands last counts, and a module before those that it takes over."""


def read(files: AppFiles, settings: Settings, manage: str, application: wsgi.Application | None) -> Read | None:
    """The settings that count, as far as that can be seen.

    Args:
        files: the app's.
        settings: what configuration says of it.
        manage: the project's program, beside which its modules lie.
        application: the application object, whose file may name other settings.
    """
    near = (application.file if application else None, manage)
    module = settings.env.get(MODULE) or next((name for file in near if (name := _named(files, file))), None)
    found = tuple(_modules(files, module, posixpath.dirname(manage))) if module else ()
    if module is None or not found:
        return None
    said = {name: Said(value, file) for file, tree in reversed(found) for name, value in _assigned(tree)}
    return Read(module=module, trees=tuple(tree for _, tree in found), said=said)


def strings(*trees: ast.AST) -> frozenset[str]:
    """All strings in there."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def path(of: Said, said: Mapping[str, Said]) -> str | None:
    """Where a path leads, relative to the app's directory or absolute; None where more is computed than paths."""
    return _Paths(said).of(of.value, of.file)


class _Paths:
    """Follows one path through the names that it is made of."""

    def __init__(self, said: Mapping[str, Said]) -> None:
        self._said = said
        self._left = _MAX_STEPS

    def of(self, value: ast.expr, file: str) -> str | None:
        self._left -= 1
        return self._of(value, file) if self._left >= 0 else None

    def _of(self, value: ast.expr, file: str) -> str | None:  # noqa: PLR0911  (one for each kind of expression)
        match value:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id="__file__"):
                return file
            case ast.Name(id=name):
                said = self._said.get(name)
                return self.of(said.value, said.file) if said else None
            case ast.Attribute(value=inner, attr="parent"):
                return _above(self.of(inner, file), 1)
            case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(index))):
                return _above(self.of(inner, file), index + 1)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined((left, right), file)
            case ast.Call():
                return self._called(value, file)
            case _:
                return None

    def _called(self, call: ast.Call, file: str) -> str | None:
        match call.func, call.args:
            case ast.Attribute(value=inner, attr="joinpath"), parts:
                return self._joined((inner, *parts), file)
            case ((ast.Name(id="join") | ast.Attribute(attr="join")), parts):
                return self._joined(tuple(parts), file)
            case ((ast.Name(id="dirname") | ast.Attribute(attr="dirname")), [inner]):
                return _above(self.of(inner, file), 1)
            case ((ast.Name(id=name) | ast.Attribute(attr=name)), [inner]) if name in _SAME:
                return self.of(inner, file)
            case ast.Attribute(value=inner, attr=name), [] if name in _SAME:
                return self.of(inner, file)
            case _:
                return None

    def _joined(self, parts: tuple[ast.expr, ...], file: str) -> str | None:
        found = [self.of(part, file) for part in parts]
        known = [each for each in found if each is not None]
        return posixpath.join(*known) if known and len(known) == len(parts) else None


def _above(path: str | None, count: int) -> str | None:
    """The directory so many above; None above the app's own, and above what names none."""
    if path is None or not 0 < count <= path.count("/") + 1:
        return None
    for _ in range(count):
        if not path:
            return None
        path = posixpath.dirname(path)
    return path


def _named(files: AppFiles, file: str | None) -> str | None:
    """The settings that a program falls back to: `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`."""
    tree = wsgi.parse(files, file) if file else None
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(args=[ast.Constant(value=name), ast.Constant(value=str(module))]) if name == MODULE:
                return module
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=name))], value=ast.Constant(value=str(module))
            ):
                if name == MODULE:
                    return module
            case _:
                pass
    return None


def _modules(files: AppFiles, module: str, root: str) -> Iterator[tuple[str, ast.Module]]:
    """A module of settings with its file, then those that it takes over with `from ... import *`."""
    waiting, seen = [module], set[str]()
    while waiting and len(seen) < _MAX_MODULES:
        name = waiting.pop(0)
        if name in seen or not all(part.isidentifier() and part.isascii() for part in name.split(".")):
            continue
        seen.add(name)
        path = posixpath.join(root, *name.split("."))
        file = files.first(f"{path}.py", f"{path}/__init__.py")
        tree = wsgi.parse(files, file) if file else None
        if file is None or tree is None:
            continue
        yield file, tree
        # Of a package, one dot is the package itself; of a module, the package around it.
        package = name.split(".") if posixpath.basename(file) == "__init__.py" else name.split(".")[:-1]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                above = package[: len(package) - node.level + 1] if node.level else []
                waiting.append(".".join((*above, *([node.module] if node.module else []))))


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        name, value = wsgi.assigned(node)
        if name is not None and value is not None:
            yield name, value
