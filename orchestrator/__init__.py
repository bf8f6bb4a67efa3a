"""Turn every app of a monorepo into a production container image, in parallel, through BuildKit.

A program uses what stands in `__all__`, which docs/library.md describes; all else may change with every version.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.config.settings import Flags
    from orchestrator.errors import FleetpacksError
    from orchestrator.events import Event
    from orchestrator.library import Monorepo
    from orchestrator.plan.planner import Request
    from orchestrator.report.result import Result

__all__ = ["Event", "Flags", "FleetpacksError", "Monorepo", "Request", "Result", "__version__"]

_PLACES: Final = {
    "Event": "orchestrator.events",
    "Flags": "orchestrator.config.settings",
    "FleetpacksError": "orchestrator.errors",
    "Monorepo": "orchestrator.library",
    "Request": "orchestrator.plan.planner",
    "Result": "orchestrator.report.result",
}
"""Imported where it is first asked for: every room of this package begins with this module."""

try:
    # Written where the package is built. What is installed could be asked, too, for a fifth of what starting costs.
    __version__ = Path(__file__).with_name("version.txt").read_text(encoding="utf-8").strip()
except FileNotFoundError:
    __version__ = "0.dev0"


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
