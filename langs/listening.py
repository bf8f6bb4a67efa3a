"""Where the program of a start command listens: the port that the command states, and what the program must be told.

A port that stands in a command is where the app is, whatever $PORT says: then the image says the same, so that its
port, what is exposed and what a health check asks are one. Of the options only those of well-known programs are read.
"""

import re
from typing import Final

import msgspec

from langs import commands
from langs.model import Settings

_ASSIGNED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.ASCII | re.DOTALL)
_RUNNERS: Final = frozenset({"bunx", "env", "exec", "npx", "pnpx"})
_PORTS: Final = 1 << 16


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that serves, by its documentation."""

    name: str
    words: frozenset[str] = frozenset()
    """With one of these words it does; none: always."""
    options: tuple[str, ...] = ("-p", "--port")
    """What its port, or an address that ends in it, stands behind."""
    variables: tuple[tuple[str, str], ...] = ()
    """What it must be told beside $PORT, or nobody outside of the container is heard."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a start command says of where it listens."""

    port: int | None = None
    variables: tuple[tuple[str, str], ...] = ()

    def settings(self, settings: Settings) -> tuple[Settings, tuple[str, ...]]:
        """The settings of an app with the port at which it listens, and what there is to warn of."""
        if self.port is None or self.port == settings.port:
            return settings, ()
        warning = (
            f"the start command states port {self.port}, whatever $PORT says: the image's port is that one, and not "
            f"{settings.port}. Leave it out there, or write $PORT, to have it chosen from outside"
        )
        return msgspec.structs.replace(settings, port=self.port), (warning,)


_START: Final = frozenset({"start"})
PROGRAMS: Final = (
    Program(name="astro", words=frozenset({"preview"}), options=("--port",)),
    Program(name="docusaurus", words=frozenset({"serve"})),
    # `fastify help start`: what it listens at where nobody says it is for the machine itself.
    Program(name="fastify", words=_START, variables=(("FASTIFY_ADDRESS", "0.0.0.0"),)),  # noqa: S104 -- in a container
    Program(name="gatsby", words=frozenset({"serve"})),
    Program(name="http-server"),
    Program(name="json-server"),
    Program(name="next", words=_START),
    Program(name="nuxt", words=frozenset({"preview", "start"})),
    Program(name="serve", options=("-l", "--listen", "-p")),
    Program(name="vinxi", words=_START, options=("--port",)),
    Program(name="vite", words=frozenset({"preview"}), options=("--port",)),
)


def of(command: str) -> Heard:
    """What a command says, where that can be told; of several in a row, the last one."""
    words = _last(command)
    port: int | None = None
    while words and (words[0] in _RUNNERS or _ASSIGNED.fullmatch(words[0])):
        name, _, value = words.pop(0).partition("=")
        port = _number(value) if name == "PORT" else port
    called = words.pop(0).rpartition("/")[2] if words else ""
    program = next((each for each in PROGRAMS if each.name == called), None)
    if program is None or (program.words and program.words.isdisjoint(words)):
        return Heard(port=port)
    for position, word in enumerate(words):
        option, joined, value = word.partition("=")
        if option in program.options:
            port = _number(value if joined else "".join(words[position + 1 : position + 2]))
        elif word[:2] in program.options and word[2:].isdigit():
            port = _number(word[2:])
    return Heard(port=port, variables=program.variables)


def _last(command: str) -> list[str]:
    """The words of the simple command that stays; none where that cannot be told."""
    seen = commands.scan(command)
    joints = [(offset, operator) for offset, operator in seen.operators if operator[0] not in "<>"] if seen else []
    if seen is None or any(operator not in {"&&", ";"} for _, operator in joints):
        return []
    cut = joints[-1][0] + len(joints[-1][1]) if joints else 0
    last = commands.scan(command[cut:])
    return list(last.words) if last else []


def _number(text: str) -> int | None:
    """The port that a text says, or that an address ends in."""
    digits = text.rpartition(":")[2]
    found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < len(str(_PORTS)) + 1 else 0
    return found if 0 < found < _PORTS else None
