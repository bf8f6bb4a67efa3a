"""Where the record of a run may lie."""

from pathlib import Path

import pytest

from orchestrator.app.recording import Recording
from orchestrator.app.signals import Signals
from orchestrator.config import load
from orchestrator.model import Plan


@pytest.mark.parametrize(("state", "kept"), [("source/.state", False), ("elsewhere", True), ("link", False)])
async def test_a_record_inside_the_source_would_be_in_contexts_and_is_not_made(
    tmp_path: Path, state: str, *, kept: bool
) -> None:
    root = tmp_path / "source"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    config = load(root, {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / state)})

    async with Recording(config).during(Plan(root=root, apps=(), push=False), Signals()) as recording:
        warnings = recording.warnings

    assert (tmp_path / state / "fleetpacks").exists() is kept
    assert ["inside the source it would be in build contexts" in each for each in warnings] == ([] if kept else [True])
