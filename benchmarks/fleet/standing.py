"""A pool that outlives what is done to it: after each round what was broken is mended, and who was lost is replaced.

Its hosts keep their daemons' files in memory, and what builds have left there is pruned between rounds.
"""

import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec

from benchmarks.commands import environment, fleetpacks
from benchmarks.fleet.drawing import Transport
from benchmarks.fleet.watching import Watch
from orchestrator.errors import FleetpacksError
from orchestrator.events import Event
from tests.buildkit.real import client as daemon_of
from tests.lab import Lab
from tests.lab.hosts import Host, client, machine, started
from tests.lab.hosts.settings import HERE
from tests.lab.state import layout

SLOTS = 2
"""Of each host."""
_DISK = "500m"
_LEFTOVER_SECONDS = 60
_MOST_SECONDS = 900
"""A run that takes longer hangs."""
_SSH = "0016"
"""The port, as /proc/net/tcp has it (proc(5))."""
_ESTABLISHED = "01"
_CONFIG = "Host *\n  ServerAliveInterval 4\n"
"""For a client that notices in 16 s that a host is silent, not in a minute: a run has no more time."""
_REPOSITORIES = "registry/docker/registry/v2/repositories"

Break = Callable[[Host], AbstractAsyncContextManager[None]]


class _Place:
    """A host of the pool, and what ends it."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.host: Host

    async def fill(self) -> None:
        """Have a host there."""
        await self._stack.aclose()
        self.host = await self._stack.enter_async_context(started(disk=_DISK))

    async def clear(self) -> None:
        """Have none."""
        await self._stack.aclose()


class Standing:
    """The pool.

    Args:
        lab: whose registry it uses.
        root: an empty directory, for the files of somebody who builds on it.
    """

    def __init__(self, lab: Lab, root: Path) -> None:
        self.root = root
        self._lab = lab
        self._places: list[_Place] = []
        self._env = {
            **environment(root / ".peer"),
            "HOME": str(root / "home"),
            "XDG_CACHE_HOME": str(root / "cache"),
            "TMPDIR": str(root / "tmp"),
        }
        self._temporary = root / "tmp"
        self._temporary.mkdir()

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Those that it has."""
        return tuple(place.host for place in self._places)

    @property
    def registry(self) -> str:
        """`ADDRESS:PORT`, for this machine and for all hosts."""
        return self.hosts[0].registry

    async def fill(self, count: int) -> None:
        """Start so many hosts."""
        for _ in range(count):
            place = _Place()
            self._places.append(place)
            await place.fill()
        self._known()

    async def clear(self) -> None:
        """End all of them."""
        for place in self._places:
            await place.clear()

    async def mend(self) -> None:
        """Have every host as it was in the beginning."""
        for place in self._places:
            if not place.host.init.alive():
                await place.fill()
            running = set(place.host.processes().values())
            if "sshd" not in running:
                await machine.start_sshd(layout(), place.host)
            if "buildkitd" not in running:
                await machine.start_buildkitd(layout(), place.host)
            async with daemon_of(place.host.buildkitd) as daemon:
                await daemon.prune(everything=True)
        self._known()

    def _known(self) -> None:
        file = client.write(self.root / "home" / ".ssh", self.hosts)
        with file.open("a", encoding="utf-8") as config:
            config.write(_CONFIG)

    async def build(
        self,
        source: Path,
        watch: Watch,
        *,
        registry: str,
        transport: Transport = "openssh",
        breaks: Mapping[str, Break] | None = None,
        log: Path | None = None,
    ) -> Mapping[str, str]:
        """Build all apps of a monorepo, whatever is cached, and break and heal a host when it is time to.

        Args:
            source: the monorepo.
            watch: hears of all, and says when.
            registry: where images are pushed to; a way to the lab's.
            transport: what speaks SSH.
            breaks: what is done to a host, by the class of the fault.
            log: where the run's events are kept.

        Returns:
            The digests that the tags point to afterwards, by app.
        """
        urls = {f"ssh://{host.name}?transport={transport}": host for host in self.hosts}
        text = "".join(f'[[hosts]]\nurl = "{url}"\nslots = {SLOTS}\n' for url in urls)
        operator = self.root / "operator.toml"
        operator.write_text(f'{text}[registries."{registry}"]\ninsecure = true\n')
        repository = f"fleet-faults/{secrets.token_hex(6)}"
        command = [fleetpacks(), "build", "-C", str(source), "--progress", "json", "--no-cache", "--force", "--push"]
        command += ["--image", f"{registry}/{repository}/{{app}}", "--jobs", str(SLOTS * len(self._places))]
        env = {**self._env, "FLEETPACKS_CONFIG": str(operator)}
        lines = list[bytes]()
        with anyio.move_on_after(_MOST_SECONDS):
            async with await anyio.open_process(command, env=env, stderr=None) as process, AsyncExitStack() as broken:
                assert process.stdout is not None
                rest = b""
                async for data in process.stdout:
                    *whole, rest = (rest + data).split(b"\n")
                    lines += whole
                    for line in whole:
                        deed = watch.hear(msgspec.json.decode(line, type=Event))
                        if deed is None:
                            continue
                        if deed.what == "break":
                            assert breaks is not None
                            await broken.enter_async_context(breaks[deed.fault](urls[deed.host]))
                        else:
                            await broken.aclose()
        if log is not None:
            await anyio.Path(log).write_bytes(b"\n".join([*lines, b""]))
        published = await self._tags(repository, watch.digests)
        # Names are never used again, and a registry of so many would be slow to look at.
        shutil.rmtree(self._lab.state / _REPOSITORIES / repository, ignore_errors=True)
        return published

    async def _tags(self, repository: str, apps: Iterable[str]) -> Mapping[str, str]:
        accept = {"accept": "application/vnd.oci.image.manifest.v1+json"}
        found: dict[str, str] = {}
        async with httpx.AsyncClient(base_url=f"http://{self.registry}/v2/{repository}/", trust_env=False) as http:
            for app in apps:
                answer = await http.head(f"{app}/manifests/latest", headers=accept)
                found[app] = answer.headers.get("docker-content-digest", "")
        return found

    async def left(self) -> list[str]:
        """What is there though nobody wants it, after it had time to end."""
        found = [f"a temporary file: {path.name}" for path in self._temporary.iterdir()]
        for host in self.hosts:
            found += await _left(host) if host.init.alive() else []
        return found


