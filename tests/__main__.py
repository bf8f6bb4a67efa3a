"""All tests, in two processes at once: those on the lab's daemons, and those that compute or have their own.

    python -m tests [--coverage]

The first half writes here as it goes, the second when both are done. Exits with 0 when both halves pass. Coverage costs
half as much again of the processor's time: it is left out unless asked for, and then each half leaves its own in a file
for `coverage combine`.

Tests on the lab's daemons do not share them with others: some prune, and others count what was cached. Those `apart`
have daemons of their own.
"""

import os
import sys
import tempfile
from typing import IO

import anyio

_HALVES = (("real", "real and not apart"), ("others", "apart or not real"))
"""A name, and which tests: an expression of markers."""


async def _run(name: str, tests: str, output: IO[bytes] | None, codes: list[int]) -> None:
    words = ["-m", "coverage", "run", f"--data-file=.coverage.{name}"] if "--coverage" in sys.argv[1:] else []
    words += ["-m", "pytest", "-m", tests, "-o", f"cache_dir=.pytest_cache/{name}"]
    with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230, PTH123 -- a device never blocks
        done = await anyio.run_process(
            [sys.executable, *words], stdin=nothing, stdout=output, stderr=output, check=False
        )
    codes.append(done.returncode)


async def main() -> int:
    """Run both halves; returns the exit code of the one that is worse off."""
    codes: list[int] = []
    with tempfile.TemporaryFile() as later:
        async with anyio.create_task_group() as tasks:
            for (name, expression), output in zip(_HALVES, (None, later), strict=True):
                tasks.start_soon(_run, name, expression, output, codes)
        later.seek(0)
        sys.stdout.buffer.write(later.read())
        sys.stdout.flush()
    return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(anyio.run(main))
