"""Start commands: from the line a person wrote to the words of an exec-form CMD.

The first process of a container must receive its signals itself. A plain command is started without a shell; one that
needs a shell is started by `sh -c "exec ..."`, and in a list (`migrate && serve`) `exec` stands before the last
command only: before the whole list it would end the shell at the first one.
"""

import functools
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from langs.errors import LangError

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_MAX_LENGTH: Final = 1 << 14
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")
_TOKEN: Final = re.compile(
    r"""
    (?P<end>[ \t]+|(?P<operator>&&|\|\||[<>]&|<<|>>|[;&|()<>]))
    |'(?P<single>[^']*)'
    |"(?P<double>(?:[^"\\]|\\.)*)"
    |\\(?P<escaped>.)
    |(?P<plain>[^ \t'"\\;&|()<>]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_EXPANSION: Final = re.compile(r"(?<!\\)(?:\\\\)*[$`]")
_QUOTING: Final = frozenset("'\"\\")
_SHELL_WORDS: Final = frozenset(
    {"!", "{", "}", "case", "do", "done", "elif", "else", "esac", "exec", "fi", "for", "if", "then", "until", "while"}
    | {".", ":", "alias", "break", "cd", "eval", "exit", "export", "read", "set", "shift", "source", "trap", "type"}
    | {"ulimit", "umask", "unset", "wait"}
)
"""Words that only a shell understands as the first of a command."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a command line shows."""

    words: tuple[str, ...]
    """The words with their quotes removed, of the whole line."""
    special: bool
    """Whether something in it means more than itself: `$`, a pattern, an operator, a comment."""
    operators: tuple[tuple[int, str], ...]
    """The control operators outside of quotes, with their offsets."""


def check(command: str, *, key: str, file: str | None = None) -> str:
    """`command` without surrounding blanks.

    Args:
        command: a command line as somebody wrote it.
        key: what it stands at, for errors.
        file: the file of the app in which it stands.

    Raises:
        LangError: it is empty, holds control characters, or its quotes do not close.
    """
    command = command.strip()
    hint = "Write the command on one line, with every quote closed; what is longer belongs in a script."
    if not command:
        raise LangError(f"{key}: the command is empty", file=file, hint=hint)
    if len(command) > _MAX_LENGTH:
        raise LangError(f"{key}: the command is longer than {_MAX_LENGTH} characters", file=file, hint=hint)
    if _CONTROL.search(command):
        raise LangError(f"{key}: the command holds a control character", file=file, hint=hint)
    seen = scan(command)
    if seen is None:
        raise LangError(f"{key}: the command {command[:80]!r} does not close its quotes", file=file, hint=hint)
    if seen.words[:1] == ("",):
        raise LangError(f"{key}: the command {command[:80]!r} begins with an empty word", file=file, hint=hint)
    return command


def exec_form(command: str) -> tuple[str, ...]:
    """The words of the CMD that starts `command`, which `check` has passed."""
    seen = scan(command)
    if seen is None or seen.operators or seen.special:
        return ("/bin/sh", "-c", _with_exec(command, seen))
    if _ASSIGNMENT.fullmatch(seen.words[0]):
        return ("env", *seen.words)
    if seen.words[0] in _SHELL_WORDS:
        return ("/bin/sh", "-c", command)
    return seen.words


def without_shell(command: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The words of a CMD in an image that has no shell: `variables` are written in.

    Args:
        command: a command which `check` has passed.
        variables: what `$NAME`, `${NAME}` and `${NAME:-DEFAULT}` stand for.

    Raises:
        LangError: something in it only a shell, or `env`, could do.
    """
    plain = _substituted(command, variables).removeprefix("exec ").lstrip()
    words = exec_form(plain) if plain else ("env",)
    if words[0] in {"/bin/sh", "sh", "bash", "/bin/bash", "env", "/usr/bin/env"}:
        raise LangError(
            f"the start command {command[:80]!r} needs a shell, and the image that runs has none",
            hint="Start one program with plain words ($PORT may stand in them), and set variables in [env].",
        )
    return words


def program(command: str) -> str:
    """The name of the program a command starts, without its directory: `npm` of `FOO=1 exec npm start`."""
    command = command[:_MAX_LENGTH]
    words = command.split()
    if _QUOTING.intersection(command):
        with suppress(ValueError):
            words = shlex.split(command)
    for word in words:
        if word not in {"exec", "env"} and not _ASSIGNMENT.fullmatch(word):
            return word.rpartition("/")[2]
    return ""


@functools.lru_cache(maxsize=256)  # a command is checked, rewritten and put into a form, and many apps have the same
def scan(command: str) -> Scan | None:
    """Look at a command line as POSIX sh would split it; None when a quote does not close."""
    words: list[str] = []
    operators: list[tuple[int, str]] = []
    word: str | None = None
    special = False
    position = 0
    while position < len(command):
        token = _TOKEN.match(command, position)
        if token is None:
            return None
        if token["end"] is not None:
            if word is not None:
                words.append(word)
            word = None
            if token["operator"]:
                operators.append((token.start("operator"), token["operator"]))
        else:
            special = special or _means_more(token, starts=word is None)
            word = (word or "") + _unquoted(token)
        position = token.end()
    if word is not None:
        words.append(word)
    return Scan(words=tuple(words), special=special, operators=tuple(operators))


def _substituted(command: str, variables: Mapping[str, str]) -> str:
    """`command` with the known variables written in, where a shell would look for them."""
    if "$" not in command or not variables:
        return command
    names = "|".join(map(re.escape, variables))
    reference = re.compile(rf"(?<!\\)\$(?:\{{({names})(?::?-[^}}$`]*)?\}}|({names})(?![A-Za-z0-9_]))")
    parts: list[str] = []
    position = 0
    while position < len(command):
        token = _TOKEN.match(command, position)
        if token is None:
            return command
        text = token[0]
        if token["plain"] or token["double"]:
            text = reference.sub(lambda match: variables[match[1] or match[2]], text)
        parts.append(text)
        position = token.end()
    return "".join(parts)


def _means_more(token: re.Match[str], *, starts: bool) -> bool:
    if token["double"] is not None:
        return _EXPANSION.search(token["double"]) is not None
    plain = token["plain"] or ""
    return any(character in plain for character in "$`*?[{") or (starts and plain[:1] in {"~", "#"})


def _unquoted(token: re.Match[str]) -> str:
    if token["double"] is not None:
        return re.sub(r'\\([\\"$`])', r"\1", token["double"])
    return next((token[kind] for kind in ("single", "escaped", "plain") if token[kind] is not None), "")


def _with_exec(command: str, seen: Scan | None) -> str:
    operators = seen.operators if seen else ()
    joints = [(offset, operator) for offset, operator in operators if operator[0] not in "<>"]
    if any(operator not in {"&&", ";"} for _, operator in joints):
        return command
    cut = joints[-1][0] + len(joints[-1][1]) if joints else 0
    head, last = command[:cut], command[cut:].strip()
    tail = scan(last)
    # `${...}` or a reserved word at the front may be anything: the shell that stays is the safe reading.
    if tail is None or not tail.words or tail.words[0] in _SHELL_WORDS or last[0] in "$`#<>{(!":
        return command
    assigned = next((index for index, word in enumerate(tail.words) if not _ASSIGNMENT.fullmatch(word)), None)
    if assigned is None:
        return command
    start = "exec env " if assigned else "exec "
    if _opens_compound(head):
        return command
    return f"{head} {start}{last}".strip()


def _opens_compound(head: str) -> bool:
    seen = scan(head)
    return seen is None or any(word in {"if", "for", "while", "until", "case", "{"} for word in seen.words)
