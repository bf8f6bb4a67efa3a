"""What was built last, kept between runs."""

import os
from pathlib import Path

from orchestrator.skip.memory import Memory, Remembered


def test_an_app_whose_path_is_no_utf_8_is_remembered_like_others(tmp_path: Path) -> None:
    app, built = os.fsdecode(b"caf\xe9"), Remembered(parts={"files": "1"}, digest="sha256:1")
    memory = Memory(tmp_path / "built", tmp_path)

    memory.remember(app, built)
    memory.took(app, 2.0)
    memory.save()
    again = Memory(tmp_path / "built", tmp_path)

    assert (again.recall(app), again.seconds(app)) == (built, 2.0)
