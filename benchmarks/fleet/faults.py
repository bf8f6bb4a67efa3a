"""`faults`: runs over many builds while something breaks: eight classes of faults, each so many times.

Nothing waits for a clock: a fault of a host begins with the n-th step that starts to work, and is the fault of the host
that it works on; it is healed when so many more images are there. A registry's fault is the answer to the n-th of the
pushes' requests. The numbers are drawn from a seed that is printed for each run, and one run can be made again alone:
`--only CLASS --first SEED`.

Every run is compared with a calm one over the same sources: the same apps, and the same digests of their layers (a
config has the time of its build in it). Afterwards no builder may have a build that goes on, a process that is not its
daemon or sshd, or a mount of a step.
"""

import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec

from benchmarks.commands import fleetpacks
from benchmarks.fleet.pool import BASE, Fleet, fleet
from benchmarks.fleet.report import report
from benchmarks.result import Figure, Report, load
from orchestrator.events import AppCompleted, AppStarted, Event, RunCompleted, StepStarted
from tests.buildkit.real import client
from tests.e2e.proxy import CUT, refusing
from tests.lab import Lab, current
from tests.lab.hosts import Host, faults, machine
from tests.lab.state import layout

_MEGABYTES = 40
_SLOTS = 2
_DISK = "700m"
_AFTER_MOST = 4
"""Images that are made, at most, before a fault is healed."""
_LEFTOVER_SECONDS = 60
_STATUSES = (429, 500, 502, 503)
_OWN = frozenset({"sleep", "sshd", "buildkitd"})
_DOCKERFILE = f"""\
FROM {BASE} AS build
COPY seed.txt /
RUN head -c {_MEGABYTES}000000 /dev/zero | cat /seed.txt - | sha512sum > /sum && touch -d @0 /sum
FROM scratch
COPY --from=build /sum /sum
"""

