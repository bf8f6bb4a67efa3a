"""EDN and Clojure sources as plain data: deps.edn, project.clj, build.clj.

A project.clj is a program, and it is untrusted: it is read, never run. What only an evaluation could tell (`~(slurp
"x")`, a symbol) stays what it was written as, and is nobody's string. Readers' marks that change no data (quotes,
tags, reader conditionals) are passed over; `#_` takes away what follows it, as Clojure does.

Neither long nor deep text costs more than one pass: tokens and depth are bounded, and no form is read by recursion
(https://clojure.org/reference/reader, https://github.com/edn-format/edn).
"""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from langs.errors import LangError

MAX_TOKENS: Final = 100_000
"""Build files have some hundreds."""
MAX_DEPTH: Final = 128

_MAX_META: Final = 16
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_WORD: Final = r"""(?xs)
      (?P<blank>[\s,]++|;[^\n]*+|\#![^\n]*+)
    | (?P<string>\#?"(?:[^"\\]|\\.)*+")
    | (?P<broken>\#?")
    | (?P<discard>\#_)
    | (?P<meta>\#?\^)
    | (?P<mark>'|`|~@|~|@|\#'|\#\?@?|\#\#|\#=|\#:{1,2}(?:[^\s,"(){}\[\];]*+)(?=[\s,]*+\{))
    | (?P<opening>\#?\{|\#?\(|\[)
    | (?P<closing>[)\]}])
    | (?P<tag>\#[A-Za-z][^\s,"(){}\[\];]*+)
    | (?P<character>\\(?:[A-Za-z0-9]++|.))
    | (?P<atom>[^\s,"(){}\[\];@^`~\\]++)
    """
_ESCAPE: Final = r"(?s)\\(?:u([0-9A-Fa-f]{4})|(.))"
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HINT: Final = "Correct it: every bracket and every string needs its end."


class Symbol(msgspec.Struct, frozen=True):
    """A symbol, with the keywords and true-valued keys of its metadata: `^:skip-aot my.core`."""

    name: str
    meta: tuple[str, ...] = ()


class Keyword(msgspec.Struct, frozen=True):
    """A keyword, without its colon."""

    name: str


class Other(msgspec.Struct, frozen=True):
    """A number, a character, a regular expression, true, false or nil, as written."""

    text: str


class Form(msgspec.Struct, frozen=True):
    """A list, a vector, a map or a set: `kind` is its opening bracket."""

    kind: str
    items: "tuple[Value, ...]"
    meta: tuple[str, ...] = ()

    def get(self, *path: str) -> "Value | None":
        """What a map holds at a keyword, or at one in the map at another; the first value when a key stands twice."""
        value: Value = self
        for name in path:
            found = value.value_of(Keyword(name)) if isinstance(value, Form) else None
            if found is None:
                return None
            value = found
        return value

    def value_of(self, key: "Value") -> "Value | None":
        """What a map, or the keywords at the end of a list such as `(defproject a "1" :key value)`, hold at a key."""
        return next((value for each, value in self.pairs() if each == key), None)

    def pairs(self) -> Iterator["tuple[Value, Value]"]:
        """Keys and values of a map; of another form from its first keyword on."""
        items = self.items
        if self.kind != "{":
            items = items[next((index for index, item in enumerate(items) if isinstance(item, Keyword)), len(items)) :]
        return zip(items[::2], items[1::2], strict=False)


Value: TypeAlias = str | Symbol | Keyword | Other | Form


class _Frame(msgspec.Struct):
    """A form whose end has not been reached."""

    opening: str
    line: int
    items: list[Value]
    marks: list[tuple[str, ...]]
    """What applies to the next value, the innermost last."""


def parse(text: str, file: str) -> tuple[Value, ...]:
    """The values of a text, in their order.

    Args:
        text: EDN or Clojure.
        file: its name, for errors.

    Raises:
        LangError: a bracket or a string lacks its partner, or there are too many values or too deep ones.
    """
    # Compiled here: start-up counts, and `re` keeps it.
    match_at = re.compile(_WORD).match
    stack = [_Frame("", 1, [], [])]
    position, line = 0, 1
    for _ in range(MAX_TOKENS):
        if position == len(text):
            break
        match = match_at(text, position)
        if match is None or match.lastgroup == "broken":
            raise LangError(f"cannot be read at {text[position : position + 40]!r}", file=file, line=line, hint=_HINT)
        _take(stack, match, file, line)
        position = match.end()
        line += match[0].count("\n")
    else:
        raise LangError(f"holds more than {MAX_TOKENS} words", file=file, hint="Is it the right file?")
    if len(stack) > 1:
        frame = stack[-1]
        raise LangError(f"`{frame.opening}` is never closed", file=file, line=frame.line, hint=_HINT)
    return tuple(stack[0].items)


def strings(value: Value | None) -> tuple[str, ...]:
    """The strings that stand directly in a vector, list or set."""
    return tuple(item for item in value.items if isinstance(item, str)) if isinstance(value, Form) else ()


def form(value: Value | None, kind: str = "{") -> Form:
    """`value` when it is a form of this kind, else an empty one."""
    return value if isinstance(value, Form) and value.kind == kind else Form(kind, ())


def _take(stack: list[_Frame], match: re.Match[str], file: str, line: int) -> None:
    frame, found = stack[-1], match[0]
    match match.lastgroup:
        case "opening":
            if len(stack) > MAX_DEPTH:
                raise LangError(f"is nested deeper than {MAX_DEPTH} levels", file=file, line=line, hint=_HINT)
            stack.append(_Frame(found, line, [], []))
        case "closing":
            if _CLOSING.get(frame.opening[-1:]) != found:
                raise LangError(f"`{found}` closes nothing that is open", file=file, line=line, hint=_HINT)
            stack.pop()
            _add(stack[-1], Form(frame.opening, tuple(frame.items)))
        case "discard" | "meta" as kind:
            frame.marks.append((kind,))
        case "string":
            _add(frame, Other(found) if found[0] == "#" else _text(found))
        case "character":
            _add(frame, Other(found))
        case "atom":
            _add(frame, _atom(found))
        case _:
            pass


def _add(frame: _Frame, value: Value) -> None:
    """Put a value into its form, as the marks before it say."""
    while frame.marks:
        mark = frame.marks.pop()
        if mark[0] == "discard":
            return
        if mark[0] == "meta":
            frame.marks.append(("with", *_flags(value)))
            return
        if isinstance(value, Symbol | Form):
            value = msgspec.structs.replace(value, meta=(*mark[1:], *value.meta)[:_MAX_META])
    frame.items.append(value)


def _flags(meta: Value) -> tuple[str, ...]:
    if isinstance(meta, Keyword):
        return (meta.name,)
    true = Other("true")
    return tuple(key.name for key, value in form(meta).pairs() if isinstance(key, Keyword) and value == true)


def _atom(text: str) -> Value:
    if text[0] == ":" and len(text) > 1:
        return Keyword(text.lstrip(":"))
    if text.lstrip("+-")[:1].isdecimal() or text in {"true", "false", "nil", ":"}:
        return Other(text)
    return Symbol(text)


def _text(quoted: str) -> str:
    text = quoted[1:-1]
    return re.sub(_ESCAPE, _unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _CONTROLS.get(match[2], match[2])
