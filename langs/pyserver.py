"""The development server that a program starts by itself, `app.run(...)`: whether anybody could reach it.

Flask's own and Dash's listen to their machine alone, on a port of theirs, where the call does not say otherwise: in a
container that is nobody. What the call says is told from the program's text, which is parsed and never run.
"""

import ast
import keyword
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from langs import wsgi
from langs.files import AppFiles

FLASK: Final = "flask"
DASH: Final = "dash"

_METHODS: Final = frozenset({"run", "run_server"})
"""Dash said `run_server` before its version 3."""
_ALL: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  (what others write, and nothing that is listened to here)
_ALONE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_PORT: Final = "PORT"
_MAX_CALLS: Final = 8


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """What a program says of the server that it starts."""

    reachable: bool
    """Whether it listens on all addresses, and on the port that it is told."""
    debug: bool
    """Whether it says `debug=True`: who reaches it may then execute code."""
    name: str | None
    """What it runs, by the name that stands for it at the program's top level."""
    imported: str | None
    """The same method of a Dash application after an import, `from app import app; app.run`; None where an import would
    start it, or has no such name."""


def depends(names: frozenset[str]) -> bool:
    """Whether Flask is among the dependencies, or is brought by one: Dash, or an extension of either."""
    return any(name.partition("-")[0] in {FLASK, DASH} for name in names)


def find(files: AppFiles, file: str, application: wsgi.Application | None) -> Own | None:
    """What `file` says of the server that it starts, if it starts one."""
    tree = wsgi.parse(files, file)
    known = wsgi.OBJECTS | wsgi.FACTORIES | frozenset([application.name] if application else ())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _starts(node, known)] if tree else []
    if tree is None or not calls:
        return None
    said = _said(tree)
    return Own(
        # Of many, nobody knows which one counts; and each is held against all that is said.
        reachable=len(calls) <= _MAX_CALLS and all(_is_reachable(call, said) for call in calls),
        debug=any(_says_debug(call) for call in calls),
        name=_name(tree, calls),
        imported=_imported(tree, module(file), calls),
    )


def _starts(call: ast.Call, known: frozenset[str]) -> bool:
    """Whether it is `app.run()`, `create_app().run()`, `dash.server.run()`."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=method):
            return method in _METHODS and name in known
        case ast.Attribute(value=ast.Call() as made, attr=method):
            return method in _METHODS and wsgi.called(made) in known
        case _:
            return False


def _said(tree: ast.Module) -> Mapping[str, frozenset[str]]:
    """The strings in all that is assigned to each name."""
    said: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        name, value = wsgi.assigned(node) if isinstance(node, ast.stmt) else (None, None)
        if name is not None and value is not None:
            said.setdefault(name, set()).update(_strings(value))
    return {name: frozenset(strings) for name, strings in said.items()}


def _strings(value: ast.expr) -> set[str]:
    return {node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _is_reachable(call: ast.Call, said: Mapping[str, frozenset[str]]) -> bool:
    hosts = _texts(_argument(call, "host", 0), said)
    return bool(hosts & _ALL) and hosts.isdisjoint(_ALONE) and _PORT in _texts(_argument(call, "port", 1), said)


def _argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    named = next((word.value for word in call.keywords if word.arg == name), None)
    return named or (call.args[position] if len(call.args) > position else None)


def _texts(value: ast.expr | None, said: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The strings in an argument, and in what is assigned to the names in it."""
    if value is None:
        return frozenset()
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return frozenset(_strings(value)).union(*(said.get(name, frozenset()) for name in names))


def _says_debug(call: ast.Call) -> bool:
    value = _argument(call, "debug", 2)
    return isinstance(value, ast.Constant) and value.value is True


def _name(tree: ast.Module, calls: Sequence[ast.Call]) -> str | None:
    """The first of the names that are run which the program's top level imports, or gives to something."""
    bound = {wsgi.assigned(node)[0] for node in tree.body}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
    run = (call.func.value for call in calls if isinstance(call.func, ast.Attribute))
    names = (value.id for value in run if isinstance(value, ast.Name) and value.id in bound)
    return next(filter(_is_name, names), None)


def _imported(tree: ast.Module, module: str | None, calls: Sequence[ast.Call]) -> str | None:
    guards = [node for node in tree.body if isinstance(node, ast.If) and wsgi.asks_for_main(node.test)]
    guarded = {inner for guard in guards for inner in ast.walk(guard)}
    if module is None or not all(call in guarded for call in calls):
        return None
    made = {name for name, value in map(wsgi.assigned, tree.body) if isinstance(value, ast.Call) and _is_dash(value)}
    for call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if name in made and _is_name(name):
                return f"from {module} import {name}; {name}.{method}"
            case _:
                pass
    return None


def _is_dash(call: ast.Call) -> bool:
    return wsgi.called(call) == wsgi.DASH


def module(file: str) -> str | None:
    """The name by which a program at the root can be imported."""
    name = file.removesuffix(".py")
    return name if _is_name(name) and name != "__main__" else None


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)
