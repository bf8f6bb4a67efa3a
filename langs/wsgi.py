"""Finding the application object that a Python web server loads, from sources that are parsed and never run."""

import ast
import functools
import itertools
import keyword
import posixpath
import warnings
from collections.abc import Iterator
from typing import Final

import msgspec

from langs.errors import LangError
from langs.files import AppFiles, once

_ASGI: Final = frozenset(
    {"ASGIApp", "FastAPI", "Litestar", "ProtocolTypeRouter", "Quart", "Sanic", "Starlette", "get_asgi_application"}
)
_WSGI: Final = frozenset({"Flask", "Bottle", "get_wsgi_application"})
_FALCON: Final = {"falcon.App": False, "falcon.asgi.App": True}
"""What Falcon calls its applications, and whether they are asynchronous: `App` alone could be anything."""
_FALCON_APP: Final = "App"
DASH: Final = "Dash"
_SERVER: Final = "server"
"""The attribute of Dash's application that is the one which servers load."""
_TRACES: Final = tuple(f"{name}(" for name in sorted(_ASGI | _WSGI | _FALCON.keys() | {DASH}))
FACTORIES: Final = frozenset({"create_app", "make_app", "get_app", "build_app", "create_application"})
OBJECTS: Final = frozenset({"app", "application", "api", "asgi", "server", "wsgi"})
"""Names of objects that a factory of any name may have made."""
_MODULES: Final = ("main", "app", "wsgi", "asgi", "server", "api", "application", "run", "web", "__init__")
TRIALS: Final = frozenset({"doc", "docs", "example", "examples", "sample", "samples", "test", "tests"})
"""Directories whose applications show or try something else."""
_MANIFESTS: Final = (
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "Pipfile",
    "Dockerfile",
    "Containerfile",
    "Procfile",
)
"""Files that make a directory below something of its own."""
_MAX_SOURCE: Final = 1 << 18
_MAX_CANDIDATES: Final = 200
_SERVERS: Final = frozenset(
    {"aiogram", "aiohttp", "bottle", "cherrypy", "dash", "django", "discord", "falcon", "fastapi", "flask", "gradio"}
    | {"grpc", "gunicorn", "http", "hypercorn", "litestar", "quart", "sanic", "slack_bolt", "socketserver", "starlette"}
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
    """The most likely application object: root first, then `src`, then packages one level down, then two."""
    known = [f"{name}.py" for name in _MODULES]
    others = (file for file in files.glob("*.py") if file not in known and _is_traced(files, file))
    for file in itertools.chain(known, (f"src/{file}" for file in known), others, _nested(files)):
        tree = parse(files, file)
        directory = import_root(files, file, tree) if tree else ""
        module = _module(file, directory)
        application = _application(files, tree, file, module, directory) if tree and module else None
        if application is not None:
            return application
    return None


def asynchronous(files: AppFiles, application: Application) -> Application | None:
    """The asynchronous application in `asgi.py` beside one in `wsgi.py`: Django's projects begin with both."""
    directory, name = posixpath.split(application.file)
    file = posixpath.join(directory, "asgi.py")
    tree = parse(files, file) if name == "wsgi.py" else None
    module = _module(file, application.directory)
    return _application(files, tree, file, module, application.directory) if tree and module else None


def _is_traced(files: AppFiles, file: str) -> bool:
    """Whether a source of any name may define one: most do not, and are not parsed."""
    try:
        text = files.read_text(file) or ""
    except LangError:
        return False
    return any(trace in text for trace in _TRACES)


def _nested(files: AppFiles) -> Iterator[str]:
    """Sources below which could hold it, the likeliest first; those of a directory that is something of its own not."""
    order = {f"{name}.py": index for index, name in enumerate(_MODULES)}
    for pattern in ("*/*.py", "*/*/*.py"):
        found = [file for file in files.glob(pattern) if posixpath.basename(file) in order]
        found = [file for file in found if is_part(files, posixpath.dirname(file))]
        yield from sorted(found, key=lambda file: (order[posixpath.basename(file)], file))[:_MAX_CANDIDATES]


def is_part(files: AppFiles, directory: str) -> bool:
    """Whether the sources in a directory below belong to the app itself."""
    parts = directory.split("/")
    above = ("/".join(parts[: index + 1]) for index in range(len(parts)))
    return TRIALS.isdisjoint(parts) and not any(
        files.first(*(f"{each}/{name}" for name in _MANIFESTS)) for each in above
    )


def import_root(files: AppFiles, file: str, tree: ast.Module) -> str:
    """Where the imports of a source begin: around its package, in `src`, or beside it where it names its neighbours."""
    directory = posixpath.dirname(file)
    if not directory:
        return ""
    if files.exists(f"{directory}/__init__.py"):
        while directory and files.exists(f"{directory}/__init__.py"):
            directory = posixpath.dirname(directory)
        return directory
    first = file.partition("/")[0]
    for name in _imported(tree):
        near = f"{directory}/{name}"
        if name == first:
            return ""
        if files.exists(f"{near}.py") or files.has_directory(near):
            return directory
    return first if first == "src" else ""


def _imported(tree: ast.Module) -> Iterator[str]:
    """The first parts of what a source imports by absolute names."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


class _Looking(msgspec.Struct, frozen=True):
    """A look at a source of the app, which is taken once: all apps are detected before the first is built."""

    file: str

    def __call__(self, files: AppFiles) -> Look:
        return _look(files, self.file)


def look(files: AppFiles, file: str) -> Look:
    """What `file` shows; nothing when it cannot be parsed."""
    return files.once(_Looking(file))


def _look(files: AppFiles, file: str) -> Look:
    tree = parse(files, file)
    imported: set[str] = set()
    main = False
    for node in tree.body if tree else []:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif (isinstance(node, ast.If) and asks_for_main(node.test)) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        ):
            main = True
    return Look(serves=bool(imported & _SERVERS), main=main, streamlit="streamlit" in imported)


def mentions_server(text: str) -> bool:
    """Whether a text has the name of anything that serves in it."""
    return any(name in text for name in _SERVERS)


def asks_for_main(test: ast.expr) -> bool:
    """Whether a condition holds in the program that is started only."""
    # `walk` needs no stack: a source may nest deeper than ours goes.
    return any(isinstance(node, ast.Constant) and node.value == "__main__" for node in ast.walk(test))


def parse(files: AppFiles, file: str) -> ast.Module | None:
    """A source's syntax tree; None when it is absent, too long or not Python of this version."""
    # Most of the names that are asked for are not there, and would drive out what is kept of those that are.
    return parse_present(files, file) if files.exists(file) else None


@functools.lru_cache(maxsize=16)  # several questions are asked of the same sources of the same app
def parse_present(files: AppFiles, file: str) -> ast.Module | None:
    """As `parse`, of a file that is there."""
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


def problem(files: AppFiles, file: str) -> str | None:
    """Why a source that is there cannot be parsed; None where it can."""
    if parse(files, file) is not None:
        return None
    try:
        text = files.read_text(file) or ""
        if len(text) > _MAX_SOURCE:
            return f"is longer than {_MAX_SOURCE} characters"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except LangError as error:
        return error.message
    except SyntaxError as error:
        # What the parser says may repeat characters of the source.
        said = str(error.msg)[:200]
        return f"cannot be parsed: {said if said.isprintable() else 'invalid syntax'} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError):
        return "cannot be parsed"
    return None


def _module(file: str, directory: str) -> str | None:
    """The dotted name of a file, or None when it cannot be imported by name."""
    relative = file.removeprefix(f"{directory}/") if directory else file
    parts = relative.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    legal = parts and all(part.isascii() and part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    return ".".join(parts) if legal else None


def _application(files: AppFiles, tree: ast.Module, file: str, module: str, directory: str) -> Application | None:
    """The first object that is one; else the first function that makes one."""
    for node in tree.body:
        asgi = _object(files, tree, file, directory, node)
        if asgi is not None:
            name = str(assigned(node)[0])
            return Application(file=file, module=module, name=name, directory=directory, asgi=asgi, factory=False)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in FACTORIES and _needs_nothing(node):
            asgi = _asgi_of(node)
            if asgi is not None:
                return Application(
                    file=file, module=module, name=node.name, directory=directory, asgi=asgi, factory=True
                )
    return None


def _object(files: AppFiles, tree: ast.Module, file: str, directory: str, node: ast.stmt) -> bool | None:
    """Whether the application to which a statement gives a name is asynchronous; None when it is none."""
    name, value = assigned(node)
    if name is None or not name.isascii():
        return None
    if isinstance(value, ast.Attribute) and value.attr == _SERVER:
        return False if DASH in _callees(tree.body) else None
    if not isinstance(value, ast.Call):
        return None
    asgi = _makes(value)
    if asgi is None and name in OBJECTS and isinstance(value.func, ast.Name):
        return _made_by(files, tree, posixpath.dirname(file), directory, value.func.id)
    return asgi


def assigned(node: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """The name to which a statement assigns, and what."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return None, None
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return (target.id if isinstance(target, ast.Name) else None), node.value


def _makes(call: ast.Call) -> bool | None:
    """Whether the application that a call makes is asynchronous; None when it makes none."""
    name = called(call)
    if name in _ASGI | _WSGI:
        return name in _ASGI
    return _FALCON.get(ast.unparse(call.func)) if name == _FALCON_APP else None


def _asgi_of(function: ast.FunctionDef) -> bool | None:
    """The same of the application that a function makes."""
    made = {_makes(inner) for inner in ast.walk(function) if isinstance(inner, ast.Call)} - {None}
    return None if not made else False not in made


def _made_by(files: AppFiles, tree: ast.Module, beside: str, root: str, name: str) -> bool | None:
    """The same of a function of the app by its name in a module, which may have imported it."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _asgi_of(node)
        if not isinstance(node, ast.ImportFrom):
            continue
        original = next((alias.name for alias in node.names if name in {alias.asname, alias.name}), None)
        if original is None:
            continue
        above = posixpath.normpath(posixpath.join(beside, *[".."] * (node.level - 1))) if node.level else root
        path = posixpath.normpath(posixpath.join(above, *(node.module or "").split(".")))
        for file in (f"{path}.py", f"{path}/__init__.py"):
            source = parse(files, file) if not path.startswith("..") else None
            for each in source.body if source else ():
                if isinstance(each, ast.FunctionDef) and each.name == original:
                    return _asgi_of(each)
    return None


def _callees(body: list[ast.stmt]) -> frozenset[str]:
    values = (assigned(node)[1] for node in body)
    return frozenset(called(value) for value in values if isinstance(value, ast.Call))


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
