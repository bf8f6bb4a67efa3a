"""One tolerant tokenizer for the build files that are programs: of Gradle, sbt, Mix, Bundler, and JavaScript's tools.

Such a file cannot be understood without running it, and it is untrusted, so that nobody runs it. What is asked of it is
small: which constants it states. `tokenize` finds where names, constants and marks begin and end, and above all what is
comment or string; `langs.phrases` reads statements, calls and assignments from its tokens. A string with interpolation
is a `TEMPLATE`: no constant, whatever it holds.

Every character is looked at a bounded number of times, tokens and nesting are bounded, and nothing is an error: what
never ends goes on to the end of the line or of the text, what is not known is a mark of one character.
"""

import re
from enum import StrEnum
from functools import cache
from typing import Final

import msgspec

from langs.syntaxes import Quote, Syntax

MAX_TOKENS: Final = 50_000
"""What lies behind is not read. The longest build files that people write have some ten thousand tokens."""
MAX_DEPTH: Final = 64
"""How deep interpolations, comments and blocks are followed into each other; deeper ones are flat."""


class Kind(StrEnum):
    """What a token is."""

    NAME = "name"
    KEY = "key"
    """`name:` or `"name":`, where the language has such; the text is without the colon."""
    STRING = "string"
    """A constant string; the text is its value."""
    TEMPLATE = "template"
    """A string that is made when the program runs, a regular expression or a character; the text is as written."""
    SYMBOL = "symbol"
    """`:name` of Ruby and Elixir, `'name` of Scala; the text is the name."""
    NUMBER = "number"
    MARK = "mark"
    """An operator or a bracket."""
    END = "end"
    """One or more ends of lines, or semicolons."""


NAME: Final = Kind.NAME
KEY: Final = Kind.KEY
STRING: Final = Kind.STRING
TEMPLATE: Final = Kind.TEMPLATE
SYMBOL: Final = Kind.SYMBOL
NUMBER: Final = Kind.NUMBER
MARK: Final = Kind.MARK
END: Final = Kind.END
# To ask an enumeration for a member, or to hash one, takes longer than what else is done with a token.


class Token(msgspec.Struct, frozen=True):
    """One token, with the line on which it begins, from 1."""

    kind: Kind
    text: str
    line: int


_MARKS: Final = (
    *("%%%", "++=", "...", "===", ":=", "+=", "-=", "=>", "->", "<-", "::", "==", "!=", ">=", "<=", "&&", "||", "|>"),
    *("~>", "<>", "++", "..", "?.", "&.", "%%"),
)
"""The longest first."""
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}
_KINDS: Final = {
    "name": NAME,
    "key": KEY,
    "symbol": SYMBOL,
    "number": NUMBER,
    "character": TEMPLATE,
}
_VALUES: Final = (NAME, STRING, TEMPLATE, SYMBOL, NUMBER)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_HEREDOC: Final = re.compile(r"<<[~-]?([\"'`]?)([A-Z_][A-Z0-9_]*)\1", re.ASCII)
_PERCENT: Final = re.compile(r"%([wWiIqQrxs]?)([\[({<|!/])", re.ASCII)
_SIGIL: Final = re.compile(r"~([A-Za-z][A-Z0-9]*)(\"\"\"|'''|[\[({<|/\"'])", re.ASCII)


class _Patterns(msgspec.Struct, frozen=True):
    """The compiled regular expressions of one syntax."""

    main: re.Pattern[str]
    blocks: tuple[re.Pattern[str], ...]
    code: re.Pattern[str]
    """What matters in the code of an interpolation."""
    quotes: dict[str, Quote]


