"""XML of the app (pom.xml, project files) into a tree of plain values, by expat, with what makes XML dangerous refused.

A document type declaration is an error: it is where entities come from, the internal ones that grow to gigabytes
("billion laughs") and the external ones that read other files, and no manifest needs one. Depth, elements and the size
of the text are bounded. Names lose their namespace, which decides nothing here; comments and instructions say nothing.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from langs.errors import LangError

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

MAX_DEPTH: Final = 100
MAX_ELEMENTS: Final = 50_000

_HINT: Final = "Correct it."
_SEPARATOR: Final = " "


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One element with what it holds."""

    name: str
    """Without its namespace."""
    line: int
    attributes: Mapping[str, str] = {}
    """By their names without namespaces."""
    text: str = ""
    """What stands directly in it, without blanks around it."""
    children: "tuple[Element, ...]" = ()

    def all(self, *path: str) -> "Iterator[Element]":
        """The elements that a path of names leads to, each name one level deeper; in the document's order."""
        found = [self]
        for name in path:
            found = [child for each in found for child in each.children if child.name == name]
        return iter(found)

    def first(self, *path: str) -> "Element | None":
        """The first element that a path of names leads to."""
        return next(self.all(*path), None)

    def text_of(self, *path: str) -> str | None:
        """The text of the first element that a path of names leads to; None when there is none or it is empty."""
        found = self.first(*path)
        return (found.text or None) if found else None


def parse(text: str, file: str) -> Element:
    """The root element of a document.

    Args:
        text: the document; what it declares as its encoding says nothing any more.
        file: its name, for errors.

    Raises:
        LangError: it is no well-formed XML, has a document type declaration, or is too deep or too large.
    """
    from xml.parsers import expat  # noqa: PLC0415  (few apps hold XML, and every command imports the languages)

    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=_SEPARATOR)
    builder = _Builder(parser, file)
    try:
        # The declaration may claim UTF-16, as Visual Studio's once did; this is the encoding of what is passed here.
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code)
        raise LangError(f"is not valid XML: {message}", file=file, line=error.lineno, hint=_HINT) from error
    if builder.root is None:
        raise LangError("is not valid XML: it holds no element", file=file, hint=_HINT)
    return builder.root


class _Open:
    """An element that has not ended yet."""

    def __init__(self, name: str, line: int, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.line = line
        self.attributes = attributes
        self.text: list[str] = []
        self.children: list[Element] = []


class _Builder:
    def __init__(self, parser: "XMLParserType", file: str) -> None:
        self.root: Element | None = None
        self._file = file
        self._open: list[_Open] = []
        self._seen = 0
        self._parser = parser
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._seen += 1
        if len(self._open) >= MAX_DEPTH or self._seen > MAX_ELEMENTS:
            problem = "is nested too deeply" if self._seen <= MAX_ELEMENTS else f"has more than {MAX_ELEMENTS} elements"
            raise LangError(problem, file=self._file, line=self._parser.CurrentLineNumber, hint=_HINT)
        plain = {_plain(key): value for key, value in attributes.items()}
        self._open.append(_Open(_plain(name), self._parser.CurrentLineNumber, plain))

    def _end(self, _: str) -> None:
        done = self._open.pop()
        element = Element(
            name=done.name,
            line=done.line,
            attributes=done.attributes,
            text="".join(done.text).strip(),
            children=tuple(done.children),
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element

    def _text(self, text: str) -> None:
        self._open[-1].text.append(text)

    def _doctype(self, *_: object) -> None:
        raise LangError(
            "has a document type declaration, which is not read: entities may be bombs, or other people's files",
            file=self._file,
            line=self._parser.CurrentLineNumber,
            hint="Remove `<!DOCTYPE ...>`; such a file needs none.",
        )


def _plain(name: str) -> str:
    return name.rpartition(_SEPARATOR)[2]
