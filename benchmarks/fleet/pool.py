"""Builder hosts of the lab as a pool, and runs of `fleetpacks build` on them, over SSH as a user has it."""

import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import environment, fleetpacks, run
from orchestrator.events import AppCompleted, AppStarted, Event, RunCompleted, RunStarted
from tests.lab.hosts import Host, cgroups, client, started

BASE = "debian:trixie-slim"
_WARM = f"FROM {BASE}\nRUN true\n"


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A run of `fleetpacks build` that has ended well."""

    seconds: float
    """The whole process, from before its start."""
    idle: float
    """The share of this machine's processors that nobody used meanwhile."""
    events: tuple[Event, ...]

    @property
    def completed(self) -> dict[str, AppCompleted]:
        """What became of every app."""
        return {event.app: event for event in self.events if isinstance(event, AppCompleted)}

    @property
    def hosts(self) -> dict[str, str]:
        """Where every app was built in the end."""
        return {event.app: event.host for event in self.events if isinstance(event, AppStarted)}

    @property
    def makespan(self) -> float:
        """Seconds from the run's beginning to its end, as the engine tells it."""
        began = next(event.time for event in self.events if isinstance(event, RunStarted))
        return next(event.time for event in self.events if isinstance(event, RunCompleted)) - began


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts, and the files of somebody who builds on them."""

    hosts: tuple[Host, ...]
    root: Path
    env: Mapping[str, str]

    @property
    def home(self) -> Path:
        """Whose SSH configuration names the hosts."""
        return self.root / "home"

    def limit(self, cpus: float | None) -> None:
        """Say how much of the processors each host may use, steps included."""
        for host in self.hosts:
            cgroups.limit(host.cgroup, cpus)

    async def warm(self) -> None:
        """Have each host fetch the base image."""
        source = self.root / "warm"
        source.mkdir(exist_ok=True)
        (source / "Dockerfile").write_text(_WARM)
        async with anyio.create_task_group() as tasks:
            for host in self.hosts:
                command = [fleetpacks(), "build", "-C", str(source), "--no-push", "--host", f"unix://{host.buildkitd}"]
                tasks.start_soon(partial(run, command, cwd=self.root, env=self.env))

    async def build(
        self, source: Path, *words: str, hosts: Sequence[Host] = (), slots: int = 1, push: bool = True
    ) -> Ran:
        """Build all apps of a monorepo.

        Args:
            source: the monorepo.
            words: more of the command.
            hosts: on which; without them on all.
            slots: of each host.
            push: to the registry that all hosts reach, under a name that nobody has used.
        """
        chosen = hosts or self.hosts
        text = "".join(f'[[hosts]]\nurl = "ssh://{host.name}"\nslots = {slots}\n' for host in chosen)
        registry = chosen[0].registry
        file = self.root / f"operator-{secrets.token_hex(4)}.toml"
        file.write_text(f'{text}[registries."{registry}"]\ninsecure = true\n')
        place = ["--push", "--image", f"{registry}/fleet/{secrets.token_hex(4)}/{{app}}"] if push else ["--no-push"]
        command = [fleetpacks(), "build", "-C", str(source), "--progress", "json", *place, *words]
        command += ["--jobs", str(slots * len(chosen))]
        before, began = _processors(), time.perf_counter()
        output, _ = await run(command, cwd=self.root, env={**self.env, "FLEETPACKS_CONFIG": str(file)})
        took, after = time.perf_counter() - began, _processors()
        events = tuple(msgspec.json.decode(line, type=Event) for line in output.splitlines())
        return Ran(seconds=took, idle=(after[0] - before[0]) / (after[1] - before[1]), events=events)


@asynccontextmanager
async def fleet(count: int, root: Path, *, disk: str = "") -> AsyncGenerator[Fleet]:
    """Hosts with real sshd with default limits, each with a daemon of its own. They end with the block.

    Args:
        count: how many.
        root: an empty directory.
        disk: size of each daemon's root, in memory; without it the machine's disk.
    """
    env = {**environment(root / ".peer"), "HOME": str(root / "home"), "XDG_CACHE_HOME": str(root / "cache")}
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(started(disk=disk)) for _ in range(count)]
        client.write(root / "home" / ".ssh", hosts)
        yield Fleet(hosts=tuple(hosts), root=root, env=env)


def _processors() -> tuple[float, float]:
    """Ticks in which this machine's processors were idle, and all ticks (proc(5), /proc/stat)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    # Waiting for a disk is idle, too; what another machine took of the processor is not.
    return ticks[3] + ticks[4], sum(ticks)