def tokenize(text: str, syntax: Syntax) -> tuple[Token, ...]:
    """The tokens of `text`, without comments and spaces; at most `MAX_TOKENS` of them."""
    return _Scanner(text, syntax).run()


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str, syntax: Syntax) -> None:
        self._text = text
        self._syntax = syntax
        self._patterns = _patterns(syntax)
        self._tokens: list[Token] = []
        self._position: int = 0
        self._line = 1
        self._heredocs: list[str] = []
        self._slashless = 0
        """Up to here no slash closes what a slash opens: each line is searched once."""

    def run(self) -> tuple[Token, ...]:
        match_at = self._patterns.main.match
        while self._position < len(self._text) and len(self._tokens) < MAX_TOKENS:
            start = self._position
            match = match_at(self._text, start)
            group = (match.lastgroup or "") if match else ""
            if match and group == "space":
                self._position = match.end()
                continue
            found = match[0] if match else self._text[start]
            kind = _KINDS.get(group)
            if kind is not None:
                # Most tokens are words, in which no line ends.
                self._position = start + len(found)
                self._tokens.append(Token(kind, _bare(group, found), self._line))
                continue
            self._position = start + len(found)
            self._take(group, found, start)
            self._line += self._text.count("\n", start, self._position)
        return tuple(self._tokens[:MAX_TOKENS])

    def _take(self, group: str, found: str, start: int) -> None:
        """Add the token, if any, of what `group` of the main pattern has found."""
        match group:
            case "":
                self._mark(found, start)
            case "comment" | "joint":
                pass
            case "newline":
                self._add(END, found[0])
                if found[0] == "\n":
                    self._skip_heredocs()
            case "quote":
                self._string(found)
            case "prefixed":
                self._string(found[found.index('"') :], self._syntax.prefixes)
            case "block0" | "block1":
                self._block(int(group[-1]))
            case _ if group != "special" or not self._special(found, start):
                self._mark(found, start)
            case _:
                pass

    def _add(self, kind: Kind, text: str) -> None:
        if kind is END and (not self._tokens or self._tokens[-1].kind is END):
            return
        self._tokens.append(Token(kind, text, self._line))

    def _mark(self, found: str, start: int) -> None:
        # What could be special and is not, is one character.
        self._position = start + (len(found) if found in _MARKS else 1)
        self._add(MARK, self._text[start : self._position])

    def _string(self, mark: str, prefixed: str = "") -> None:
        symbol = mark.startswith(":")
        quote = self._patterns.quotes[mark.removeprefix(":")]
        if prefixed:
            quote = msgspec.structs.replace(quote, interpolation=prefixed)
        text, constant = self._inside(quote)
        after = self._text[self._position : self._position + 2]
        if constant and self._syntax.keys and not symbol and after[:1] == ":" and after != "::":
            self._position += 1
            self._add(KEY, text)
        else:
            constant_kind = SYMBOL if symbol else STRING
            self._add(constant_kind if constant else TEMPLATE, text)

    def _inside(self, quote: Quote) -> tuple[str, bool]:
        """The text of the string that begins here, and whether it is a constant; the position is set behind it."""
        start = end = position = self._position
        constant, escaped = True, False
        stack: list[Quote | None] = [quote]
        while stack:
            top = stack[-1]
            match = (self._patterns.code if top is None else _content(top)).search(self._text, position)
            if match is None:
                constant, end = False, len(self._text)
                position = end
                break
            end, position = match.start(), match.end()
            deeper = len(stack) < MAX_DEPTH
            match match.lastgroup:
                case "escape":
                    escaped = True
                case "closing":
                    stack.pop()
                case "line":
                    constant, position = False, end
                    stack.pop()
                case "interpolation":
                    constant = False
                    if match[0].endswith("{") and deeper:
                        stack.append(None)
                case "open" if deeper:
                    stack.append(None)
                case "quote" if deeper:
                    stack.append(self._patterns.quotes[match[0]])
                case _:
                    pass
        self._position = position
        content = self._text[start:end]
        return (_ESCAPE.sub(_unescaped, content) if constant and escaped else content), constant

    def _block(self, index: int) -> None:
        depth = 1
        while depth:
            match = self._patterns.blocks[index].search(self._text, self._position)
            if match is None:
                self._position = len(self._text)
                return
            self._position = match.end()
            if match.lastgroup == "closing":
                depth -= 1
            elif self._syntax.nested:
                depth += 1

    def _special(self, found: str, start: int) -> bool:
        """Take what begins with `/`, `%`, `~`, `<<` or `?`, when it is no operator here."""
        if found == "/":
            return self._may_begin(start, 1) and self._slashed(start)
        if found == "?":
            return self._character(start)
        if found == "<<":
            match = _HEREDOC.match(self._text, start)
            if match is None or not self._may_begin(start, 2):
                return False
            self._position = match.end()
            self._heredocs.append(match[2])
            self._add(TEMPLATE, match[0])
            return True
        percent = found == "%"
        match = (_PERCENT if percent else _SIGIL).match(self._text, start)
        if match is None or (percent and not self._may_begin(start, 1)):
            return False
        self._position = match.end()
        self._literal(match[1], match[2], nests=percent)
        return True

    def _may_begin(self, start: int, length: int) -> bool:
        """Whether a literal may begin here, and not an operator between two values."""
        last = self._tokens[-1] if self._tokens else None
        if last is None or (last.kind not in _VALUES and last.text not in {")", "]", "}"}):
            return True
        spaced = self._text[start - 1 : start].isspace()
        return last.kind is NAME and spaced and not self._text[start + length : start + length + 1].isspace()

    def _slashed(self, start: int) -> bool:
        if start < self._slashless:
            return False
        line = self._text.find("\n", start)
        line = len(self._text) if line < 0 else line
        position = start + 1
        while position < line and self._text[position] != "/":
            position += 2 if self._text[position] == "\\" else 1
        if position >= line:
            self._slashless = line
            return False
        self._position = position + 1
        self._add(TEMPLATE, self._text[start : self._position])
        return True

    def _character(self, start: int) -> bool:
        length = 3 if self._text.startswith("\\", start + 1) else 2
        text = self._text[start : start + length]
        follows = self._text[start + length : start + length + 1]
        if len(text) < length or text[-1].isspace() or follows.isalnum() or not self._may_begin(start, 1):
            return False
        self._position = start + length
        self._add(TEMPLATE, text)
        return True

    def _literal(self, letter: str, mark: str, *, nests: bool) -> None:
        """A literal with a mark of its own choice; lists of words become the tokens of a list of strings."""
        closing = _BRACKETS.get(mark, mark)
        start, depth = self._position, 1
        step = re.compile(rf"\\.|({re.escape(closing)})|({re.escape(mark)})", re.DOTALL)
        end = len(self._text)
        while depth:
            match = step.search(self._text, self._position)
            if match is None:
                self._position = len(self._text)
                break
            self._position, end = match.end(), match.start()
            depth += -1 if match[1] else 1 if match[2] and nests else 0
        content = self._text[start:end]
        if letter in {"w", "W", "i", "I"} and "#{" not in content:
            atoms = letter in {"i", "I"} or (not nests and self._text.startswith("a", self._position))
            self._position += 1 if atoms and not nests else 0
            self._add(MARK, "[")
            for number, word in enumerate(content.split()):
                if number:
                    self._add(MARK, ",")
                self._add(SYMBOL if atoms else STRING, word)
            self._add(MARK, "]")
        else:
            constant = letter in {"", "q", "Q", "s", "S"} and "#{" not in content and "\\" not in content and not depth
            self._add(STRING if constant else TEMPLATE, content)

    def _skip_heredocs(self) -> None:
        for name in self._heredocs:
            match = re.compile(rf"^[ \t]*{name}[ \t\r]*$", re.MULTILINE).search(self._text, self._position)
            self._position = match.end() if match else len(self._text)
        self._heredocs.clear()


