"""An option, and what came of it on a builder."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from tests.e2e.options.bench import Bench
from tests.e2e.options.places import Column

Kind = Literal["same", "other way", "told", "refused"]


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an option comes to on a builder."""

    kind: Kind
    said: str = ""
    """The other way, or what whoever runs it was told, without what differs from run to run."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of an option."""

    there: bool
    """Whether what it asks for is there."""
    way: str = ""
    """How, where that is another way than that of most builders and nobody needs to be told."""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """An option that a builder has a part in."""

    name: str
    """As the table calls it."""
    of: tuple[str, ...]
    """All by which it is said: flags, keys of the files, variables with a dollar sign, keys of Compose files."""
    look: str
    """What is looked at."""
    observe: Callable[[Bench], Awaitable[Effect]]
    own: bool = False
    """Whether it speaks of daemons of our own alone."""

    def concerns(self, column: Column) -> bool:
        """Whether it says anything about such a builder."""
        return not self.own or column.startswith("--isolated")
