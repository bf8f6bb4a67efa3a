"""setup.py and setup.cfg: what they declare, read without running anything.

setup.py is a program. What it passes to `setup()` as literals, or as names bound to literals, is known; where its
requirements are computed, they are not, and pip finds them out in the build, with all sources at hand.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

import msgspec

from langs import requirements, wsgi
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.pyproject import Project

if TYPE_CHECKING:
    import configparser

PROGRAM: Final = "setup.py"
FILE: Final = "setup.cfg"

_KNOWN: Final = ("name", "python_requires", "install_requires", "entry_points")
_SCRIPTS: Final = "console_scripts"


class _Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the two says; None is nothing, or nothing that can be known."""

    name: str | None = None
    python_requires: str | None = None
    install_requires: tuple[str, ...] | None = None
    scripts: tuple[str, ...] = ()
    computed: bool = False
    """Whether the requirements are there and unknown."""


def is_project(files: AppFiles, file: str) -> bool:
    """Whether one of the two declares a project; setup.cfg is also where tools are configured."""
    if file == PROGRAM:
        return files.exists(PROGRAM)
    config = _config(files)
    return config is not None and (config.has_section("metadata") or config.has_section("options"))


@once
def read(files: AppFiles) -> Project:
    """The project that both declare; what setup.py says wins, as it does for setuptools.

    Raises:
        LangError: setup.cfg is no such file, or a requirement is none.
    """
    program, config = _program(files), _options(files)
    file = PROGRAM if files.exists(PROGRAM) else FILE
    required = program.install_requires
    if required is None:
        required = config.install_requires
    unknown = program.computed or (required is None and config.computed)
    known = () if unknown else required or ()
    return Project(
        file=file,
        name=program.name or config.name,
        requires_python=program.python_requires or config.python_requires,
        dependencies=known,
        names=requirements.named(known, file=file, key="install_requires"),
        scripts=dict.fromkeys((*program.scripts, *config.scripts), ""),
        package=True,
        is_project=True,
        computed=unknown,
    )


def _program(files: AppFiles) -> _Declared:
    tree = wsgi.parse(files, PROGRAM)
    if tree is None:
        # Absent, or not of this Python's syntax: the build's Python may know better.
        return _Declared(computed=files.exists(PROGRAM))
    call = next((node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_setup(node.func)), None)
    if call is None:
        return _Declared(computed=True)
    said: dict[str, object] = {}
    computed = any(keyword.arg is None for keyword in call.keywords)
    for keyword in call.keywords:
        if keyword.arg not in _KNOWN:
            continue
        found = _literal(_bound(tree, keyword.value.id) if isinstance(keyword.value, ast.Name) else keyword.value)
        computed = computed or (found is None and keyword.arg == "install_requires")
        said[keyword.arg] = found
    required = _strings(said.get("install_requires"))
    return _Declared(
        name=_string(said.get("name")),
        python_requires=_string(said.get("python_requires")),
        install_requires=required,
        scripts=_scripts(said.get("entry_points")),
        computed=computed or (required is None and said.get("install_requires") is not None),
    )


def _options(files: AppFiles) -> _Declared:
    config = _config(files)
    if config is None:
        return _Declared()
    required = config.get("options", "install_requires", fallback=None)
    scripts = _lines(config.get("options.entry_points", _SCRIPTS, fallback=""))
    return _Declared(
        name=config.get("metadata", "name", fallback=None),
        python_requires=config.get("options", "python_requires", fallback=None),
        # `file:` takes them from elsewhere.
        install_requires=None if required is None or required.startswith("file:") else _lines(required),
        scripts=tuple(line.partition("=")[0].strip() for line in scripts),
        computed=required is not None and required.startswith("file:"),
    )


def _config(files: AppFiles) -> "configparser.RawConfigParser | None":
    text = files.read_text(FILE)
    if text is None:
        return None
    import configparser  # noqa: PLC0415  (start-up counts: few apps have such a file)

    config = configparser.RawConfigParser(strict=False)
    try:
        # The parser's own pattern takes the square of the time for a run of blanks.
        config.read_string(re.sub(r"[^\S\n]+", " ", text))
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        raise LangError(
            "is no configuration file of setuptools",
            file=FILE,
            line=line if isinstance(line, int) else None,
            hint="Write `[section]`, and below it `key = value`.",
        ) from error
    return config


def _bound(tree: ast.Module, name: str) -> ast.expr | None:
    """What a name is bound to, when that happens once, at the top, and nothing can change it afterwards."""
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and all(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]
    stores = 0
    for node in ast.walk(tree):
        stores += isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
        if (
            isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id == name
        ):
            # `REQUIRED.append(...)`, `REQUIRED[0] = ...`
            return None
    return values[0] if len(values) == stores == 1 else None


def _is_setup(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "setup"


def _literal(node: ast.expr | None) -> object:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return _lines(value)
    if not isinstance(value, list | tuple):
        return None
    texts = tuple(each for each in cast("Sequence[object]", value) if isinstance(each, str))
    return texts if len(texts) == len(cast("Sequence[object]", value)) else None


def _lines(text: str) -> tuple[str, ...]:
    stripped = (line.partition("#")[0].strip() for line in text.split("\n"))
    return tuple(line for line in stripped if line)


def _scripts(value: object) -> tuple[str, ...]:
    declared = cast("Mapping[object, object]", value).get(_SCRIPTS) if isinstance(value, Mapping) else None
    return tuple(line.partition("=")[0].strip() for line in _strings(declared) or ())