def _bare(group: str, found: str) -> str:
    """What a word says without the mark that shows its kind."""
    match group:
        case "key":
            return found[:-1]
        case "symbol":
            return found[1:]
        case "name":
            return found.strip("`")
        case _:
            return found


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _CONTROLS.get(match[2], match[2])


@cache
def _content(quote: Quote) -> re.Pattern[str]:
    parts = [r"(?P<escape>\\.)"] if quote.escapes else []
    parts.append(f"(?P<closing>{re.escape(quote.closing or quote.mark)})")
    parts += [f"(?P<interpolation>{quote.interpolation})"] if quote.interpolation else []
    parts += [] if quote.lines else [r"(?P<line>\n)"]
    return re.compile("|".join(parts), re.DOTALL)


@cache
def _patterns(syntax: Syntax) -> _Patterns:
    marks = "|".join(re.escape(quote.mark) for quote in syntax.quotes)
    name = r"[^\W\d]\w*+[?!]?" if syntax.words else r"[^\W\d][\w$]*+|`[^`\n]*`"
    specials = (
        *(["/"] if syntax.slashes else []),
        *(["%", r"<<(?=[~A-Z_\"'`-])"] if syntax.percents else []),
        *(["~(?=[A-Za-z])"] if syntax.sigils else []),
        *([r"\?"] if syntax.percents or syntax.sigils else []),
    )
    parts = (
        ("space", r"[ \t\r\f\v]++"),
        ("joint", r"(?:\\\r?\n[ \t]*+)++"),
        ("newline", r"\n++|;"),
        ("comment", rf"{syntax.comments}[^\n]*+"),
        *((f"block{number}", opening) for number, (opening, _) in enumerate(syntax.blocks)),
        ("prefixed", r'[^\W\d]\w*+"(?:"")?' if syntax.prefixes else ""),
        ("quote", f"(?::(?=[\"']))?(?:{marks})" if syntax.symbols else marks),
        ("character", r"'(?:\\u[0-9A-Fa-f]{4}|\\?[^\n])'" if syntax.characters else ""),
        # `A::B` holds no symbol.
        ("scope", "::"),
        ("symbol", r":[^\W\d]\w*+[?!]?" if syntax.symbols else r"'[^\W\d]\w*+" if syntax.characters else ""),
        ("key", r"[^\W\d]\w*+[?!]?+:(?!:)" if syntax.keys else ""),
        ("name", name),
        ("number", r"\d\w*+(?:\.\d\w*+)*+"),
        ("special", "|".join(specials)),
        ("mark", "|".join(re.escape(mark) for mark in _MARKS)),
    )
    return _Patterns(
        main=re.compile("|".join(f"(?P<{group}>{part})" for group, part in parts if part), re.MULTILINE),
        blocks=tuple(
            re.compile(f"(?P<closing>{closing})|(?P<opening>{opening})", re.MULTILINE)
            for opening, closing in syntax.blocks
        ),
        code=re.compile(rf"(?P<quote>{marks})|(?P<open>\{{)|(?P<closing>\}})"),
        quotes={quote.mark: quote for quote in syntax.quotes},
    )
