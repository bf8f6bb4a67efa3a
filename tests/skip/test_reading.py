"""Apps are looked at ahead, and that is seen by nobody but in time."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestrator.errors import ContextError
from orchestrator.model import AppPlan
from orchestrator.skip.contents import Contents, Read
from orchestrator.skip.reading import Reader
from tests.skip.test_inputs import plan


class Counting(Contents):
    """Notes what is read; `endless` is read until nobody wants to wait for it any more."""

    def __init__(self, directory: Path, *, endless: str = "") -> None:
        super().__init__(directory)
        self.read_of: list[str] = []
        self.endless = endless

    def read(self, root: Path, ignore: str, *, check: Callable[[], None] = lambda: None) -> Read:
        self.read_of.append(root.name)
        while root.name == self.endless:
            check()
        return super().read(root, ignore, check=check)


@pytest.fixture
def apps(tmp_path: Path) -> tuple[AppPlan, ...]:
    return tuple(app(tmp_path / name) for name in ("one", "two", "three"))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.skip.reading._AHEAD_SECONDS", 60.0)


def app(directory: Path) -> AppPlan:
    directory.mkdir()
    (directory / "file").write_text(directory.name)
    each = plan()
    return msgspec.structs.replace(
        each, app=msgspec.structs.replace(each.app, path=directory.name, directory=directory)
    )


@pytest.mark.usefixtures("patient")
async def test_who_is_in_a_thread_looks_at_the_apps_that_are_coming_too(
    tmp_path: Path, apps: tuple[AppPlan, ...]
) -> None:
    contents = Counting(tmp_path / "kept")
    reader = Reader(contents, apps)
    second, *others = apps[1], apps[0], apps[2]

    seen = [(await reader.see(each)).read for each in (second, *others)]

    assert contents.read_of == ["two", "one", "three"]
    assert seen == [Contents(tmp_path / "other").read(each.app.directory, "") for each in (second, *others)]


@pytest.mark.usefixtures("patient")
async def test_what_was_seen_ahead_counts_once(tmp_path: Path, apps: tuple[AppPlan, ...]) -> None:
    reader = Reader(Contents(tmp_path / "kept"), apps)
    await reader.see(apps[0])
    before = await reader.see(apps[1])
    (apps[1].app.directory / "file").write_text("another")

    as_it_was = await reader.is_as(apps[1], before)
    again = await reader.see(apps[1])

    assert not as_it_was
    assert again.read.digest != before.read.digest


async def test_nobody_waits_for_what_others_will_ask_for(
    tmp_path: Path, apps: tuple[AppPlan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.skip.reading._AHEAD_SECONDS", 0.01)
    contents = Counting(tmp_path / "kept", endless="two")
    reader = Reader(contents, apps)

    first = await reader.see(apps[0])
    contents.endless = ""
    second = await reader.see(apps[1])

    assert contents.read_of[:2] == ["one", "two"]
    assert first.read.digest != second.read.digest
    assert second.read.files == 1


@pytest.mark.usefixtures("patient")
async def test_an_app_that_cannot_be_read_is_told_to_who_asks_for_it(tmp_path: Path, apps: tuple[AppPlan, ...]) -> None:
    (apps[1].app.directory / "file").unlink()
    apps[1].app.directory.rmdir()
    reader = Reader(Contents(tmp_path / "kept"), apps)

    first = await reader.see(apps[0])
    with pytest.raises(ContextError, match="two"):
        await reader.see(apps[1])

    assert first.read.files == 1
    assert (await reader.see(apps[2])).read.files == 1
