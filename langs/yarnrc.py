"""Yarn's Plug'n'Play: whether an app is installed that way, and how it is then started.

With Plug'n'Play there is no node_modules: a program of Node.js finds its packages through `.pnp.cjs`, which must be
loaded before it. `yarn node` does that by options of Node.js, and so does the start command here, because Yarn is no
good first process.
"""

import re
from typing import Final

from langs import commands, yamltext
from langs.errors import LangError
from langs.files import AppFiles
from langs.packagejson import PackageJson

FILE: Final = ".yarnrc.yml"
LOADED: Final = ".pnp.cjs"

_PROGRAM: Final = re.compile(r"((?:env )?(?:[A-Za-z_][A-Za-z0-9_]*=[^\s;&|]* )*)node (.*)", re.ASCII | re.DOTALL)


def plug_and_play(files: AppFiles) -> bool:
    """Whether Yarn is told, or not told otherwise, to install without node_modules.

    Raises:
        LangError: the file is no YAML.
    """
    said = yamltext.load(files.read_text(FILE) or "", FILE)
    linker = said.get("nodeLinker") if isinstance(said, dict) else None
    return linker in {None, "pnp"}


def with_loader(package: PackageJson, command: str, place: str = ".") -> str:
    """`command` with what finds the packages of a program of Node.js, which stands in `place`.

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
    loader = f" --experimental-loader {place}/.pnp.loader.mjs" if package.is_module else ""
    return f"{match[1]}node --require {place}/{LOADED}{loader} {match[2]}"
