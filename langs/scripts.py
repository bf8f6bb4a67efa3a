"""What `npm start` and its like stand for: the scripts of package.json in place of the package manager that runs them.

A package manager as the first process forwards signals badly or not at all, wants to write where it may not, and, but
for npm, is not in the runtime image. So a start command is followed through the scripts to the program that it starts.
What cannot be followed, such as a manager behind a pipe, stays as it is written.
"""

import re
from collections.abc import Callable
from typing import Final

from langs import commands, packagejson
from langs.errors import LangError
from langs.packagejson import PackageJson

MANAGERS: Final = frozenset({"npm", "npx", "pnpm", "pnpx", "yarn", "bun", "bunx"})
"""The programs that run scripts or what packages bring along."""

_BEFORE: Final = r"((?:cross-env |env )?(?:[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_./:,@%+-]* )*)"
"""Variables in front of a command; what needs quotes is not followed."""
_SILENT: Final = r"(?: --silent| -s)?"
_RUN: Final = re.compile(
    rf"{_BEFORE}(npm|pnpm|yarn|bun){_SILENT} (?:run(?:-script)?{_SILENT} )?"
    rf"([A-Za-z0-9@/:._-]+){_SILENT}(?: (--) (.+)| (.+))?",
    re.ASCII,
)
_EXEC: Final = re.compile(
    rf"{_BEFORE}(?:npx|pnpx|bunx|npm exec(?: --)?|(?:pnpm|yarn) exec(?: --)?|(?:pnpm|yarn) (?=node )) ?([A-Za-z0-9].*)",
    re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z0-9@/._-]+", re.ASCII)
_BUILDS: Final = re.compile(r"(?:npm|pnpm|yarn|bun)(?: run)? build")
_DEPTH: Final = 8
_LONGEST: Final = 1 << 14
"""Characters; a script that calls another twice doubles it."""


def expand(package: PackageJson, command: str) -> str:
    """`command` with the scripts in place of `npm start`, `yarn NAME`, `pnpm run NAME` and `bun run NAME`.

    A `pre` script goes first. Programs of packages are started without `npx` and its like: the image's PATH has them.
    `cross-env` becomes `env`, which does the same on Linux and is always there.

    Raises:
        LangError: a script is missing, scripts call each other in a circle, or they make an endless command.
    """
    return _expanded(package, command.strip(), depth=0)


def runs_managers(*expanded: str) -> frozenset[str]:
    """The package managers that expanded commands still seem to start."""
    words = (word for command in expanded for word in re.findall(r"[A-Za-z]+", command))
    return MANAGERS.intersection(words)


def each(command: str, change: Callable[[str, bool], str]) -> str:
    """`command` with each of its simple commands changed, when they are joined by `&&` and `;` only.

    Args:
        command: a command line; one that holds anything else stays as it is.
        change: makes a simple command of one; told, too, whether it is the only one.
    """
    seen = commands.scan(command)
    joints = [(offset, operator) for offset, operator in seen.operators if operator[0] not in "<>"] if seen else []
    if seen is None or any(operator not in {"&&", ";"} for _, operator in joints):
        return command
    parts: list[str] = []
    start = 0
    for offset, operator in (*joints, (len(command), "")):
        part = change(command[start:offset].strip(), not joints)
        parts.append(f"{part} {operator}".strip() if operator == "&&" else part + operator)
        start = offset + len(operator)
    return " ".join(part for part in parts if part)


def is_compound(text: str) -> bool:
    """Whether a command line is more than one simple command."""
    seen = commands.scan(text)
    return seen is None or any(operator[0] not in "<>" for _, operator in seen.operators)


def _expanded(package: PackageJson, command: str, *, depth: int) -> str:
    if depth > _DEPTH:
        raise LangError(
            f"the script of {command[:80]!r} leads back to itself",
            file=packagejson.FILE,
            hint="Let it start a program.",
        )
    text = each(command, lambda part, alone: _one(package, part, depth=depth, alone=alone))
    if len(text) > _LONGEST:
        raise LangError(
            f"scripts make a command of more than {_LONGEST} characters",
            file=packagejson.FILE,
            hint="Let `start` begin one program.",
        )
    return text


def _one(package: PackageJson, command: str, *, depth: int, alone: bool) -> str:
    """One simple command."""
    body = _script(package, command)
    if body is not None:
        before, text, after = body
        text = _expanded(package, text, depth=depth + 1)
        compound = is_compound(text)
        if (before and compound) or (not alone and compound and ";" in text):
            return command
        return _variables(before) + text + after
    program = _EXEC.fullmatch(command)
    if program and (program[2].split()[0] in package.everything or program[2].startswith("node ")):
        return _variables(program[1]) + program[2]
    return re.sub(r"\Across-env(?= )", "env", command)


def _script(package: PackageJson, command: str) -> tuple[str, str, str] | None:
    """Variables, the script's text and arguments, when `command` runs a script; or else the program it runs."""
    match = _RUN.fullmatch(command)
    if match is None:
        return None
    before, manager, name, dashes, passed, more = match.groups()
    if manager == "npm" and more:
        # npm takes what stands before `--` for itself.
        return None
    after = f" {passed or more}" if passed or more else ""
    after = f" -- {passed}" if dashes and manager == "yarn" else after
    says_run = re.search(r" run(?:-script)? ", command) is not None
    if name not in package.scripts:
        return _no_script(package, before, manager, name, after, says_run=says_run)
    if manager == "npm" and name != "start" and not says_run:
        return None
    body = commands.check(package.scripts[name], key=f"scripts.{name}", file=packagejson.FILE)
    first = package.scripts.get(f"pre{name}", "")
    # The image is built when it starts: building again would only fail on a read-only root.
    if first.strip() and not _BUILDS.fullmatch(first.strip()):
        body = f"{commands.check(first, key=f'scripts.pre{name}', file=packagejson.FILE)} && {body}"
    return before, body, after


def _no_script(
    package: PackageJson, before: str, manager: str, name: str, after: str, *, says_run: bool
) -> tuple[str, str, str] | None:
    if name == "start" and manager == "npm":
        return before, "node server.js", after
    if manager in {"yarn", "pnpm"} and name in package.everything:
        # Where there is no such script, these start the program that a package brings along.
        return before, name, after
    if says_run and manager != "bun":
        raise LangError(f"the script {name!r} is not there", file=packagejson.FILE, hint="Add it to `scripts`.")
    return None


def _variables(before: str) -> str:
    return re.sub(r"\Across-env ", "env ", before)
