"""Our directory on a target: what is deleted of it, and that nothing else is."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bench.ground import place

ELSEWHERE = ".fleetpacks-abcdefabcdef-1-1-0123456789abcdef"
"""The mark of a maker of another machine."""
DAYS_AGO = 1000.0


def test_a_link_in_its_place_is_not_followed_by_what_deletes(tmp_path: Path) -> None:
    ours = place.make(tmp_path)
    (tmp_path / "somebody's").mkdir()
    (tmp_path / "somebody's/file").write_text("")
    ours.rename(tmp_path / "moved")
    ours.symlink_to(tmp_path / "somebody's")

    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        place.remove(ours)

    assert (tmp_path / "somebody's/file").exists()


def test_a_link_within_it_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "target").mkdir()
    ours = place.make(tmp_path / "target")
    (ours / place.LAYERS).symlink_to(tmp_path)
    (ours / place.IMAGE).symlink_to(tmp_path / "file")

    place.remove(ours)

    assert (tmp_path / "file").exists()
    assert list((tmp_path / "target").iterdir()) == []


def test_what_cannot_be_deleted_keeps_its_mark_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove: Any = shutil.rmtree

    def stuck(path: Any, **words: Any) -> None:  # noqa: ANN401 -- rmtree's
        if path == place.FILES:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", path)
        remove(path, **words)

    ours = place.make(tmp_path)
    for name in (place.FILES, place.LAYERS):
        (ours / name).mkdir()
    (ours / place.IMAGE).write_text("large")
    with monkeypatch.context() as changed:
        changed.setattr(shutil, "rmtree", stuck)
        with pytest.raises(OSError, match="Directory not empty"):
            place.remove(ours)
    left = sorted(path.name for path in ours.iterdir())
    place.remove(ours)

    assert [name.partition("-")[0] for name in left] == [".fleetpacks", place.FILES]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("renewed", [False, True])
def test_what_somebody_elsewhere_uses_stays_as_long_as_they_say_so(tmp_path: Path, *, renewed: bool) -> None:
    theirs = tmp_path / ".fpb-000001"
    theirs.mkdir()
    mark = theirs / ELSEWHERE
    mark.write_text("")
    os.utime(mark, (DAYS_AGO, DAYS_AGO))

    if renewed:
        place.renew(theirs)
    place.sweep(tmp_path)

    assert theirs.exists() == renewed
