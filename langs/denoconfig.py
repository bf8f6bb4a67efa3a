"""deno.json: the parts of it that decide something; and tasks as the commands they stand for.

`deno task` as the first process would stand between the program and its signals, so that the program is started itself.
What is started may not fetch anything: all is in the image, and there may be no network, and no place to write to.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from langs import commands, jsonc, scripts
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.packagejson import PackageJson

FILES: Final = ("deno.json", "deno.jsonc")
LOCK: Final = "deno.lock"

_TOOLS: Final = frozenset(
    {"fmt", "lint", "exclude", "test", "bench", "$schema", "compilerOptions", "lock", "unstable", "deploy"}
)
"""Keys that configure tools, and show no app."""
_BEFORE: Final = r"((?:env )?(?:[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_./:,@%+-]* )*)"
_TASK: Final = re.compile(rf"{_BEFORE}deno task(?: -q| --quiet)? ([A-Za-z0-9:._-]+)((?: .*)?)", re.ASCII | re.DOTALL)
_RUN: Final = re.compile(rf"{_BEFORE}deno (?:(run|serve) )?(.+)", re.ASCII | re.DOTALL)
_SUBCOMMAND: Final = re.compile(r"[a-z]+", re.ASCII)
_WATCH: Final = re.compile(
    r" (?:--watch(?:-hmr|-exclude)?(?:=\S*)?|--hmr(?:=\S*)?|--no-clear-screen|--reload(?:=\S*)?|-r)(?= |$)"
)
_WATCHES: Final = re.compile(r"(?: |^)--(?:watch|hmr)\b")
_SCRIPT: Final = re.compile(r"[^\s-]\S*\.(?:[cm]?[jt]s|[jt]sx)")
_SCRIPT_WORD: Final = re.compile(r" [^\s-]\S*\.(?:[cm]?[jt]s|[jt]sx)(?= |$)| -- ")
_STARTS: Final = ("start", "preview", "serve", "prod")
"""Tasks that start an app, the likeliest first."""
_DEPTH: Final = 8
_LONGEST: Final = 1 << 14


class _Task(msgspec.Struct):
    command: str | None = None
    dependencies: list[str] | None = None


class _Raw(msgspec.Struct, rename="camel"):
    tasks: dict[str, str | _Task] | None = None
    imports: object = None
    import_map: object = None
    lock: object = None
    node_modules_dir: object = None
    permissions: object = None
    workspace: object = None
    exports: object = None
    name: object = None
    vendor: object = None


class DenoConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a deno.json."""

    file: str
    tasks: Mapping[str, str] = {}
    """The commands of those that depend on no others."""
    imports: tuple[str, ...] = ()
    """What the import map in it leads to."""
    import_map: str | None = None
    """A file of the app."""
    lock: str | None = LOCK
    """The lockfile; None where it is turned off."""
    node_modules: str | None = None
    """`auto`, `manual` or `none`, where it is said."""
    permissions: bool = False
    """Whether it holds the permissions to run with."""
    workspace: bool = False
    """Whether it is the root of one."""
    members: tuple[str, ...] = ()
    """The patterns of its members' directories."""
    name: str | None = None
    """What other members import it as."""
    library: bool = False
    """Whether it says what it exports to others."""
    vendor: bool = False
    """Whether what is fetched is written beside the sources."""
    tools_only: bool = False
    """Whether it configures nothing but tools."""


@once
def read(files: AppFiles) -> DenoConfig | None:
    """The app's deno.json or deno.jsonc, or None without one.

    Raises:
        LangError: it is no JSON with comments, or a part of it has another type than Deno gives it.
    """
    file = files.first(*FILES)
    text = files.read_text(file) if file else None
    return None if file is None or text is None else parse(text, file)


def parse(text: str, file: str) -> DenoConfig:
    """The contents of a deno.json.

    Raises:
        LangError: as `read`.
    """
    raw = jsonc.parse(text, _Raw, file)
    keys = jsonc.parse(text, dict[str, msgspec.Raw], file).keys()
    tasks = {
        name: task if isinstance(task, str) else task.command
        for name, task in (raw.tasks or {}).items()
        if isinstance(task, str) or not task.dependencies
    }
    imports = _table(raw.imports)
    modules = raw.node_modules_dir
    return DenoConfig(
        file=file,
        tasks={name: command for name, command in tasks.items() if command},
        imports=tuple(each for each in imports.values() if isinstance(each, str)),
        import_map=raw.import_map if isinstance(raw.import_map, str) else None,
        lock=_lock(raw.lock),
        node_modules={True: "auto", False: "none"}.get(modules) if isinstance(modules, bool) else _text(modules),
        permissions="default" in _table(raw.permissions),
        workspace=raw.workspace is not None,
        members=_members(raw.workspace),
        name=_text(raw.name),
        library=raw.exports is not None,
        vendor=bool(raw.vendor),
        tools_only=keys <= _TOOLS,
    )


