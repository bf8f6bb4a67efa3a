"""What must not be read is masked before it is shown or written: known secrets by value, all others by their shape.

Names of steps, what they print, errors and the last words of a failed step are foreign text, and may hold what a build
was trusted with.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from orchestrator.config import credentials

_SHORTEST = 6
"""Characters: a shorter value is found in too much that has nothing to do with it."""
_LINES = frozenset({"log", "source"})
"""Fields whose items are the lines of one text."""
_FOREIGN = frozenset({"text", "name", "activity", "error", "message", "hint", "command", *_LINES})
"""Fields of events that hold what steps, builders and registries say. What the others name (apps, images, digests,
hosts, files) is what whoever reads them goes on with."""

_E = TypeVar("_E", bound=msgspec.Struct)


class Redactor:
    """Masks texts. May be asked in one thread while it learns in another."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Begin with what is known from the start.

        Args:
            values: secrets.
        """
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.learn(*values)

    def learn(self, *values: str) -> None:
        """Mask these, too, from now on: each as it is, each of its lines, and as a part of a URL."""
        forms = {
            form
            for value in values
            for text in (value, *value.splitlines())
            for form in (text.strip(), quote(text.strip(), safe=""))
            if len(form) >= _SHORTEST
        }
        if forms <= self._values:
            return
        self._values |= forms
        # A longer one may begin with a shorter one.
        longest_first = sorted(self._values, key=lambda value: (-len(value), value))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """A text with a mask in place of what must not be read."""
        if len(text) < _SHORTEST:
            return text
        # The pattern learns after the values: what is found has its place in it, or is being learnt just now.
        if (pattern := self._pattern) is not None and any(map(text.__contains__, self._values)):
            text = pattern.sub(credentials.MASK, text)
        return credentials.masked(text)

    def event(self, event: _E) -> _E:
        """An event as it may be shown: the same with all foreign text masked."""
        changed: dict[str, object] = {}
        for field in event.__struct_fields__:
            if field in _FOREIGN and (said := getattr(event, field)):
                masked = self._masked(field, said)
                text = tuple(cast("list[str]", masked)) if isinstance(masked, list) else masked
                if text != said:
                    changed[field] = text
        return msgspec.structs.replace(event, **changed) if changed else event

    def line(self, value: msgspec.Struct) -> dict[str, Any]:
        """A line of a record, as what JSON can hold."""
        return self.document(msgspec.to_builtins(value))

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """What JSON can hold, masked."""
        return cast("dict[str, Any]", self._masked("", document))

    def _masked(self, name: str, value: object) -> object:
        match value:
            case str():
                return self.text(value)
            case dict():
                said = cast("dict[str, object]", value)
                return {key: each if key == "event" else self._masked(key, each) for key, each in said.items()}
            case list() | tuple() if name in _LINES:
                lines = cast("list[str]", value)
                return self.text("\n".join(lines)).split("\n") if lines else []
            case list() | tuple():
                return [self._masked("", each) for each in cast("list[object]", value)]
            case _:
                return value


def of_environment(variables: Mapping[str, str]) -> Redactor:
    """What the environment holds under the name, or in the shape, of a credential."""
    return Redactor(
        value
        for name, value in variables.items()
        if credentials.reason(name, value) and credentials.is_masked(name, value)
    )
