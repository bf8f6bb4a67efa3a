"""What the tokens of a build file say: statements and their blocks, calls with their arguments, and assigned constants.

All of it is a reading without running: what stands in a branch that is never taken counts like everything else, and
what is computed is not known. Who asks takes what is a constant and leaves the rest.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from langs.syntaxes import Syntax
from langs.tokens import END, KEY, MARK, MAX_DEPTH, NAME, NUMBER, STRING, SYMBOL, Token

Tokens: TypeAlias = Sequence[Token]

_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_CONSTANTS: Final = (STRING, NUMBER, SYMBOL)
_ASSIGNS: Final = frozenset({"=", ":=", "+=", "++=", "=>"})
_JOINING: Final = _ASSIGNS | {",", ".", "%", "%%", "%%%", "+", "++", "&&", "||", "|>", "::", "<-"}
"""Marks behind which a statement goes on in the next line."""
_LEADING: Final = frozenset({".", "?.", "&.", "|>", "%", "%%", "%%%", "&&", "||", ","})
"""Marks that go on with the statement of the line before."""
_LOOPS: Final = frozenset({"while", "until", "for"})
_MAX_HOPS: Final = 5
_MAX_TRIES: Final = 20
_MAX_TYPE: Final = 8
"""How many tokens of a type may stand between a name and what is assigned to it."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One statement: its tokens without its blocks, and the statements of these."""

    tokens: tuple[Token, ...]
    body: "tuple[Statement, ...]" = ()

    @property
    def head(self) -> str:
        """The name with which it begins; empty when it begins with something else."""
        return self.tokens[0].text if self.tokens and self.tokens[0].kind is NAME else ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A name with arguments, in parentheses or not."""

    name: Token
    arguments: tuple[Tokens, ...] = ()
    keywords: Mapping[str, Tokens] = {}

    def constant(self, index: int = 0) -> str | None:
        """The argument with this index, when there is one and it is a constant."""
        return constant(self.arguments[index]) if index < len(self.arguments) else None

    def keyword(self, name: str) -> str | None:
        """The keyword argument, when there is one and it is a constant."""
        return constant(self.keywords.get(name, ()))


class _Frame:
    """A block that is being read."""

    def __init__(self, closing: str, opener: str = "") -> None:
        self.closing = closing
        self.opener = opener
        self.statements: list[Statement] = []
        self.tokens: list[Token] = []
        self.body: list[Statement] = []
        self.brackets = 0
        self.flat = 0
        """How many blocks are open in it that are too deep to be blocks of their own."""

    def add(self, token: Token) -> None:
        if token.kind is MARK:
            self.brackets = max(self.brackets + (token.text in _OPENING) - (token.text in _CLOSING), 0)
        self.tokens.append(token)

    def finish(self) -> None:
        if self.tokens or self.body:
            self.statements.append(Statement(tokens=tuple(self.tokens), body=tuple(self.body)))
        self.tokens, self.body, self.brackets = [], [], 0


def statements(tokens: Tokens, syntax: Syntax) -> tuple[Statement, ...]:
    """The statements of a file, each with those of its blocks; what is not closed ends with the file."""
    stack = [_Frame("")]
    for index, token in enumerate(tokens):
        frame = stack[-1]
        closing = _opens(token, frame, syntax)
        if closing:
            _push(stack, token, closing)
        elif _closes(token, syntax):
            if frame.flat:
                frame.flat -= 1
            elif frame.closing == token.text:
                _pop(stack)
        elif token.kind is not END:
            frame.add(token)
        elif not frame.brackets and not _goes_on(tokens, index):
            frame.finish()
    while len(stack) > 1:
        _pop(stack)
    stack[0].finish()
    return tuple(stack[0].statements)


def walk(among: Sequence[Statement]) -> Iterator[tuple[tuple[Statement, ...], Statement]]:
    """Every statement in the file's order, with those whose blocks it stands in, the outermost first."""
    pending: list[tuple[tuple[Statement, ...], Statement]] = [((), statement) for statement in reversed(among)]
    while pending:
        around, statement = pending.pop()
        yield around, statement
        inside = (*around, statement)
        pending += [(inside, each) for each in reversed(statement.body)]


