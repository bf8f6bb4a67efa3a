"""Against the peers on the same daemon, in the same minutes.

`cached-40`: 40 apps with their own Dockerfiles, everything cached, pushed: whole processes, `fleetpacks build` against
`buildx bake`. Both push the same images (digests are compared).

`context-20`: 20 apps of 3 MB and 300 files each, built at once a second time, unchanged: the bytes that cross the
daemon's socket, `fleetpacks build` against 20 parallel `buildctl build`. Bytes are counted by a tap in front of the
socket, per file entry; no clock is involved.
"""

import datetime as dt
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import Steps, our_steps, raw_steps, run, seconds
from benchmarks.result import Report, Result, Side, load, machine, median, median_interval
from benchmarks.tap import Tap, tapped
from orchestrator.config import environment
from tests.lab import Lab, current

_APPS = 40
_CONTEXTS = 20
_FILES = 300
_CONTEXT_BYTES = 3_000_000
_ENTRY_BAR = 200.0
_TIME_BAR = 1.15
_MOST_LOAD = 1.0
_PATIENCE_SECONDS = 300
_CONTEXT_ROUNDS = 3


async def run_all(lab: Lab, rounds: int) -> tuple[Result, ...]:
    """Both comparisons in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        directory = Path(name)
        return (await cached(lab, directory / "cached", rounds), await contexts(lab, directory / "contexts"))


async def run_peers(rounds: int) -> Report:
    """The benchmark `peers`. The lab must be up, with peers."""
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    return Report(
        benchmark="peers",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=await run_all(lab, rounds),
    )


async def cached(lab: Lab, root: Path, rounds: int) -> Result:
    """40 cached builds with push against `buildx bake`."""
    names = [f"app{number:02}" for number in range(_APPS)]
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / "message.txt").write_text(f"{name} {number}\n")
        (root / name / "Dockerfile").write_text(
            "FROM debian:bookworm-slim\nWORKDIR /srv\nCOPY message.txt .\nRUN sha256sum message.txt > sum\n"
        )
    env = _environment(root / ".peer")
    registry = lab.registry
    bake = root / ".peer" / "bake.json"
    bake.write_bytes(
        msgspec.json.encode(
            {
                "group": {"default": {"targets": names}},
                "target": {
                    name: {
                        "context": str(root / name),
                        "output": [
                            f"type=image,name={registry}/bench/theirs/{name}:latest,push=true,oci-mediatypes=true"
                        ],
                        "attest": ["type=provenance,disabled=true"],
                    }
                    for name in names
                },
            }
        )
    )
    metadata = root / ".peer" / "metadata.json"
    builder = ("--builder", "fleetpacks-bench")

    def ours(socket: Path, progress: str) -> list[str]:
        words = ["build", "-C", str(root), "--push", "--image", f"{registry}/bench/ours/{{app}}", "--jobs", str(_APPS)]
        return [_fleetpacks(), *words, "--host", f"unix://{socket}", "--progress", progress]

    def theirs(progress: str, *more: str) -> list[str]:
        return [str(lab.buildx), "bake", *builder, "-f", str(bake), "--progress", progress, *more]

    async def use(socket: Path) -> None:
        await anyio.run_process([str(lab.buildx), "rm", "-f", builder[1]], env=env, check=False)
        create = [str(lab.buildx), "create", "--name", builder[1], "--driver", "remote", f"unix://{socket}"]
        await run(create, cwd=root, env=env)

    # Everything is built once by each side, then counted through the tap, then timed without it.
    await run(ours(lab.buildkitd, "json"), cwd=root, env=env)
    socket = root / ".peer" / "tap.sock"
    async with tapped(lab.buildkitd, socket) as tap:
        await use(socket)
        await run(theirs("rawjson"), cwd=root, env=env)
        tap.reset()
        output, _ = await run(ours(socket, "json"), cwd=root, env=env)
        our_count, digests = our_steps(output)
        our_solves = tap.solves
        tap.reset()
        _, errors = await run(theirs("rawjson", "--metadata-file", str(metadata)), cwd=root, env=env)
        their_count, their_solves = raw_steps([errors]), tap.solves
    _same_images(digests, metadata)
    await use(lab.buildkitd)
    pairs: list[tuple[float, float]] = []
    loads: list[float] = []
    void = 0
    while len(pairs) < rounds and void < rounds:
        began = await _quiet()
        # Who goes first alternates, so that neither always profits from the other's warmth.
        sides = [ours(lab.buildkitd, "plain"), theirs("plain")]
        order = [0, 1] if len(pairs) % 2 == 0 else [1, 0]
        times = [0.0, 0.0]
        for side in order:
            times[side] = await seconds(sides[side], cwd=root, env=env)
        if began > _MOST_LOAD:
            void += 1
            continue
        loads.append(began)
        pairs.append((times[0], times[1]))
    return _timed(
        "40 cached one-app builds with push, against buildx bake",
        pairs,
        ours=_side(ours(lab.buildkitd, "plain"), our_solves, our_count),
        theirs=_side(theirs("plain"), their_solves, their_count),
        loads=loads,
        void=void,
    )


async def contexts(lab: Lab, root: Path) -> Result:
    """20 unchanged contexts at once against `buildctl`: bytes per file entry."""
    names = [f"app{number:02}" for number in range(_CONTEXTS)]
    seeded = random.Random(20)  # noqa: S311 -- reproducible test data
    entries = 0
    for name in names:
        for number in range(_FILES - 1):
            path = root / name / f"part{number // 20:02}" / f"module_{number:03}.js"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(seeded.randbytes(_CONTEXT_BYTES // _FILES))
        (root / name / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        entries += sum(1 for _ in (root / name).rglob("*"))
    env = _environment(root / ".peer")
    socket = root / ".peer" / "tap.sock"
    ours = [_fleetpacks(), "build", "-C", str(root), "--no-push", "--jobs", str(_CONTEXTS)]
    ours += ["--host", f"unix://{socket}", "--progress", "json"]

    def theirs(name: str) -> list[str]:
        words = [str(lab.buildctl), "--addr", f"unix://{socket}", "build", "--frontend", "dockerfile.v0"]
        words += ["--local", f"context={root / name}", "--local", f"dockerfile={root / name}"]
        return [*words, "--output", "type=image", "--progress", "rawjson"]

    outputs: dict[str, bytes] = {}

    async def their_build(name: str) -> None:
        _, outputs[name] = await run(theirs(name), cwd=root, env=env)

    async def their_run() -> None:
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(their_build, name)

    pairs: list[tuple[float, float]] = []
    solves = [0, 0]
    loads: list[float] = []
    counts = [Steps(executed=0, cached=0)] * 2
    async with tapped(lab.buildkitd, socket) as tap:
        await run(ours, cwd=root, env=env)
        await their_run()
        for _ in range(_CONTEXT_ROUNDS):
            loads.append(load())
            sent, output = await _counted(tap, ours, root, env)
            counts[0], solves[0] = our_steps(output)[0], tap.solves
            tap.reset()
            await their_run()
            pairs.append((sent / entries, tap.sent / entries))
            counts[1], solves[1] = raw_steps(outputs.values()), tap.solves
    result = _timed(
        "20 unchanged contexts of 300 files at once, against buildctl",
        pairs,
        ours=_side(ours, solves[0], counts[0]),
        theirs=_side(theirs(names[0]), solves[1], counts[1]),
        loads=loads,
        void=0,
    )
    notes = (f"{entries} file entries; bytes from client to daemon, everything included; bar: bytes an entry, ours",)
    return msgspec.structs.replace(result, unit="bytes an entry", bar=_ENTRY_BAR, bar_on="ours", notes=notes)


async def _counted(tap: Tap, command: Sequence[str], root: Path, env: Mapping[str, str]) -> tuple[int, bytes]:
    tap.reset()
    output, _ = await run(command, cwd=root, env=env)
    return tap.sent, output


async def _quiet() -> float:
    with anyio.move_on_after(_PATIENCE_SECONDS):
        while load() > _MOST_LOAD:  # noqa: ASYNC110 -- the kernel tells no one when its load falls
            await anyio.sleep(1)
    return load()


def _timed(
    name: str, pairs: Sequence[tuple[float, float]], *, ours: Side, theirs: Side, loads: Sequence[float], void: int
) -> Result:
    if not pairs:
        raise SystemExit(f"{name}: every pair began at a load over {_MOST_LOAD:g}\nhint: run it on a quiet machine")
    ratios = [mine / other for mine, other in pairs]
    return Result(
        name=name,
        unit="s",
        ours=msgspec.structs.replace(ours, median=median([mine for mine, _ in pairs])),
        theirs=msgspec.structs.replace(theirs, median=median([other for _, other in pairs])),
        ratio=median(ratios),
        interval=median_interval(ratios),
        bar=_TIME_BAR,
        rounds=len(pairs),
        void=void,
        load=(min(loads), max(loads)),
    )


def _side(command: Sequence[str], solves: int, steps: Steps) -> Side:
    return Side(command=tuple(command), median=0, solves=solves, executed=steps.executed, cached=steps.cached)


def _same_images(ours: Mapping[str, str], metadata: Path) -> None:
    theirs = msgspec.json.decode(metadata.read_bytes(), type=dict[str, dict[str, object]])
    for name, digest in ours.items():
        if theirs[name]["containerimage.digest"] != digest:
            raise SystemExit(f"{name}: the two sides built different images, so their times say nothing")


def _environment(private: Path) -> dict[str, str]:
    """The process's own, with the peers' state in a directory of ours."""
    private.mkdir(parents=True)
    return {**environment.read(), "BUILDX_CONFIG": str(private / "buildx"), "DOCKER_CONFIG": str(private)}


def _fleetpacks() -> str:
    return str(Path(sys.executable).with_name("fleetpacks"))
