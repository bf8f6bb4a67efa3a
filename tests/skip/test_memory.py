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


def test_a_build_of_which_a_part_was_cached_does_not_say_that_an_app_needs_less(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "built", tmp_path)

    said: list[int | None] = [memory.needed("a")]
    for needed, whole in ((5, False), (3, False), (7, False), (4, True), (2, False)):
        memory.used("a", needed, whole=whole)
        said.append(memory.needed("a"))

    assert said == [None, 5, 5, 7, 4, 4]


def test_what_builders_had_is_kept_by_their_address(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "built", tmp_path)

    memory.had("unix:///a.sock", 7)
    memory.used("a", 5, whole=True)
    memory.save()
    again = Memory(tmp_path / "built", tmp_path)

    assert (again.available("unix:///a.sock"), again.available("unix:///b.sock"), again.needed("a")) == (7, 0, 5)
