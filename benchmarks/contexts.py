"""`contexts`: 20 apps of 3 MB and 300 files each, built at once again, unchanged, against 20 parallel `buildctl build`.

What is measured is bytes per file entry from client to daemon, counted by a tap in front of the socket, everything
included. No clock is involved.
"""

import random
from pathlib import Path

import anyio

from benchmarks.commands import environment, fleetpacks, our_steps, raw_steps, run
from benchmarks.tap import tapped
from orchestrator.bench.result import Result, Steps, load, paired, side
from tests.lab import Lab

_CONTEXTS = 20
_FILES = 300
_CONTEXT_BYTES = 3_000_000
_BAR = 200.0
_ROUNDS = 3


async def contexts(lab: Lab, root: Path) -> Result:
    """20 unchanged contexts at once against `buildctl`: bytes per file entry."""
    names = [f"app{number:02}" for number in range(_CONTEXTS)]
    source = root / "source"
    seeded = random.Random(20)  # noqa: S311 -- reproducible test data
    entries = 0
    for name in names:
        for number in range(_FILES - 1):
            path = source / name / f"part{number // 20:02}" / f"module_{number:03}.js"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(seeded.randbytes(_CONTEXT_BYTES // _FILES))
        (source / name / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        entries += sum(1 for _ in (source / name).rglob("*"))
    env = environment(root / ".peer")
    socket = root / ".peer" / "tap.sock"
    ours = [fleetpacks(), "build", "-C", str(source), "--no-push", "--jobs", str(_CONTEXTS)]
    ours += ["--host", f"unix://{socket}", "--progress", "json"]

    def theirs(name: str) -> list[str]:
        words = [str(lab.buildctl), "--addr", f"unix://{socket}", "build", "--frontend", "dockerfile.v0"]
        words += ["--local", f"context={source / name}", "--local", f"dockerfile={source / name}"]
        return [*words, "--output", "type=image", "--progress", "rawjson"]

    outputs: dict[str, bytes] = {}

    async def their_build(name: str) -> None:
        _, outputs[name] = await run(theirs(name), cwd=root, env=env)

    async def their_run() -> None:
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(their_build, name)

    mine, other = side(ours, 0, Steps(executed=0, cached=0)), side(theirs(names[0]), 0, Steps(executed=0, cached=0))
    pairs: list[tuple[float, float]] = []
    loads: list[float] = []
    async with tapped(lab.buildkitd, socket) as tap:
        await run(ours, cwd=root, env=env)
        await their_run()
        for _ in range(_ROUNDS):
            loads.append(load())
            tap.reset()
            output, _ = await run(ours, cwd=root, env=env)
            mine, sent = side(ours, tap.solves, our_steps(output)[0]), tap.sent
            tap.reset()
            await their_run()
            other = side(theirs(names[0]), tap.solves, raw_steps(outputs.values()))
            pairs.append((sent / entries, tap.sent / entries))
    return paired(
        "20 unchanged contexts of 300 files at once, against buildctl",
        pairs,
        unit="bytes an entry",
        bar=_BAR,
        bar_on="ours",
        ours=mine,
        theirs=other,
        loads=loads,
        notes=(f"{entries} file entries; the bar is on our bytes an entry",),
    )
