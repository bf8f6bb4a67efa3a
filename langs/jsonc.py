"""JSON with comments and trailing commas, as Deno and Bun read their configuration: blanked out, then parsed as JSON.

What is taken out becomes blanks of the same length, so that the place of an error stays where its author sees it. The
strings are passed over whole: what looks like a comment in one is text.
"""

import re
from typing import Final, TypeVar

from langs import documents
from langs.errors import LangError

_T = TypeVar("_T")

_TOKEN: Final = re.compile(
    r"""
    (?P<string>"(?:[^"\\\n]|\\.)*+")
    |(?P<comment>//[^\n\r]*+|/\*(?:[^*]|\*(?!/))*+\*/)
    |(?P<comma>,)
    |(?P<blank>[\s\ufeff]++)
    |(?P<other>[^"/,\s\ufeff]++|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VISIBLE: Final = re.compile(r"[^\n\r]")


def parse(text: str, expected: type[_T], file: str) -> _T:
    """`text` as a value of the type `expected`.

    Raises:
        LangError: it is no such JSON, nested too deeply, or of another shape.
    """
    return documents.json_as(plain(text, file), expected, file)


def plain(text: str, file: str) -> str:
    """`text` without comments and trailing commas, every other character at its place.

    Raises:
        LangError: a comment does not end.
    """
    parts: list[str] = []
    comma: int | None = None
    before = ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match["comment"] or match["blank"]:
            parts.append(_VISIBLE.sub(" ", token))
            continue
        if token.startswith("/"):
            line = text.count("\n", 0, match.start()) + 1
            if text.startswith("/*", match.start()):
                raise LangError("the comment that begins here does not end", file=file, line=line, hint="Close it.")
        if comma is not None and token[0] in "]}":
            parts[comma] = " "
        comma = len(parts) if match["comma"] and before not in {"", "[", "{", ",", ":"} else None
        before = token[-1]
        parts.append(token)
    return "".join(parts)
