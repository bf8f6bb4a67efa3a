"""`cold`: ten languages' apps at once, nothing of them built before: `fleetpacks build` against `buildx bake`.

Both sides build the Dockerfiles that `fleetpacks plan` makes, all apps at the same time, execute every step, begin with
empty package caches (a `CACHE_KEY` of each run's own) and push. The base images are there, and packages come from
indexes on the loopback that an uncounted build by each side has filled, or lie in the app: a pair in which an index had
to be asked beyond this machine is void.

How long a slot was free and an app could have begun, and did not, the run's own record says. Where every app has its
slot that is the time before the first ones begin; so it is also read from runs with fewer slots than apps.
"""

import datetime as dt
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from benchmarks.cached import BUILDER, point
from benchmarks.commands import environment, installed, our_steps, raw_steps, run, seconds
from benchmarks.offline import INDEXES, Offline, offline
from benchmarks.rest import MOST_LOAD, at_rest, quiet
from benchmarks.tap import tapped
from langs import indexes
from orchestrator.bench.result import Report, Result, Side, load, machine, paired, side
from tests.buildkit.real import client
from tests.lab import Lab, current

_EXAMPLES = Path(__file__).parents[1] / "tests" / "apps"
APPS = (
    "bun-hono",
    "deno-hono",
    "elixir-release",
    "go-ledger",
    "java-maven-javalin",
    "nodejs-npm-express",
    "php-composer",
    "python-pip-slugs",
    "ruby-rack",
    "rust-axum",
)
_WALL_BAR = 1.10
_IDLE_BAR = 0.02
_MOST_PAIRS = 5
"""One takes minutes."""
_FEW_SLOTS = 4
_FEW_RUNS = 2


class _Said(msgspec.Struct, frozen=True):
    """What is read of `fleetpacks report --json`."""

    client_idle: float
    seconds: float


class Cold(msgspec.Struct, frozen=True, kw_only=True):
    """The apps, and both sides' commands to build and push them."""

    lab: Lab
    root: Path
    env: Mapping[str, str]
    program: str
    """Ours."""
    indexes: Offline
    apps: Sequence[str]

    @property
    def source(self) -> Path:
        """The monorepo."""
        return self.root / "source"

    @property
    def private(self) -> Path:
        """The peer's files, and the tap's socket."""
        return self.root / ".peer"

    def fresh(self) -> Mapping[str, str]:
        """Variables of a run that finds no package cache."""
        return {**self.env, "CACHE_KEY": f"cold.{secrets.token_hex(6)}."}

    def ours(self, socket: Path, progress: str, *, jobs: int) -> list[str]:
        """Our command, on the daemon behind a socket."""
        words = ["build", "-C", str(self.source), "--push", "--force", "--no-cache", "--jobs", str(jobs)]
        words += ["--image", f"{self.lab.registry}/bench/cold-ours/{{app}}"]
        words += ["--host", f"unix://{socket}", "--progress", progress]
        return [self.program, *words]

    async def theirs(self, env: Mapping[str, str], progress: str) -> list[str]:
        """The peer's command, on the daemon that it was pointed at. Writes its files."""
        files = self.private / env["CACHE_KEY"]
        plan = [self.program, "plan", "-C", str(self.source), "--dockerfile", str(files)]
        await run(plan, cwd=self.root, env=env)
        targets = {app: self._target(app, files / app / "Dockerfile") for app in self.apps}
        document = {"group": {"default": {"targets": self.apps}}, "target": targets}
        (files / "bake.json").write_bytes(msgspec.json.encode(document))
        words = ["bake", "--builder", BUILDER, "-f", str(files / "bake.json"), "--no-cache", "--progress", progress]
        return [str(self.lab.buildx), *words]

    def _target(self, app: str, dockerfile: Path) -> Mapping[str, object]:
        asked = indexes.used(dockerfile.read_text(), INDEXES)
        image = f"{self.lab.registry}/bench/cold-theirs/{app}:latest"
        return {
            "context": str(self.source / app),
            "dockerfile": str(dockerfile),
            "output": [f"type=image,name={image},push=true,oci-mediatypes=true"],
            "attest": ["type=provenance,disabled=true"],
            "secret": [f"id={indexes.INDEXES[key].secret},src={self._secret(key)}" for key in asked],
        }

    def _secret(self, key: str) -> Path:
        file = self.private / f"index-{key}"
        file.write_bytes(indexes.content(key, self.indexes.address(indexes.INDEXES[key].name)))
        return file

    async def forget(self, env: Mapping[str, str]) -> None:
        """Delete the package caches of a run."""
        async with client(self.lab.buildkitd) as daemon:
            await daemon.prune(filters=[f'type==exec.cachemount,description~="id ./*{env["CACHE_KEY"]}"'])


