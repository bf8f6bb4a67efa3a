"""What the configuration files of npm and Yarn say that changes how an app is built: credentials, and Plug'n'Play.

With Plug'n'Play there is no node_modules: a program of Node.js finds its packages through `.pnp.cjs`, which must be
loaded before it. `yarn node` does that by options of Node.js, and so does the start command here, because Yarn is no
good first process.
"""

import re
from typing import Final, cast

from langs import commands, yamltext
from langs.errors import LangError
from langs.files import AppFiles
from langs.packagejson import PackageJson

FILE: Final = ".yarnrc.yml"
LOADED: Final = ".pnp.cjs"

_CREDENTIAL: Final = re.compile(
    r"^[^#;\n]*(?:_authToken|_auth|_password)[\"']?[ \t]*(?:=|[ \t])[ \t]*+(?![\"']?\$\{)\S", re.MULTILINE
)
"""A credential in .npmrc or .yarnrc that no variable stands for; possessive, so that no file makes it slow."""
_KEYS: Final = frozenset({"npmAuthToken", "npmAuthIdent"})
_DEEPEST: Final = 8
_PROGRAM: Final = re.compile(r"((?:env )?(?:[A-Za-z_][A-Za-z0-9_]*=[^\s;&|]* )*)node (.*)", re.ASCII | re.DOTALL)


def refuse_credentials(files: AppFiles) -> None:
    """A credential in plain text would be in a layer.

    Raises:
        LangError: there is one.
    """
    for file in (".npmrc", ".yarnrc"):
        text = files.read_text(file)
        if text and _CREDENTIAL.search(text):
            raise _credential(file, "_authToken=${NPM_TOKEN}")
    text = files.read_text(FILE)
    if text and _has_credential(yamltext.load(text, FILE), _DEEPEST):
        raise _credential(FILE, "npmAuthToken: ${NPM_TOKEN}")


def plug_and_play(files: AppFiles) -> bool:
    """Whether Yarn is told, or not told otherwise, to install without node_modules.

    Raises:
        LangError: the file is no YAML.
    """
    said = yamltext.load(files.read_text(FILE) or "", FILE)
    linker = said.get("nodeLinker") if isinstance(said, dict) else None
    return linker in {None, "pnp"}


def with_loader(package: PackageJson, command: str) -> str:
    """`command` with what finds the packages of a program of Node.js.

    Raises:
        LangError: it starts a package's program, which only Yarn could find.
    """
    match = _PROGRAM.fullmatch(command)
    if match is None:
        if commands.program(command) in package.everything:
            raise LangError(
                f"the command {command[:80]!r} starts what a package brings, and with Plug'n'Play only Yarn finds that",
                file=FILE,
                hint="Write `nodeLinker: node-modules`, or start `node FILE`.",
            )
        return command
    loader = " --experimental-loader ./.pnp.loader.mjs" if package.is_module else ""
    return f"{match[1]}node --require ./{LOADED}{loader} {match[2]}"


def _credential(file: str, line: str) -> LangError:
    return LangError(
        "holds a credential in plain text",
        file=file,
        hint=f"Write `{line}` and declare the secret NPM_TOKEN for this app.",
    )


def _has_credential(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return any(
            (key in _KEYS and isinstance(each, str) and "${" not in each)
            or (depth > 0 and _has_credential(each, depth - 1))
            for key, each in table.items()
        )
    if isinstance(value, list):
        return depth > 0 and any(_has_credential(each, depth - 1) for each in cast("list[object]", value))
    return False