def calls(tokens: Tokens, *names: str) -> Iterator[Call]:
    """Every call of one of `names`, wherever it stands; not those in the arguments of another one of them."""
    index = 0
    while index < len(tokens):
        if tokens[index].kind is NAME and tokens[index].text in names:
            call, index = _call(tokens, index)
            yield call
        else:
            index += 1


def call(statement: Statement) -> Call | None:
    """The call that the statement begins with."""
    return _call(statement.tokens, 0)[0] if statement.head else None


def assigned(tokens: Tokens, *names: str) -> Iterator[Tokens]:
    """What is assigned to or said after one of `names`, without what stands behind a comma.

    All of these are understood: `name = X`, `name := X`, `name: X`, `:name => X`, `name X`, `name(X)`, `name.set(X)`
    and `val name: T = X`.
    """
    index = 0
    while index < len(tokens):
        token = tokens[index]
        start = _value_start(tokens, index) if token.text in names else None
        if start is None:
            index += 1
        else:
            # Words without commas: `id 'x' version 'y' apply false`.
            alone = start == index + 1 and _is_constant(tokens, start) and _is_word(tokens, start + 1)
            index = start + 1 if alone else piece_end(tokens, start)
            piece = _without_ends(tokens[start:index])
            if piece:
                yield piece


def lookup(tokens: Tokens, *names: str) -> str | None:
    """The first constant that is assigned to one of `names`, itself or through other names: `scalaVersion := v`."""
    for piece in itertools.islice(assigned(tokens, *names), _MAX_TRIES):
        value = resolved(tokens, piece)
        if value is not None:
            return value
    return None


def resolved(tokens: Tokens, piece: Tokens) -> str | None:
    """The constant that `piece` is, or that the name which it is stands for: `v`, `Versions.v`."""
    for _ in range(_MAX_HOPS):
        value = constant(piece)
        if value is not None:
            return value
        if not piece or any(token.kind is not NAME and token.text not in {".", "@"} for token in piece):
            return None
        piece = next(assigned(tokens, piece[-1].text), ())
    return None


def constant(piece: Tokens) -> str | None:
    """The text of a piece that is one constant; a name or something computed is none."""
    return piece[0].text if len(piece) == 1 and piece[0].kind in _CONSTANTS else None


def strings(piece: Tokens) -> tuple[str, ...]:
    """All constant strings and symbols of a piece, such as the words of a list."""
    return tuple(token.text for token in piece if token.kind in (STRING, SYMBOL))


def _opens(token: Token, frame: _Frame, syntax: Syntax) -> str:
    """What closes the block that `token` opens; empty when it opens none."""
    if token.kind is MARK and token.text == "{" and syntax.braces:
        return "}"
    if token.kind is not NAME or not syntax.words:
        return ""
    if frame.tokens and frame.tokens[-1].kind is MARK and frame.tokens[-1].text in {".", "&."}:
        return ""
    if token.text == "do":
        # `while x do` has one `end`, which closes what the loop has opened.
        return "" if frame.opener in _LOOPS and not frame.statements else "end"
    starts = not frame.tokens or frame.tokens[-1].text == "="
    return "end" if token.text in syntax.openers and (starts or token.text == "fn") else ""


def _closes(token: Token, syntax: Syntax) -> bool:
    if token.text == "}":
        return syntax.braces and token.kind is MARK
    return token.text == "end" and syntax.words and token.kind is NAME


def _push(stack: list[_Frame], token: Token, closing: str) -> None:
    frame = stack[-1]
    if token.text not in {"{", "do"}:
        frame.tokens.append(token)
    if len(stack) < MAX_DEPTH:
        stack.append(_Frame(closing, token.text))
    else:
        frame.flat += 1


def _pop(stack: list[_Frame]) -> None:
    frame = stack.pop()
    frame.finish()
    stack[-1].body += frame.statements