Break = Callable[[Host], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _lost(host: Host) -> AsyncGenerator[None]:
    await faults.lose(host)
    yield


@asynccontextmanager
async def _killed(host: Host) -> AsyncGenerator[None]:
    await host.kill("buildkitd")
    yield
    with anyio.CancelScope(shield=True):
        await machine.start_buildkitd(layout(), host)


@asynccontextmanager
async def _restarted(host: Host) -> AsyncGenerator[None]:
    await host.kill("sshd")
    await machine.start_sshd(layout(), host)
    yield


_OF_HOSTS: Mapping[str, Break] = {
    "host lost": _lost,
    "daemon killed": _killed,
    "sshd restarted": _restarted,
    "network cut and healed": faults.cut,
    "disk full": faults.full_disk,
    "stopped (SIGSTOP)": faults.frozen,
}
_OF_REGISTRIES = ("registry 5xx or 429", "registry cut mid-push")
CLASSES = (*_OF_HOSTS, *_OF_REGISTRIES)


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed says of a run."""

    nth: int
    """The step, or the request, with which the fault begins; from 1."""
    images: int
    """How many more images are made before it is healed; of a registry: how many requests fail."""
    status: int
    """A registry's answer."""


def drawn(seed: int, builds: int) -> Drawn:
    """What breaks when."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible faults
    return Drawn(
        nth=chance.randint(1, max(1, builds // 2)),
        images=chance.randint(1, _AFTER_MOST),
        status=chance.choice(_STATUSES),
    )


class _Run(msgspec.Struct, kw_only=True):
    code: int = -1
    layers: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    hit: bool = False
    """Whether the fault began."""
    moved: int = 0
    """Builds that began again, on the same host or on another."""
    left: list[str] = msgspec.field(default_factory=list[str])
    """What was found on hosts afterwards and belongs to no one."""


async def run_faults(*, seed: int, hosts: int, builds: int, times: int, only: str, first: int) -> Report:
    """The benchmark `faults`. The lab must be up.

    Args:
        seed: of the whole; each run's own is drawn from it.
        hosts: how many.
        builds: of each run.
        times: runs of each class.
        only: one class; "": all.
        first: the own seed of a run that is made again; 0: drawn.
    """
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up")
    began, figures = load(), list[Figure]()
    seeds = random.Random(seed)  # noqa: S311 -- reproducible faults
    for name in [each for each in CLASSES if only in {"", each}]:
        told = Counter[str]()
        for _ in range(times):
            own = first or seeds.randrange(1, 1 << 31)
            with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as folder:
                wrong = await _once(lab, Path(folder), name, drawn(own, builds), hosts=hosts, builds=builds, told=told)
            told["wrong"] += bool(wrong)
            sys.stderr.write(f"{name}: seed {own}: {'; '.join(wrong) or 'right'}\n")
        figures.append(
            Figure(
                name=f"{name}: runs of {builds} builds on {hosts} hosts that went wrong",
                unit="",
                value=told["wrong"],
                bar=0,
                runs=times,
                load=(began, load()),
                note=f"of {times}; the fault began in {told['hit']}, and {told['moved']} builds began again",
            )
        )
    return await report("faults", figures)


async def _once(
    lab: Lab, root: Path, name: str, what: Drawn, *, hosts: int, builds: int, told: Counter[str]
) -> list[str]:
    """A calm run, and one with a fault.

    Returns:
        What was wrong.
    """
    source = root / "source"
    for number in range(builds):
        (source / f"app{number:03}").mkdir(parents=True)
        (source / f"app{number:03}" / "seed.txt").write_text(secrets.token_hex(16))
        (source / f"app{number:03}" / "Dockerfile").write_text(_DOCKERFILE)
    async with fleet(hosts, root / "fleet", disk=_DISK if name == "disk full" else "") as pool:
        await pool.warm()
        calm = await _run(pool, source, pool.hosts[0].registry)
        if name in _OF_HOSTS:
            rough = await _run(pool, source, pool.hosts[0].registry, break_=_OF_HOSTS[name], what=what)
        else:
            refusal = _Refusal(CUT if name == _OF_REGISTRIES[1] else what.status, what)
            gateway = pool.hosts[0].registry.rpartition(":")[0]
            async with refusing(lab, refusal, address=gateway) as registry:
                rough = await _run(pool, source, registry)
            rough.hit = refusal.refused > 0
        rough.left += [each for host in pool.hosts if host.init.alive() for each in await _left(host)]
    told["hit"] += rough.hit
    told["moved"] += rough.moved
    return wrongs(calm.layers, rough.layers, builds=builds, code=rough.code, left=rough.left)


def wrongs(
    calm: Mapping[str, tuple[str, ...]],
    rough: Mapping[str, tuple[str, ...]],
    *,
    builds: int,
    code: int,
    left: list[str],
) -> list[str]:
    """What is not as it has to be, in words.

    Args:
        calm: the layers of every app's image when nothing broke.
        rough: when something did.
        builds: how many images there have to be.
        code: the exit code of the run in which something did.
        left: what was found on hosts afterwards.
    """
    found = [f"exit code {code}"] if code else []
    found += [f"{builds - len(calm)} images are missing in the calm run"] if len(calm) != builds else []
    found += [f"no image of {app}" for app in calm if app not in rough]
    found += [f"{app} is another image" for app, layers in rough.items() if layers != calm.get(app)]
    return [*found, *left]


class _Refusal:
    """Refuses some requests of pushes."""

    def __init__(self, status: int, what: Drawn) -> None:
        self._status, self._what, self._seen = status, what, 0
        self.refused = 0

    def __call__(self, method: str, path: str) -> int | None:
        if method not in {"PUT", "PATCH"} or ("/blobs/" not in path and self._status == CUT):
            return None
        self._seen += 1
        if self._seen < self._what.nth or self.refused >= self._what.images:
            return None
        self.refused += 1
        return self._status


async def _run(
    pool: Fleet, source: Path, registry: str, *, break_: Break | None = None, what: Drawn | None = None
) -> _Run:
    """Build everything, whatever is cached, and read what was published."""
    text = "".join(f'[[hosts]]\nurl = "ssh://{host.name}"\nslots = {_SLOTS}\n' for host in pool.hosts)
    operator = pool.root / f"operator-{secrets.token_hex(4)}.toml"
    operator.write_text(f'{text}[registries."{registry}"]\ninsecure = true\n')
    repository = f"fleet/{secrets.token_hex(4)}"
    command = [fleetpacks(), "build", "-C", str(source), "--progress", "json", "--no-cache", "--force", "--push"]
    command += ["--image", f"{registry}/{repository}/{{app}}", "--jobs", str(_SLOTS * len(pool.hosts))]
    run, watch = _Run(), _Watch(pool, break_, what)
    async with (
        await anyio.open_process(command, env={**pool.env, "FLEETPACKS_CONFIG": str(operator)}, stderr=None) as process,
        AsyncExitStack() as broken,
    ):
        assert process.stdout is not None
        rest = b""
        async for data in process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                await watch.hear(msgspec.json.decode(line, type=Event), broken)
    run.code, run.hit = watch.code, watch.hit
    run.moved = watch.begun - len(watch.completed)
    for app in watch.completed:
        run.layers[app] = await _layers(pool.hosts[0].registry, f"{repository}/{app}")
    return run


class _Watch:
    """Breaks a host when a run has come to a point, and heals it at another."""

    def __init__(self, pool: Fleet, break_: Break | None, what: Drawn | None) -> None:
        self.completed: set[str] = set()
        self.begun = 0
        self.hit = False
        self.code = -1
        self._pool, self._break, self._what = pool, break_, what
        self._places: dict[str, str] = {}
        self._steps = self._since = 0

    async def hear(self, event: Event, broken: AsyncExitStack) -> None:
        if isinstance(event, AppStarted):
            self.begun += 1
            self._places[event.app] = event.host
        elif isinstance(event, StepStarted) and "RUN" in event.name:
            self._steps += 1
            if self._break is not None and self._what is not None and self._steps == self._what.nth:
                self.hit = True
                at = next(host for host in self._pool.hosts if self._places[event.app] == f"ssh://{host.name}")
                await broken.enter_async_context(self._break(at))
        elif isinstance(event, AppCompleted):
            self.completed.add(event.app)
            self._since += self.hit
            if self.hit and self._what is not None and self._since == self._what.images:
                await broken.aclose()
        elif isinstance(event, RunCompleted):
            self.code = event.exit_code


async def _layers(registry: str, repository: str) -> tuple[str, ...]:
    """The digests of the layers of a published image, not compressed."""
    accept = {"accept": "application/vnd.oci.image.manifest.v1+json"}
    async with httpx.AsyncClient(base_url=f"http://{registry}/v2/{repository}/", trust_env=False) as http:
        manifest = msgspec.json.decode((await http.get("manifests/latest", headers=accept)).raise_for_status().content)
        config = msgspec.json.decode(
            (await http.get(f"blobs/{manifest['config']['digest']}")).raise_for_status().content
        )
    return tuple(config["rootfs"]["diff_ids"])


async def _left(host: Host) -> list[str]:
    """What goes on at a host though nobody wants it, after it had time to end."""
    found: list[str] = []
    with anyio.move_on_after(_LEFTOVER_SECONDS):
        while True:
            async with client(host.buildkitd) as daemon:
                found = [f"{host.name}: build {each.ref} goes on" for each in await daemon.history(active=True)]
            found += [f"{host.name}: process {name}" for name in host.processes().values() if name not in _OWN]
            steps = anyio.Path(f"/proc/{host.init.pid}/mounts")
            mounted = (await steps.read_text()).count("/runc-overlayfs/executor/")
            found += [f"{host.name}: {mounted} mounts of steps"] if mounted else []
            if not found:
                break
            await anyio.sleep(0.5)
    return found
