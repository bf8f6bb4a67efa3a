"""What a configuration written in JavaScript or TypeScript states: a key with a constant value. Nobody runs it."""

from collections.abc import Iterable
from typing import Final

from langs.errors import LangError
from langs.files import AppFiles
from langs.syntaxes import JAVASCRIPT
from langs.tokens import Kind, Token, tokenize

_JOINTS: Final = frozenset({":", "="})
_ENDS: Final = frozenset({",", ";", "}", ")"})
_CONSTANT: Final = frozenset({Kind.STRING, Kind.NAME})


def states(files: AppFiles, names: Iterable[str], key: str, value: str) -> bool:
    """Whether the first of the files that is there says so; one that cannot be read says nothing."""
    config = files.first(*names)
    try:
        text = files.read_text(config) if config else None
    except LangError:
        return False
    return text is not None and stated(text, key, value)


def stated(text: str, key: str, value: str) -> bool:
    """Whether `key: "value"` or `key = "value"` stands in it, outside of comments, and is the whole of the value."""
    tokens = tokenize(text, JAVASCRIPT)
    return any(_is(tokens, index, value) for index, token in enumerate(tokens) if token.text == key)


def _is(tokens: tuple[Token, ...], index: int, value: str) -> bool:
    after = index + 1
    if tokens[index].kind is not Kind.KEY:
        if tokens[index].kind not in _CONSTANT or after >= len(tokens) or tokens[after].text not in _JOINTS:
            return False
        after += 1
    if after >= len(tokens) or tokens[after].kind not in _CONSTANT or tokens[after].text != value:
        return False
    behind = tokens[after + 1] if after + 1 < len(tokens) else None
    # `as const` is TypeScript's, and says no other value.
    return behind is None or behind.kind in {Kind.END, Kind.NAME} or behind.text in _ENDS
