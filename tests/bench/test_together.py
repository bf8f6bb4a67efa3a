"""Several things at once."""

import anyio
import pytest

from orchestrator.bench.together import together
from orchestrator.errors import StorageError


async def test_all_are_done_at_once() -> None:
    both = [anyio.Event(), anyio.Event()]

    async def first() -> None:
        both[0].set()
        await both[1].wait()

    async def second() -> None:
        both[1].set()
        await both[0].wait()

    with anyio.fail_after(10):
        await together([first, second])

    assert all(event.is_set() for event in both)


async def test_the_first_that_fails_ends_the_others_and_comes_out_as_it_is() -> None:
    ended: list[str] = []

    async def failing() -> None:
        raise StorageError("broken", hint="mend it")

    async def lasting() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("lasting")

    with pytest.raises(StorageError, match="broken"), anyio.fail_after(10):
        await together([lasting, failing])

    assert ended == ["lasting"]