def _goes_on(tokens: Tokens, index: int) -> bool:
    """Whether the statement before the end of a line goes on behind it."""
    last = tokens[index - 1] if index else None
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if last is not None and (last.kind is KEY or (last.kind is MARK and last.text in _JOINING)):
        return True
    return following is not None and following.kind is MARK and following.text in _LEADING


def _call(tokens: Tokens, index: int) -> tuple[Call, int]:
    """The call whose name stands at `index`, and the index behind it."""
    name, start = tokens[index], index + 1
    if _is_mark(tokens, start, "("):
        pieces, end = _pieces(tokens, start + 1)
        end += 1
    elif start < len(tokens) and tokens[start].kind is MARK and tokens[start].text in _ASSIGNS:
        return Call(name=name), start
    else:
        pieces, end = _pieces(tokens, start)
    arguments: list[Tokens] = []
    keywords: dict[str, Tokens] = {}
    for piece in pieces:
        if piece[0].kind is KEY:
            keywords[piece[0].text] = piece[1:]
        elif _is_mark(piece, 1, "=>") or (_is_mark(piece, 1, "=") and piece[0].kind is NAME):
            keywords[piece[0].text] = piece[2:]
        else:
            arguments.append(piece)
    return Call(name=name, arguments=tuple(arguments), keywords=keywords), end


def _pieces(tokens: Tokens, start: int) -> tuple[list[Tokens], int]:
    """What stands between commas from `start` on, and the index of what ends it."""
    pieces: list[Tokens] = []
    while True:
        end = piece_end(tokens, start)
        piece = _without_ends(tokens[start:end])
        if piece:
            pieces.append(piece)
        if not _is_mark(tokens, end, ","):
            return pieces, end
        start = end + 1


def piece_end(tokens: Tokens, start: int) -> int:
    """Where the piece that begins at `start` ends: before a comma, an unmatched bracket or the statement's end."""
    depth = 0
    for index in range(start, len(tokens)):
        token = tokens[index]
        if token.kind is END and not depth and not _goes_on(tokens, index):
            return index
        if token.kind is not MARK:
            continue
        if not depth and (token.text == "," or token.text in _CLOSING):
            return index
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
    return len(tokens)


def _value_start(tokens: Tokens, index: int) -> int | None:
    """Where the value of the name at `index` begins, when one follows it."""
    token = tokens[index]
    if token.kind is KEY:
        return index + 1
    if token.kind is not NAME:
        return index + 2 if token.kind in _CONSTANTS and _is_mark(tokens, index + 1, "=>") else None
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if following is None or following.kind is END:
        return None
    if following.kind is not MARK:
        # sbt's old way to name a scope: `scalaVersion in ThisBuild := "2.13.1"`.
        return index + (4 if following.text == "in" and _is_mark(tokens, index + 3, ":=") else 1)
    return _behind_mark(tokens, index + 1)


def _behind_mark(tokens: Tokens, index: int) -> int | None:
    """Where a value begins whose name is followed by the mark at `index`."""
    mark = tokens[index].text
    if mark in _ASSIGNS or mark == "(":
        return index + 1
    if mark == "." and _is_mark(tokens, index + 2, "(") and tokens[index + 1].text == "set":
        return index + 3
    if mark == ":":
        behind = range(index + 1, min(index + 1 + _MAX_TYPE, len(tokens)))
        return next((at + 1 for at in behind if _is_mark(tokens, at, "=")), None)
    return None


def _is_constant(tokens: Tokens, index: int) -> bool:
    return index < len(tokens) and tokens[index].kind in _CONSTANTS


def _is_word(tokens: Tokens, index: int) -> bool:
    return index < len(tokens) and tokens[index].kind is NAME


def _is_mark(tokens: Tokens, index: int, text: str) -> bool:
    return index < len(tokens) and tokens[index].kind is MARK and tokens[index].text == text


def _without_ends(piece: Tokens) -> Tokens:
    return tuple(token for token in piece if token.kind is not END)
