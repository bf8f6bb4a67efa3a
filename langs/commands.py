"""Start commands: from the line a person wrote to the words of an exec-form CMD.

The first process of a container must receive its signals itself. A plain command is started without a shell; one that
needs a shell is started by `sh -c "exec ..."`, and in a list (`migrate && serve`) `exec` stands before the last
command only: before the whole list it would end the shell at the first one.
"""

import re
import shlex
from typing import Final

import msgspec

from langs.errors import LangError

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")
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


def check(command: str, *, source: str) -> str:
    """`command` without surrounding blanks.

    Raises:
        LangError: it is empty, holds control characters, or its quotes do not close.
    """
    command = command.strip()
    hint = "Write the command on one line, with every quote closed."
    if not command:
        raise LangError("the command is empty", file=source, hint=hint)
    if _CONTROL.search(command):
        raise LangError("the command holds a control character", file=source, hint=hint)
    if scan(command) is None:
        raise LangError(f"the command {command[:80]!r} does not close its quotes", file=source, hint=hint)
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


def program(command: str) -> str:
    """The name of the program a command starts, without its directory: `npm` of `FOO=1 exec npm start`."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    for word in words:
        if word not in {"exec", "env"} and not _ASSIGNMENT.fullmatch(word):
            return word.rpartition("/")[2]
    return ""


def scan(command: str) -> Scan | None:
    """Look at a command line as POSIX sh would split it; None when a quote does not close."""
    words: list[str] = []
    operators: list[tuple[int, str]] = []
    word: str | None = None
    special = False
    position = 0
    while position < len(command):
        character = command[position]
        if character in " \t":
            if word is not None:
                words.append(word)
            word = None
        elif character == "'":
            end = command.find("'", position + 1)
            if end < 0:
                return None
            word = (word or "") + command[position + 1 : end]
            position = end
        elif character == '"':
            quoted = _double_quoted(command, position + 1)
            if quoted is None:
                return None
            text, position, expands = quoted
            special = special or expands
            word = (word or "") + text
        elif character == "\\":
            if position + 1 == len(command):
                return None
            position += 1
            word = (word or "") + command[position]
        elif character in ";&|()<>":
            operator = (
                command[position : position + 2] if command[position : position + 2] in {"&&", "||"} else character
            )
            operators.append((position, operator))
            position += len(operator) - 1
            if word is not None:
                words.append(word)
            word = None
        else:
            special = special or character in "$`*?[{" or (character in "~#" and word is None)
            word = (word or "") + character
        position += 1
    if word is not None:
        words.append(word)
    return Scan(words=tuple(words), special=special, operators=tuple(operators))


def _double_quoted(command: str, start: int) -> tuple[str, int, bool] | None:
    text = ""
    expands = False
    position = start
    while position < len(command):
        character = command[position]
        if character == '"':
            return text, position, expands
        if character == "\\" and command[position + 1 : position + 2] in {"\\", '"', "$", "`"}:
            position += 1
            character = command[position]
        elif character in "$`":
            expands = True
        text += character
        position += 1
    return None


def _with_exec(command: str, seen: Scan | None) -> str:
    operators = seen.operators if seen else ()
    redirections = {"<", ">"}
    joints = [(offset, operator) for offset, operator in operators if operator not in redirections]
    if any(operator not in {"&&", ";"} for _, operator in joints) or _duplicates_descriptors(command, operators):
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


def _duplicates_descriptors(command: str, operators: tuple[tuple[int, str], ...]) -> bool:
    """Whether an `&` is a part of `>&`, which would look like an operator of its own."""
    return any(operator == "&" and offset and command[offset - 1] in "<>" for offset, operator in operators)
