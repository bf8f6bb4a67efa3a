"""`--progress=json`: every event as one line. The schema is `orchestrator.events`."""

from collections.abc import Iterator

import msgspec

from orchestrator.display.text import inert
from orchestrator.events import Event

_ENCODER = msgspec.json.Encoder()


def render(event: Event) -> Iterator[str]:
    """One event as a line of JSON."""
    yield inert(_ENCODER.encode(event).decode()) + "\n"
