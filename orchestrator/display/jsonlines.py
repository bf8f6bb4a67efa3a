"""`--progress=json`: every event as one line. The schema is `orchestrator.events`."""

import msgspec

from orchestrator.events import Event

_ENCODER = msgspec.json.Encoder()


def render(event: Event) -> str:
    """One event as a line of JSON."""
    return _ENCODER.encode(event).decode() + "\n"
