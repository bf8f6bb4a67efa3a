"""Finding the application object that a Python web server loads, from sources that are parsed and never run."""

import ast
import functools
import keyword
import posixpath
import warnings
from typing import Final

import msgspec

from langs.errors import LangError
from langs.files import AppFiles, once

_ASGI: Final = frozenset({"FastAPI", "Litestar", "Quart", "Sanic", "Starlette", "get_asgi_application"})
_WSGI: Final = frozenset({"Flask", "Falcon", "Bottle", "get_wsgi_application"})
_FACTORIES: Final = frozenset({"create_app", "make_app"})
_MODULES: Final = ("main", "app", "wsgi", "asgi", "server", "api", "application", "run", "web", "__init__")
_TRIALS: Final = frozenset({"doc", "docs", "example", "examples", "sample", "samples", "test", "tests"})
"""Directories whose applications show or try something else."""
_MAX_SOURCE: Final = 1 << 18
_MAX_CANDIDATES: Final = 200
_SERVERS: Final = frozenset(
    {"aiogram", "aiohttp", "bottle", "cherrypy", "django", "discord", "falcon", "fastapi", "flask", "gradio", "grpc"}
    | {"gunicorn", "http", "hypercorn", "litestar", "quart", "sanic", "slack_bolt", "socketserver", "starlette"}
    | {"streamlit", "telegram", "telebot", "tornado", "uvicorn", "waitress", "wsgiref"}
)


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """An application object in a module."""

    file: str
    module: str
    """Dotted, relative to the app's directory or to `directory`."""
    name: str
    """The object's name, or a call without arguments for a factory."""
    directory: str
    """Where imports begin: empty for the app's directory, else `src`."""
    asgi: bool
    factory: bool


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a source shows without being run."""

    serves: bool
    """Whether it imports something that serves or waits for messages."""
    main: bool
    """Whether it does something when it is started: a `__main__` guard or a call at its top level."""
    streamlit: bool = False
    """Whether it is a page that Streamlit runs, and not Python alone."""


@functools.lru_cache(maxsize=4)  # as of `parse`
@once
def find(files: AppFiles) -> Application | None:
    """The most likely application object: root first, then `src`, then packages one level down."""
    candidates: list[tuple[str, str]] = [("", f"{name}.py") for name in _MODULES]
    candidates += [("src", f"src/{name}.py") for name in _MODULES]
    nested = [("", path) for path in files.glob("*/*.py") if path.partition("/")[0] not in _TRIALS | {"src"}]
    nested += [("src", path) for path in files.glob("src/*/*.py")]
    order = {name: index for index, name in enumerate(_MODULES)}
    known = [pair for pair in nested if posixpath.basename(pair[1])[:-3] in order]
    candidates += sorted(known, key=lambda pair: (pair[1].count("/"), order[posixpath.basename(pair[1])[:-3]], pair[1]))
    for directory, file in candidates[:_MAX_CANDIDATES]:
        module = _module(file, directory)
        tree = parse(files, file) if module else None
        application = _application(tree, file, module, directory) if tree and module else None
        if application is not None:
            return application
    return None


def look(files: AppFiles, file: str) -> Look:
    """What `file` shows; nothing when it cannot be parsed."""
    tree = parse(files, file)
    imported: set[str] = set()
    main = False
    for node in tree.body if tree else []:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif (isinstance(node, ast.If) and _asks_for_main(node.test)) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        ):
            main = True
    return Look(serves=bool(imported & _SERVERS), main=main, streamlit="streamlit" in imported)


def _asks_for_main(test: ast.expr) -> bool:
    # `walk` needs no stack: a source may nest deeper than ours goes.
    return any(isinstance(node, ast.Constant) and node.value == "__main__" for node in ast.walk(test))


@functools.lru_cache(maxsize=16)  # detection and build look at the same sources of the same app
def parse(files: AppFiles, file: str) -> ast.Module | None:
    """A source's syntax tree; None when it is absent, too long or not Python of this version."""
    try:
        text = files.read_text(file)
        if text is None or len(text) > _MAX_SOURCE:
            return None
        with warnings.catch_warnings():
            # What the app's sources make the parser warn of is not our user's concern.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (LangError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _module(file: str, directory: str) -> str | None:
    """The dotted name of a file, or None when it cannot be imported by name."""
    relative = file.removeprefix(f"{directory}/") if directory else file
    parts = relative.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    legal = parts and all(part.isascii() and part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    return ".".join(parts) if legal else None


def _application(tree: ast.Module, file: str, module: str, directory: str) -> Application | None:
    for node in tree.body:
        name: str | None = None
        made = ""
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = target.id if isinstance(target, ast.Name) else None
            made = called(node.value)
        if name and name.isascii() and made in _ASGI | _WSGI:
            return Application(
                file=file, module=module, name=name, directory=directory, asgi=made in _ASGI, factory=False
            )
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in _FACTORIES and _needs_nothing(node):
            calls = {called(inner) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
            if calls & (_ASGI | _WSGI):
                asgi = not calls & _WSGI
                return Application(
                    file=file, module=module, name=node.name, directory=directory, asgi=asgi, factory=True
                )
    return None


def called(call: ast.Call) -> str:
    """The last part of the name of what is called; nothing where that has none."""
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _needs_nothing(function: ast.FunctionDef) -> bool:
    arguments = function.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required == 0 and all(default is not None for default in arguments.kw_defaults)
