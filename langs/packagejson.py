"""package.json: the parts of it that decide something, checked; and where it leads to."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from langs import commands
from langs.errors import LangError
from langs.files import AppFiles

FILE: Final = "package.json"

_LIFECYCLE: Final = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_NEEDS_NO_SOURCE: Final = frozenset({"husky", "husky install", "husky || true", "patch-package"})
_RUN: Final = re.compile(r"npm (?:(start)|run(?:-script)? ([A-Za-z0-9:._-]+))(?: --silent| -s)?", re.ASCII)
_DEPTH: Final = 8


class PackageJson(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a package.json."""

    name: str | None = None
    main: str | None = None
    type: str | None = None
    package_manager: str | None = None
    scripts: Mapping[str, str] = {}
    dependencies: Mapping[str, str] = {}
    dev_dependencies: Mapping[str, str] = {}
    engines: Mapping[str, str] = {}
    volta: Mapping[str, str] = {}
    dev_runtime: tuple[str, str] | None = None
    """Name and version of `devEngines.runtime`."""
    workspaces: bool = False
    library: bool = False
    """Whether it says that it is published for others to import."""

    @property
    def install_scripts(self) -> tuple[str, ...]:
        """The scripts that npm runs at installation and that may read the app's sources."""
        return tuple(
            name for name in _LIFECYCLE if name in self.scripts and self.scripts[name].strip() not in _NEEDS_NO_SOURCE
        )


def read(files: AppFiles) -> PackageJson | None:
    """The app's package.json, or None without one.

    Raises:
        LangError: it is no JSON object, or a part of it has another type than npm gives it.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


def parse(text: str) -> PackageJson:
    """The contents of a package.json.

    Raises:
        LangError: as `read`.
    """
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise LangError(f"is not valid JSON: {error.msg}", file=FILE, line=error.lineno, hint="Correct it.") from error
    except (RecursionError, ValueError) as error:
        raise LangError("is nested too deeply or holds too large a number", file=FILE, hint="Correct it.") from error
    if not isinstance(content, dict):
        raise LangError("must hold a JSON object", file=FILE, hint="Run `npm init`.")
    return PackageJson(
        name=_text(content, "name"),
        main=_text(content, "main"),
        type=_text(content, "type"),
        package_manager=_text(content, "packageManager"),
        scripts=_texts(content, "scripts"),
        dependencies=_texts(content, "dependencies") | _texts(content, "optionalDependencies"),
        dev_dependencies=_texts(content, "devDependencies"),
        engines=_texts(content, "engines"),
        volta=_texts(content, "volta", lenient=True),
        dev_runtime=_dev_runtime(content),
        workspaces=bool(content.get("workspaces")),
        library=any(content.get(key) for key in ("files", "publishConfig", "peerDependencies", "exports", "types")),
    )


def expand(package: PackageJson, command: str) -> str:
    """`command` with `npm start` and `npm run NAME` replaced by the scripts they stand for.

    npm as the first process would neither forward signals well nor run on a read-only root. A `pre` script goes
    first. `cross-env` becomes `env`, which does the same on Linux and is always there.

    Raises:
        LangError: a script is missing, or scripts call each other in a circle.
    """
    for _ in range(_DEPTH):
        match = _RUN.fullmatch(command.strip())
        if match is None:
            return re.sub(r"\Across-env(?= )", "env", command.strip())
        name = match[1] or match[2]
        if name == "start" and "start" not in package.scripts:
            return "node server.js"
        if name not in package.scripts:
            raise LangError(f"the script {name!r} is not there", file=FILE, hint="Add it to `scripts`.")
        body = commands.check(package.scripts[name], source=f"{FILE} scripts.{name}")
        before = package.scripts.get(f"pre{name}")
        # The image is built when it starts: building again would only fail on a read-only root.
        if before is not None and before.strip() != "npm run build":
            body = f"{commands.check(before, source=FILE)} && {body}"
        command = body
    raise LangError(f"the script of {command!r} leads back to itself", file=FILE, hint="Let it start a program.")


def _text(content: dict[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None


def _texts(content: dict[str, Any], key: str, *, lenient: bool = False) -> dict[str, str]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        # Ancient packages state `engines` as a list; npm passes over it.
        if key == "engines" or value is None:
            return {}
        raise LangError(f"`{key}` must be an object", file=FILE, hint="Correct it.")
    wrong = next((name for name, text in value.items() if not isinstance(text, str)), None)
    if wrong is not None and not lenient:
        raise LangError(f"`{key}.{wrong[:80]}` must be a string", file=FILE, hint="Correct it.")
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _dev_runtime(content: dict[str, Any]) -> tuple[str, str] | None:
    engines = content.get("devEngines")
    runtime = engines.get("runtime") if isinstance(engines, dict) else None
    runtimes = runtime if isinstance(runtime, list) else [runtime]
    for entry in runtimes:
        if isinstance(entry, dict) and entry.get("name") == "node" and isinstance(entry.get("version"), str):
            return "node", entry["version"]
    return None
