"""All tests, in two processes at once: while one waits for real daemons, another computes.

    python -m tests

What computes takes half as long as what waits, so that the languages' example apps, which wait longest, are built after
it. The first lane writes here as it goes, the second when both are done. Each part leaves its coverage in a file of
its own, for `coverage combine`. Exits with 0 when all parts pass.
"""

import os
import sys
import tempfile
from typing import IO

import anyio

_LANES = (
    (("real", "real and not languages"),),
    (("others", "not real"), ("languages", "languages")),
)
"""Parts that follow each other: a name, and which tests, as an expression of markers."""


async def _run(parts: tuple[tuple[str, str], ...], output: IO[bytes] | None, codes: list[int]) -> None:
    for name, tests in parts:
        words = ["-m", "coverage", "run", f"--data-file=.coverage.{name}"]
        words += ["-m", "pytest", "-m", tests, "-o", f"cache_dir=.pytest_cache/{name}"]
        with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230, PTH123 -- a device never blocks
            done = await anyio.run_process(
                [sys.executable, *words], stdin=nothing, stdout=output, stderr=output, check=False
            )
        codes.append(done.returncode)


async def main() -> int:
    """Run all parts; returns the exit code of the one that is worst off."""
    codes: list[int] = []
    with tempfile.TemporaryFile() as later:
        async with anyio.create_task_group() as tasks:
            for parts, output in zip(_LANES, (None, later), strict=True):
                tasks.start_soon(_run, parts, output, codes)
        later.seek(0)
        sys.stdout.buffer.write(later.read())
        sys.stdout.flush()
    return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(anyio.run(main))