def start_task(config: DenoConfig) -> str | None:
    """The name of the task that starts the app; one that watches files only where there is no other."""
    named = [name for name in _STARTS if name in config.tasks]
    return next((name for name in named if not _WATCHES.search(config.tasks[name])), next(iter(named), None))


def expand(config: DenoConfig | None, package: PackageJson | None, command: str) -> str:
    """`command` with tasks replaced by what they stand for.

    Raises:
        LangError: tasks call each other in a circle.
    """
    return _expanded(config, package, command.strip(), depth=0)


def offline(command: str, *, modules: str | None) -> str:
    """`command` so that Deno fetches nothing, watches nothing, and serves where it is asked to.

    Args:
        command: a list of simple commands, joined by `&&` or `;`; anything else stays as it is.
        modules: the mode of `--node-modules-dir` that finds the npm packages, where Deno needs to be told.
    """
    return scripts.each(command, lambda part, _: _offline(part, modules))


def with_variable(command: str, assignment: str) -> str:
    """`command` with a variable before the program that serves, when it is one of Deno's: before the last one."""
    head, joint, last = command.rpartition("&& ")
    match = _RUN.fullmatch(last)
    return f"{head}{joint}{match[1]}{assignment} {last[len(match[1]) :]}" if match and match[2] != "serve" else command


def script(command: str) -> str | None:
    """The module that a command runs, if it runs one with Deno."""
    match = _RUN.fullmatch(command.rpartition("&& ")[2].strip())
    words = match[3].split() if match else ()
    return next((word for word in words if not word.startswith("-") and _SCRIPT.fullmatch(word)), None)


def _expanded(config: DenoConfig | None, package: PackageJson | None, command: str, *, depth: int) -> str:
    if depth > _DEPTH:
        raise LangError(
            f"the task of {command[:80]!r} leads back to itself",
            file=config.file if config else None,
            hint="Let it start a program.",
        )

    def one(part: str, alone: bool) -> str:  # noqa: FBT001  (called with what it is told, never by a person)
        match = _TASK.fullmatch(part)
        before, name, after = match.groups() if match else ("", "", "")
        task = config.tasks.get(name) if config else None
        script = package.scripts.get(name) if package else None
        if match is None or (task is None and script is None):
            return part
        body = commands.check(task or script or "", key=f"tasks.{name}", file=config.file if config else None)
        body = _expanded(config, package, body, depth=depth + 1)
        compound = scripts.is_compound(body)
        if compound and (before or (not alone and ";" in body)):
            return part
        return before + body + after

    text = scripts.each(command, one)
    if len(text) > _LONGEST:
        raise LangError(
            f"tasks make a command of more than {_LONGEST} characters",
            file=config.file if config else None,
            hint="Let `start` begin one program.",
        )
    return text


def _offline(command: str, modules: str | None) -> str:
    match = _RUN.fullmatch(command)
    if match is None:
        return command
    before, verb, rest = match.groups()
    first = rest.split()[0]
    if verb is None and _SUBCOMMAND.fullmatch(first):
        return command
    rest = f" {rest}"
    module = _SCRIPT_WORD.search(rest)
    cut = module.start() if module else len(rest)
    # What stands behind the module is its own.
    head = _WATCH.sub("", rest[:cut])
    options = "" if "--cached-only" in head else " --cached-only"
    options += f" --node-modules-dir={modules}" if modules and "--node-modules-dir" not in head else ""
    options += " --port $PORT" if verb == "serve" and "--port" not in head else ""
    return f"{before}deno {verb or 'run'}{options}{head}{rest[cut:]}"


def _lock(said: object) -> str | None:
    if isinstance(said, dict):
        path = _table(cast("object", said)).get("path")
        return path if isinstance(path, str) else LOCK
    if isinstance(said, bool):
        return LOCK if said else None
    return said if isinstance(said, str) else LOCK


def _members(said: object) -> tuple[str, ...]:
    patterns = _table(cast("object", said)).get("members") if isinstance(said, dict) else said
    listed = cast("list[object]", patterns) if isinstance(patterns, list) else []
    return tuple(each for each in listed if isinstance(each, str))


def _table(said: object) -> dict[str, object]:
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _text(said: object) -> str | None:
    return said if isinstance(said, str) else None
