"""What takes minutes is seen to go on."""

import anyio
import pytest

from tests.lab import tools
from tests.lab.errors import LabError


async def test_a_long_work_is_told_to_go_on_until_it_ends() -> None:
    said: list[str] = []
    twice = anyio.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            twice.set()

    with anyio.fail_after(10):
        await tools.watched(twice.wait, say, doing="compiling x", every=0.001)
    after = len(said)
    await anyio.wait_all_tasks_blocked()

    assert all(line.startswith("still compiling x, for ") for line in said)
    assert len(said) == after


async def test_a_long_work_that_fails_says_why_itself() -> None:
    async def fail() -> None:
        raise LabError("no space", hint="make room")

    with pytest.raises(LabError, match="no space"):
        await tools.watched(fail, lambda _: None, doing="compiling x")
