"""Whether a directory carries overlay: the answer, and what it means."""

from pathlib import Path

import pytest

from orchestrator.bench.ground import overlay
from orchestrator.errors import StorageError
from tests.bench.ground.real import ROOT, memory, stacked


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", ""),
        ("mount 22", "overlay cannot be mounted on it (Invalid argument)"),
        ("replacing a directory 95", "overlay does not work on it: replacing a directory (Operation not supported)"),
        ("deleting 0", "overlay does not work on it: deleting"),
    ],
)
def test_what_did_not_go_is_the_reason(said: str, reason: str) -> None:
    assert overlay.meaning(said) == reason


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("namespace 1", "may not mount \\(Operation not permitted\\)", "as root"),
        ("mount 19", "no overlay file system", "modprobe overlay"),
    ],
)
def test_what_no_image_helps_against_is_an_error(said: str, message: str, hint: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        overlay.meaning(said)

    assert hint in caught.value.hint


@ROOT
async def test_a_file_system_that_has_all_of_it_carries_overlay_whatever_its_path_is_called(tmp_path: Path) -> None:
    with memory(tmp_path / "a,b:c d") as place:
        reason = await overlay.refusal(place)

    assert reason == ""


@ROOT
async def test_an_overlay_does_not_carry_another_one(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as place:
        (place / "empty").mkdir()
        reason = await overlay.refusal(place / "empty")

    assert reason.startswith("overlay ")
