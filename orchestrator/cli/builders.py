"""What commands print that ask several builders: what each has said, and who has said nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.cli import errors
from orchestrator.errors import FleetpacksError

if TYPE_CHECKING:
    from orchestrator.app.everywhere import Failed


def document(told: Sequence[msgspec.Struct], **sums: int) -> dict[str, Any]:
    """What is known of one builder; of several, the same of each and the sums."""
    return msgspec.structs.asdict(told[0]) if len(told) == 1 else {**sums, "hosts": told}


def complain(of: "Failed") -> None:
    """Tell of a builder; its own error begins with its address already."""
    said = of.error if of.error.startswith(of.builder) else f"{of.builder}: {of.error}"
    errors.show(FleetpacksError(said, hint=of.hint))