def prepare(lab: Lab, root: Path, *, program: str, served: Offline, apps: Sequence[str] = APPS) -> Cold:
    """Copy the apps, and say where the indexes are."""
    source, private = root / "source", root / ".peer"
    for app in apps:
        shutil.copytree(_EXAMPLES / app / "app", source / app, symlinks=True)
    env = environment(private)
    said = "".join(f'{name} = {{ url = "{served.address(name)}" }}\n' for name in INDEXES)
    (private / "operator.toml").write_text(f"[mirrors]\n{said}")
    env |= {
        # The lab's registry has what the daemon takes for Docker Hub's.
        "REGISTRY_MIRROR": lab.registry,
        "FLEETPACKS_CONFIG": str(private / "operator.toml"),
        "XDG_STATE_HOME": str(private / "state"),
    }
    return Cold(lab=lab, root=root, env=env, program=program, indexes=served, apps=apps)


async def count_cold(case: Cold) -> tuple[Side, Side]:
    """Build everything once by each side through the tap: it fills the indexes, and counts solves and steps."""
    tapping = case.private / "tap.sock"
    async with tapped(case.lab.buildkitd, tapping) as tap:
        env = case.fresh()
        command = case.ours(tapping, "json", jobs=len(case.apps))
        output, _ = await run(command, cwd=case.root, env=env)
        ours = side(command, tap.solves, our_steps(output)[0])
        await case.forget(env)
        await point(case.lab, tapping, env=case.env)
        tap.reset()
        env = case.fresh()
        command = await case.theirs(env, "rawjson")
        _, errors = await run(command, cwd=case.root, env=env)
        theirs = side(command, tap.solves, raw_steps([errors]))
        await case.forget(env)
    if (ours.executed, ours.cached) != (theirs.executed, theirs.cached):
        done = (f"{each.executed} steps and found {each.cached}" for each in (ours, theirs))
        raise SystemExit(f"the two sides did not do the same: we ran {', they '.join(done)}")
    return ours, theirs


async def cold(case: Cold, pairs: int) -> tuple[Result, ...]:
    """Wall time in interleaved pairs, and the idle of their runs; then that of runs with fewer slots."""
    ours, theirs = await count_cold(case)
    await point(case.lab, case.lab.buildkitd, env=case.env)
    walls: list[tuple[float, float]] = []
    idle: list[tuple[float, float]] = []
    loads: list[float] = []
    void = 0
    while len(walls) < pairs and void < pairs:
        began, asked = await quiet(), case.indexes.asked
        # Who goes first alternates, so that neither always profits from the other's warmth.
        if len(walls) % 2 == 0:
            mine, said = await _ours(case, len(case.apps))
            other = await _theirs(case)
        else:
            other = await _theirs(case)
            mine, said = await _ours(case, len(case.apps))
        if began > MOST_LOAD or case.indexes.asked != asked:
            void += 1
            continue
        loads.append(began)
        walls.append((mine, other))
        idle.append((said.client_idle, said.seconds))
    name = f"{len(case.apps)} languages' apps from nothing, with push"
    against = paired(
        f"{name}, against buildx bake", walls, unit="s", bar=_WALL_BAR, ours=ours, theirs=theirs, loads=loads, void=void
    )
    few = [(said.client_idle, said.seconds) for _, said in [await _ours(case, _FEW_SLOTS) for _ in range(_FEW_RUNS)]]
    slots = {len(case.apps): (idle, loads), _FEW_SLOTS: (few, [load()])}
    return (
        against,
        *(
            paired(
                f"the same in {count} slots: idle by our own fault, against our wall time",
                seen,
                unit="s",
                bar=_IDLE_BAR,
                ours=ours,
                theirs=ours,
                loads=loaded,
            )
            for count, (seen, loaded) in slots.items()
        ),
    )


async def _ours(case: Cold, jobs: int) -> tuple[float, _Said]:
    env = case.fresh()
    await at_rest(case.lab.buildkitd)
    took = await seconds(case.ours(case.lab.buildkitd, "plain", jobs=jobs), cwd=case.root, env=env)
    await case.forget(env)
    output, _ = await run([case.program, "report", "--json"], cwd=case.root, env=case.env)
    return took, msgspec.json.decode(output, type=_Said)


async def _theirs(case: Cold) -> float:
    env = case.fresh()
    command = await case.theirs(env, "plain")
    await at_rest(case.lab.buildkitd)
    took = await seconds(command, cwd=case.root, env=env)
    await case.forget(env)
    return took


async def run_cold(rounds: int) -> Report:
    """The benchmark `cold`. The lab must be up, with its peers and the languages' base images."""
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers --languages")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        root = Path(name)
        async with offline() as served:
            case = prepare(lab, root, program=await installed(root / "venv"), served=served)
            results = await cold(case, min(rounds, _MOST_PAIRS))
    return Report(
        benchmark="cold",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=results,
    )