@asynccontextmanager
async def standing(lab: Lab, count: int) -> AsyncGenerator[Standing]:
    """A pool of so many hosts. They end with the block."""
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as folder:
        pool = Standing(lab, Path(folder))
        try:
            await pool.fill(count)
            yield pool
        finally:
            with anyio.CancelScope(shield=True):
                await pool.clear()


async def _left(host: Host) -> list[str]:
    found: list[str] = []
    with anyio.move_on_after(_LEFTOVER_SECONDS):
        while True:
            found = [f"{host.name}: {each}" for each in (*await _builds(host), *_things(host))]
            if not found:
                break
            await anyio.sleep(0.5)
    return found


async def _builds(host: Host) -> list[str]:
    try:
        async with daemon_of(host.buildkitd) as daemon:
            return [f"build {ref} goes on" for ref in await daemon.active_builds()]
    except FleetpacksError as error:
        return [error.message]


def _is_step(point: str) -> bool:
    """Whether a mount is a step of this host: its namespace began with copies of what others had mounted just then."""
    return point.startswith(f"{HERE}/host/") and ("/executor/" in point or "/buildkit-mount" in point)


def _things(host: Host) -> list[str]:
    """Processes, mounts and connections that a host without builds has not."""
    processes = {pid: name for pid, name in host.processes().items() if pid != host.init.pid}
    # A session of sshd is a process of the same name.
    names = Counter(processes.values()) - Counter({"sshd": 1, "buildkitd": 1})
    found = [f"{number} processes {name}" for name, number in names.items()]
    spaces: set[str] = set()
    for pid in (host.init.pid, *processes):
        try:
            space = str(Path(f"/proc/{pid}/ns/mnt").readlink())
            mounts = Path(f"/proc/{pid}/mounts").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        if space not in spaces:
            found += [f"mounted: {point}" for line in mounts.splitlines() if _is_step(point := line.split()[1])]
        spaces.add(space)
    try:
        sockets = Path(f"/proc/{host.init.pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        sockets = []
    rows = [line.split() for line in sockets]
    open_ = [row for row in rows if row[1].endswith(f":{_SSH}") and row[3] == _ESTABLISHED]
    return [*found, *([f"{len(open_)} connections to sshd"] if open_ else [])]
