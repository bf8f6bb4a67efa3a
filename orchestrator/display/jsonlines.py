"""`--progress=json`: every event as one line. The schema is `orchestrator.events`."""

from collections.abc import Iterator

import msgspec

from orchestrator.events import Event
from orchestrator.text import inert

_ENCODER = msgspec.json.Encoder()


def render(event: Event) -> Iterator[str]:
    """One event as a line of JSON."""
    yield inert(_ENCODER.encode(event).decode()) + "\n"
