"""JSON5 (spec.json5.org), as pnpm reads `package.json5`: token by token into JSON, which is then parsed as such.

The words are JSON5's and the structure is JSON's, so that only words are understood here: names without quotes,
strings in single ones, numbers in hexadecimal or with a bare point, comments, a comma behind the last element. What is
no number of JSON (`Infinity`, `NaN`) becomes null: nothing that is read of a manifest is a number.
"""

import json
import re
from typing import Final, TypeVar

from langs import documents
from langs.errors import LangError

_T = TypeVar("_T")

# Text, because start-up counts: `re` compiles it when it is first needed, and keeps it.
_PIECE: Final = r"""(?sx)
    (?P<string>"(?:[^"\\\n\r]|\\.)*+"|'(?:[^'\\\n\r]|\\.)*+')
    |(?P<space>[\s\ufeff]++|//[^\n\r\u2028\u2029]*+|/\*(?:[^*]|\*(?!/))*+\*/)
    |(?P<mark>[{}\[\]:,])
    |(?P<word>[^\s\ufeff{}\[\]:,"'/]++)
"""
_ESCAPE: Final = r"(?s)\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(\r\n|.))"
_NUMBER: Final = r"(?i)[+-]?(?:0x[0-9a-f]{1,16}|(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:e[+-]?[0-9]{1,3})?)"
_NAME: Final = r"(?:[^\W\d]|\$)[\w$\u200c\u200d]*"
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_CONTINUED: Final = frozenset({"\n", "\r\n", "\r", "\u2028", "\u2029"})
_LITERALS: Final = frozenset({"true", "false", "null"})
_HINT: Final = "Correct it, or write it as JSON."


def parse(text: str, expected: type[_T], file: str) -> _T:
    """`text` as a value of the type `expected`.

    Raises:
        LangError: it is no JSON5, nested too deeply, or of another shape.
    """
    return documents.json_as(plain(text, file), expected, file)


def plain(text: str, file: str) -> str:
    """The same document with words of JSON only.

    Raises:
        LangError: a word is none of JSON5.
    """
    tokens: list[str] = []
    words: dict[int, int] = {}
    position = 0
    while position < len(text):
        match = re.compile(_PIECE).match(text, position)
        if match is None:
            raise _wrong(text, position, file)
        if match["word"]:
            # What it means, the next token says.
            words[len(tokens)] = position
        if match["mark"] in {"]", "}"} and tokens[-1:] == [","] and tokens[-2:-1] not in (["["], ["{"], [","], []):
            tokens.pop()
        if not match["space"]:
            tokens.append(json.dumps(_text(match[0])) if match["string"] else match[0])
        position = match.end()
    for index, place in words.items():
        word = _word(tokens[index], key=tokens[index + 1 : index + 2] == [":"])
        if word is None:
            raise _wrong(text, place, file)
        tokens[index] = word
    return " ".join(tokens)


def _wrong(text: str, position: int, file: str) -> LangError:
    line = text.count("\n", 0, position) + 1
    return LangError(f"is not valid JSON5: {text[position : position + 20]!r}", file=file, line=line, hint=_HINT)


def _text(literal: str) -> str:
    def meant(match: re.Match[str]) -> str:
        if match[1] or match[2]:
            return chr(int(match[1] or match[2], 16))
        return "" if match[3] in _CONTINUED else _ESCAPED.get(match[3], match[3])

    return re.sub(_ESCAPE, meant, literal[1:-1])


def _word(word: str, *, key: bool) -> str | None:
    """What JSON writes for a word that stands without quotes; None when it is no such word."""
    if key:
        return json.dumps(word) if re.fullmatch(_NAME, word) else None
    if word in _LITERALS:
        return word
    if word.lstrip("+-") in {"Infinity", "NaN"} and len(word) <= len("-Infinity"):
        return "null"
    if not re.fullmatch(_NUMBER, word):
        return None
    digits = word.lstrip("+-").lower()
    value = int(digits, 16) if digits.startswith("0x") else float(digits)
    signed = -value if word.startswith("-") else value
    return "null" if signed in {float("inf"), float("-inf")} else json.dumps(signed)
