"""YAML of the app into typed values, from the parser's events: bounded, and without what makes YAML dangerous.

Tags mean nothing here, so that no object is ever made of one. An alias counts as much as what it stands for, so that a
few lines cannot become a billion values. Every scalar is text (`yes`, `1.10` and `08:30` are what somebody wrote); only
an empty one, `~` and `null` are nothing. Where a number or a truth value is expected, msgspec reads it out of the text.
"""

import importlib
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import msgspec

from langs import documents
from langs.errors import LangError

_T = TypeVar("_T")
Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

_MAX_DEPTH: Final = 50
_MAX_NODES: Final = 50_000
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_HINT: Final = "Correct it."


def yaml_as(text: str, expected: type[_T], file: str) -> _T:
    """`text`, one document, as a value of the type `expected`.

    Raises:
        LangError: it is no YAML, of another shape, nested too deeply, or larger than it looks.
    """
    value = load(text, file)
    try:
        return msgspec.convert(value, type=expected, strict=False)
    except msgspec.ValidationError as error:
        problem = f"has another shape than expected: {error}".replace("`$.", "`").replace("`$`", "the whole file")
        raise LangError(problem, file=file, hint=documents.hint(error)) from error


def load(text: str, file: str) -> Value:
    """`text`, one document, as lists, dictionaries and text.

    Raises:
        LangError: as `yaml_as`, but for the shape.
    """
    # Few apps have YAML; and what the parser is typed as says less than the protocol below.
    yaml: Any = importlib.import_module("yaml")
    # Two to ten times as fast, where PyYAML was built with libyaml.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(iter(yaml.parse(text, Loader=loader)), file).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise LangError(f"is not valid YAML: {error.problem}", file=file, line=line, hint=_HINT) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise LangError(f"is not valid YAML: {str(error)[:200]}", file=file, hint=_HINT) from error


class _Mark(Protocol):
    line: int


class _Event(Protocol):
    """What is read of PyYAML's events, whose classes are told apart by their names: those of libyaml are the same."""

    anchor: str | None
    value: str
    style: str | None
    start_mark: _Mark


class _Composer:
    """Makes values of events, and counts them."""

    def __init__(self, events: Iterator[_Event], file: str) -> None:
        self._events = events
        self._file = file
        self._nodes = 0
        self._anchors: dict[str, tuple[Value, int] | None] = {}

    def document(self) -> Value:
        """The one document of the stream; nothing is as good as null."""
        value: Value = None
        found = False
        for event in self._events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                if found:
                    raise self._error(event, "holds several documents", "Keep one.")
                found = True
                value = self._node(next(self._events), 0)
        return value

    def _node(self, event: _Event, depth: int) -> Value:
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event)
        before = self._nodes
        self._count(event, 1)
        if depth > _MAX_DEPTH:
            raise self._error(event, "is nested too deeply", _HINT)
        anchor = event.anchor
        if anchor:
            self._anchors[anchor] = None
        value: Value
        if kind == "ScalarEvent":
            text = event.value
            value = None if not event.style and text in _NOTHING else text
        elif kind == "SequenceStartEvent":
            value = self._sequence(depth)
        else:
            value = self._mapping(depth)
        if anchor:
            self._anchors[anchor] = value, self._nodes - before
        return value

    def _alias(self, event: _Event) -> Value:
        name = event.anchor or ""
        found = self._anchors.get(name)
        if found is None:
            raise self._error(event, f"the alias {name[:80]!r} stands for nothing", "Define it before.")
        value, nodes = found
        self._count(event, nodes)
        return value

    def _sequence(self, depth: int) -> Value:
        values: list[Value] = []
        for event in self._events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            values.append(self._node(event, depth + 1))
        return values

    def _mapping(self, depth: int) -> Value:
        values: dict[str, Value] = {}
        merged: list[Value] = []
        for event in self._events:
            if type(event).__name__ == "MappingEndEvent":
                break
            is_merge = type(event).__name__ == "ScalarEvent" and event.value == "<<" and not event.style
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if is_merge:
                merged += value if isinstance(value, list) else [value]
                continue
            if key is not None and not isinstance(key, str):
                raise self._error(event, "a key is no text", _HINT)
            if (key or "") in values:
                raise self._error(event, f"the key {(key or '')[:80]!r} stands here twice", "Keep one of the two.")
            values[key or ""] = value
        for each in merged:
            if not isinstance(each, dict):
                raise LangError("a merge key (`<<`) stands before what is no mapping", file=self._file, hint=_HINT)
            self._nodes += len(each)
            values = {**each, **values}
        return values

    def _count(self, event: _Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > _MAX_NODES:
            raise self._error(event, f"holds more than {_MAX_NODES} values, aliases counted", _HINT)

    def _error(self, event: _Event, problem: str, hint: str) -> LangError:
        return LangError(problem, file=self._file, line=event.start_mark.line + 1, hint=hint)
