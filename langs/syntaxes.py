"""The languages of build files that are programs, as far as `langs.tokens` and `langs.phrases` need to know them."""

from typing import Final

import msgspec


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One way to write strings."""

    mark: str
    closing: str | None = None
    """None is the same as `mark`."""
    interpolation: str = ""
    """A regular expression of what begins an interpolation; one that ends in a brace goes on to its partner."""
    escapes: bool = True
    lines: bool = False
    """Whether it may go on over ends of lines."""


class Syntax(msgspec.Struct, frozen=True, kw_only=True):
    """What the tokenizer and `langs.phrases` need to know of a language."""

    comments: str
    """What begins a comment up to the end of the line."""
    blocks: tuple[tuple[str, str], ...] = ()
    """Comments over lines: regular expressions of beginning and end."""
    nested: bool = False
    """Whether such comments nest."""
    quotes: tuple[Quote, ...] = ()
    """The longest marks first."""
    prefixes: str = ""
    """The interpolation of strings that stand directly behind a name, as Scala's `s"..."`."""
    characters: bool = False
    """`'c'` is a character and not a string."""
    symbols: bool = False
    keys: bool = False
    slashes: bool = False
    """`/.../` is a regular expression or a string, where no division can stand."""
    percents: bool = False
    """Ruby's `%w[...]` and relatives, here-documents, and `?c`."""
    sigils: bool = False
    """Elixir's `~w[...]` and relatives, and `?c`."""
    braces: bool = False
    """`{ }` is a block of statements."""
    words: bool = False
    """`do` opens a block of statements and `end` closes it."""
    openers: frozenset[str] = frozenset()
    """What needs an `end` as well, at the beginning of a statement."""


_DOLLAR: Final = r"\$(?:\{|[A-Za-z_])"
_C_COMMENT: Final = (r"/\*", r"\*/")
GROOVY: Final = Syntax(
    comments="//",
    blocks=(_C_COMMENT,),
    quotes=(
        Quote(mark='"""', interpolation=_DOLLAR, lines=True),
        Quote(mark="'''", lines=True),
        Quote(mark="$/", closing="/$", interpolation=_DOLLAR, escapes=False, lines=True),
        Quote(mark='"', interpolation=_DOLLAR),
        Quote(mark="'"),
    ),
    keys=True,
    slashes=True,
    braces=True,
)
KOTLIN: Final = Syntax(
    comments="//",
    blocks=(_C_COMMENT,),
    quotes=(
        Quote(mark='"""', interpolation=_DOLLAR, escapes=False, lines=True),
        Quote(mark='"', interpolation=_DOLLAR),
    ),
    nested=True,
    characters=True,
    braces=True,
)
SCALA: Final = Syntax(
    comments="//",
    blocks=(_C_COMMENT,),
    quotes=(Quote(mark='"""', escapes=False, lines=True), Quote(mark='"')),
    prefixes=_DOLLAR,
    nested=True,
    characters=True,
    braces=True,
)
RUBY: Final = Syntax(
    comments="#",
    blocks=((r"^=begin\b", r"^=end\b[^\n]*"), (r"^__END__$", r"\Z")),
    quotes=(
        Quote(mark='"', interpolation=r"#\{", lines=True),
        Quote(mark="'", lines=True),
        Quote(mark="`", interpolation=r"#\{", lines=True),
    ),
    symbols=True,
    keys=True,
    slashes=True,
    percents=True,
    words=True,
    openers=frozenset({"begin", "case", "class", "def", "for", "if", "module", "unless", "until", "while"}),
)
ELIXIR: Final = Syntax(
    comments="#",
    quotes=tuple(Quote(mark=mark, interpolation=r"#\{", lines=True) for mark in ('"""', "'''", '"', "'")),
    symbols=True,
    keys=True,
    sigils=True,
    words=True,
    openers=frozenset({"fn"}),
)
JAVASCRIPT: Final = Syntax(
    comments="//",
    blocks=(_C_COMMENT,),
    quotes=(Quote(mark='"'), Quote(mark="'"), Quote(mark="`", interpolation=r"\$\{", lines=True)),
    keys=True,
    slashes=True,
    braces=True,
)
"""TypeScript, too."""
