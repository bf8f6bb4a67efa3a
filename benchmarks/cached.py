"""`cached`: 40 apps with their own Dockerfiles, everything cached, pushed: `fleetpacks build` against `buildx bake`.

Whole processes on the same daemon, in interleaved pairs. Both sides push the same images (digests are compared).
Every process begins on a daemon that is at rest.
"""

from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import environment, installed, our_steps, raw_steps, run, seconds
from benchmarks.rest import MOST_LOAD, at_rest, quiet
from benchmarks.tap import tapped
from orchestrator.bench.result import Result, Side, paired, side
from tests.lab import Lab

_APPS = 40
_BAR = 1.15
BUILDER = "fleetpacks-bench"
"""What the peer calls the daemon."""


class Bake(msgspec.Struct, frozen=True, kw_only=True):
    """40 apps with their own Dockerfiles, and both sides' commands to build and push them."""

    lab: Lab
    root: Path
    env: Mapping[str, str]
    program: str
    """Ours."""
    apps: int = _APPS
    forced: bool = True
    """Whether our side builds what has not changed, as the peer does."""

    @property
    def source(self) -> Path:
        """The monorepo."""
        return self.root / "source"

    @property
    def private(self) -> Path:
        """The peer's files, and the tap's socket."""
        return self.root / ".peer"

    def ours(self, socket: Path, progress: str) -> list[str]:
        """Our command, on the daemon behind a socket."""
        words = ["build", "-C", str(self.source), "--push", *(["--force"] if self.forced else [])]
        words += ["--image", f"{self.lab.registry}/bench/ours/{{app}}"]
        words += ["--jobs", str(_APPS), "--host", f"unix://{socket}", "--progress", progress]
        return [self.program, *words]

    def theirs(self, progress: str, *more: str) -> list[str]:
        """The peer's command, on the daemon that it was pointed at."""
        words = ["bake", "--builder", BUILDER, "-f", str(self.private / "bake.json"), "--progress", progress]
        return [str(self.lab.buildx), *words, *more]


async def point(lab: Lab, socket: Path, *, env: Mapping[str, str]) -> None:
    """Point the peer at a daemon's socket."""
    await anyio.run_process([str(lab.buildx), "rm", "-f", BUILDER], env=env, check=False)
    create = [str(lab.buildx), "create", "--name", BUILDER, "--driver", "remote", f"unix://{socket}"]
    await run(create, cwd=socket.parent, env=env)


def bake(lab: Lab, root: Path, *, program: str, apps: int = _APPS, forced: bool = True) -> Bake:
    """Write the apps and the peer's file."""
    names = [f"app{number:02}" for number in range(apps)]
    # The lab's registry has what the daemon takes for Docker Hub's.
    env = {**environment(root / ".peer"), "REGISTRY_MIRROR": lab.registry}
    made = Bake(lab=lab, root=root, env=env, program=program, apps=apps, forced=forced)
    for number, name in enumerate(names):
        (made.source / name).mkdir(parents=True)
        (made.source / name / "message.txt").write_text(f"{name} {number}\n")
        (made.source / name / "Dockerfile").write_text(
            "FROM debian:bookworm-slim\nWORKDIR /srv\nCOPY message.txt .\nRUN sha256sum message.txt > sum\n"
        )
    pushed = f"type=image,name={lab.registry}/bench/theirs/%s:latest,push=true,oci-mediatypes=true"
    targets = {
        name: {
            "context": str(made.source / name),
            "output": [pushed % name],
            "attest": ["type=provenance,disabled=true"],
        }
        for name in names
    }
    document = {"group": {"default": {"targets": names}}, "target": targets}
    (made.private / "bake.json").write_bytes(msgspec.json.encode(document))
    return made


async def count_cached(case: Bake) -> tuple[Side, Side]:
    """Build everything once by each side, then again through the tap: the same images, their solves and steps."""
    daemon, tapping = case.lab.buildkitd, case.private / "tap.sock"
    metadata = case.private / "metadata.json"
    await run(case.ours(daemon, "json"), cwd=case.root, env=case.env)
    async with tapped(daemon, tapping) as tap:
        await point(case.lab, tapping, env=case.env)
        await run(case.theirs("rawjson"), cwd=case.root, env=case.env)
        tap.reset()
        output, _ = await run(case.ours(tapping, "json"), cwd=case.root, env=case.env)
        steps, digests = our_steps(output)
        ours = side(case.ours(daemon, "plain"), tap.solves, steps)
        tap.reset()
        _, errors = await run(case.theirs("rawjson", "--metadata-file", str(metadata)), cwd=case.root, env=case.env)
        theirs = side(case.theirs("plain"), tap.solves, raw_steps([errors]))
    _same_images(digests, metadata)
    return ours, theirs


async def cached(lab: Lab, root: Path, rounds: int) -> Result:
    """40 cached builds with push against `buildx bake`."""
    case = bake(lab, root, program=await installed(root / "venv"))
    ours, theirs = await count_cached(case)
    name = "40 cached one-app builds with push, against buildx bake"
    return await timed(case, name, rounds, bar=_BAR, ours=ours, theirs=theirs)


async def timed(case: Bake, name: str, rounds: int, *, bar: float, ours: Side, theirs: Side) -> Result:
    """Interleaved pairs of both sides, each begun on a quiet machine and a daemon at rest."""
    lab, root = case.lab, case.root
    await point(lab, lab.buildkitd, env=case.env)
    pairs: list[tuple[float, float]] = []
    loads: list[float] = []
    void = 0
    while len(pairs) < rounds and void < rounds:
        began = await quiet()
        # Who goes first alternates, so that neither always profits from the other's warmth.
        sides = [case.ours(lab.buildkitd, "plain"), case.theirs("plain")]
        times = [0.0, 0.0]
        for number in [0, 1] if len(pairs) % 2 == 0 else [1, 0]:
            await at_rest(lab.buildkitd)
            times[number] = await seconds(sides[number], cwd=root, env=case.env)
        if began > MOST_LOAD:
            void += 1
            continue
        loads.append(began)
        pairs.append((times[0], times[1]))
    return paired(name, pairs, unit="s", bar=bar, ours=ours, theirs=theirs, loads=loads, void=void)


def _same_images(ours: Mapping[str, str], metadata: Path) -> None:
    theirs = msgspec.json.decode(metadata.read_bytes(), type=dict[str, dict[str, object]])
    for name, digest in ours.items():
        if theirs[name]["containerimage.digest"] != digest:
            raise SystemExit(f"{name}: the two sides built different images, so their times say nothing")
