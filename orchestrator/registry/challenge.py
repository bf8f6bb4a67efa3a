"""The `WWW-Authenticate` header (RFC 9110, 11.6.1) read by its grammar.

A comma separates both parameters and challenges, so what follows one is a parameter only when a `=` and a value come
next. Registries are lenient writers: whatever follows the first offence is dropped, and what was read before it counts.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TOKEN68 = frozenset("-._~+/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SPACE = frozenset(" \t")


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One way to authenticate that a server offers."""

    scheme: str
    """In lower case: `bearer`, `basic`."""
    parameters: Mapping[str, str] = MappingProxyType({})
    """Names in lower case; of a name that comes twice the first value counts."""


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of all `WWW-Authenticate` headers of a response, in their order."""
    return tuple(challenge for header in headers for challenge in _Reader(header).challenges())


class _Reader:
    """A cursor on one header's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def challenges(self) -> list[Challenge]:
        found: list[Challenge] = []
        self._commas()
        while scheme := self._run(_TOKEN):
            found.append(Challenge(scheme=scheme.lower(), parameters=self._parameters()))
            if self._at < len(self._text) and not self._commas():
                break
        return found

    def _parameters(self) -> dict[str, str]:
        parameters: dict[str, str] = {}
        if not self._run(_SPACE):
            return parameters
        if self._token68():
            return parameters
        while True:
            start = self._at
            self._commas()
            parameter = self._parameter()
            if parameter is None:
                self._at = start
                return parameters
            parameters.setdefault(*parameter)
            self._run(_SPACE)
            if self._peek() not in {",", ""}:
                return parameters

    def _parameter(self) -> tuple[str, str] | None:
        name = self._run(_TOKEN)
        self._run(_SPACE)
        if not name or self._peek() != "=":
            return None
        self._at += 1
        self._run(_SPACE)
        value = self._quoted() if self._peek() == '"' else self._run(_TOKEN) or None
        return None if value is None else (name.lower(), value)

    def _quoted(self) -> str | None:
        value: list[str] = []
        self._at += 1
        while (character := self._peek()) != '"':
            if character == "\\":
                self._at += 1
                character = self._peek()
            if not character:
                return None
            value.append(character)
            self._at += 1
        self._at += 1
        return "".join(value)

    def _token68(self) -> bool:
        """Skip `abc==`, as Negotiate has it; it ends at a comma or at the end, which tells it from a parameter."""
        start = self._at
        read = self._run(_TOKEN68)
        self._run(frozenset("="))
        self._run(_SPACE)
        if read and self._peek() in {",", ""}:
            return True
        self._at = start
        return False

    def _commas(self) -> bool:
        return "," in self._run(_SPACE | {","})

    def _run(self, allowed: frozenset[str]) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in allowed:
            self._at += 1
        return self._text[start : self._at]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]
