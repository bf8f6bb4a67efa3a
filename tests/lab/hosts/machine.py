"""One builder host: its boot, its two services, its end.

The services are children of the host's first process, as on a real machine, and so of nobody who could wait for them:
what is known of them is what they answer, and what /proc tells.
"""

import ipaddress
import itertools
import shlex
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import msgspec

from tests.lab import tools
from tests.lab.daemons import environment_of
from tests.lab.errors import LabError
from tests.lab.hosts import cgroups, client, settings
from tests.lab.hosts.host import Host
from tests.lab.hosts.network import ENVIRONMENT, Network, delete, ip
from tests.lab.hosts.settings import HERE, folder_of
from tests.lab.process import Daemon, end, identify
from tests.lab.state import Layout

_PATIENCE = 60.0
"""Seconds in which a service must answer; both need less than one on an idle machine."""


async def programs(place: Layout) -> None:
    """Have Debian's sshd, and the one library of it that a machine without it may lack."""
    for package in ("openssh-server", "libwrap0"):
        await tools.debian_package(place, package)


async def boot(place: Layout, network: Network, number: int, *, cpus: float | None = None, disk: str = "") -> Host:
    """Start a host in its folder, which exists, and wait until both services answer.

    Args:
        place: the state directory.
        network: the hosts' network.
        number: the host's; nobody else starts or removes it meanwhile.
        cpus: how much of the processors it may use in all, build steps too; it may use all while it boots.
        disk: size of buildkitd's root, e.g. `300m`, which is in memory then; without it the machine's disk.

    Raises:
        LabError: a service does not come up.
    """
    folder = folder_of(place, number)
    settings.write(place, network, number)
    groups = cgroups.make(network.link(number))
    name = f"host-{number}"
    spaces = ("--mount", "--net", "--pid", "--uts", "--ipc")
    words = [*(str(folder), str((place.root / "bin").resolve()), name, disk), *map(str, groups)]
    # Ends with the boot, not with the host: its first process lets go of the output then.
    said = await anyio.run_process(
        ["unshare", *spaces, "setsid", "--fork", "sh", str(folder / "boot"), *words], check=False, env=ENVIRONMENT
    )
    host = load(place, network, number, limited_disk=bool(disk)) if said.stdout == b"booted\n" else None
    if host is None:
        raise LabError(
            f"{name} does not boot: {(said.stdout + said.stderr).decode(errors='replace').strip()}",
            hint="look whether this machine lets root make namespaces and mount in them",
        )
    # A host that had the address before it may still be remembered: whoever has the address has the same card.
    card = "02:00:" + ipaddress.IPv4Address(host.address).packed.hex(":")
    await ip(f"link add {host.link} type veth peer name eth0 address {card} netns {host.init.pid}")
    await ip(f"link set {host.link} master {network.bridge} up")
    await ip(
        f"addr add {host.address}/24 dev eth0",
        "link set lo up",
        "link set eth0 up",
        f"route add default via {network.gateway}",
        inside=host.enter(),
    )
    client.write(host.client, [host])
    await start_sshd(place, host)
    await start_buildkitd(place, host)
    if cpus is not None:
        cgroups.limit(host.cgroup, cpus)
    _ready(host).touch()
    return host


def is_up(host: Host) -> bool:
    """Whether it runs, and was started to the end. Its services may be gone meanwhile."""
    return host.init.alive() and _ready(host).exists()


async def start_sshd(place: Layout, host: Host) -> None:
    """Start its sshd, and wait until it greets.

    Raises:
        LabError: it does not.
    """
    program = f"{HERE}/bin/debian/openssh-server/usr/sbin/sshd"
    await _service(place, host, "sshd", program, "-D", "-e", "-f", f"{HERE}/host/sshd_config")
    await _answers(host, "sshd", lambda: _greets(host))


async def start_buildkitd(place: Layout, host: Host) -> None:
    """Start its buildkitd, after the steps that a killed one left are ended, and wait until it listens.

    It has mounts of its own, as with systemd's `PrivateMounts=yes`: those of a killed one's steps go with it, which
    neither it could take back nor does the next one.

    Raises:
        LabError: it does not.
    """
    leftovers = 'for step in $("$0" list --quiet); do "$0" delete --force "$step"; done'
    await anyio.run_process(host.enter("sh", "-c", leftovers, settings.runc(place)), check=False, env=ENVIRONMENT)
    program = f"{HERE}/bin/{place.buildkit.name}/buildkitd"
    words = ("unshare", "--mount", program, "--config", f"{HERE}/host/buildkitd.toml")
    await _service(place, host, "buildkitd", *words)
    await _answers(host, "buildkitd", lambda: _listens(host))


async def halt(place: Layout, network: Network, number: int, *, gently: bool) -> None:
    """End a host and everything of it but its files; also one that did not boot to its end.

    Args:
        place: the state directory.
        network: the hosts' network.
        number: the host's.
        gently: whether buildkitd may close its files.

    Raises:
        LabError: a control group stays.
    """
    folder = folder_of(place, number)
    if await anyio.Path(folder / "run").exists():
        shutil.rmtree(folder / "ended", ignore_errors=True)
        (folder / "run").rename(folder / "ended")
    host = load(place, network, number, state="ended")
    if host is not None:
        if gently:
            for pid in host.processes("buildkitd"):
                if (daemon := identify(pid)) is not None:
                    await end(daemon)
        await end(host.init, grace=0)
    await delete(network.link(number))
    await cgroups.remove(network.link(number))


def load(
    place: Layout, network: Network, number: int, *, state: str = "run", limited_disk: bool = False
) -> Host | None:
    """A host as its folder and the network tell it, or None when it was not started. It may have ended by itself.

    Args:
        place: the state directory.
        network: the hosts' network.
        number: the host's.
        state: `ended` for one that `halt` has begun to end.
        limited_disk: whether it was started with a size of disk.
    """
    folder = folder_of(place, number)
    try:
        init = msgspec.json.decode((folder / state / "init.json").read_bytes(), type=Daemon)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return Host(
        number=number,
        folder=folder,
        init=init,
        address=network.address(number),
        registry=network.registry,
        client=folder / "client",
        link=network.link(number),
        limited_disk=limited_disk,
    )


def _ready(host: Host) -> Path:
    return host.folder / "run" / "ready"


async def _service(place: Layout, host: Host, name: str, *command: str) -> None:
    bin_ = place.root / "bin"
    libraries = (bin_ / "debian" / "libwrap0").glob("usr/lib/*")
    environment = {
        **environment_of(place),
        "PATH": ENVIRONMENT["PATH"],
        "HOME": "/run/home",
        "TMPDIR": f"{HERE}/host/tmp",
        "LD_LIBRARY_PATH": ":".join(f"{HERE}/bin/{folder.relative_to(bin_)}" for folder in libraries),
    }
    groups = " ".join(shlex.quote(str(group / "cgroup.procs")) for group in cgroups.make(host.cgroup))
    join = f'for group in {groups}; do echo 0 >"$group"; done; exec "$@"'
    with (host.folder / f"{name}.log").open("ab") as log:
        await anyio.run_process(
            ["sh", "-c", join, "sh", *host.enter("setsid", "--fork", *command)],
            stdout=log,
            stderr=log,
            check=False,
            env=environment,
        )


async def _answers(host: Host, name: str, ask: Callable[[], Awaitable[bool]]) -> None:
    with anyio.move_on_after(_PATIENCE):
        for attempt in itertools.count(1):
            if await ask():
                return
            await anyio.sleep(0.01)  # the pause between two questions; what ends the wait is an answer or the process
            if attempt % 100 == 0 and not host.processes(name):
                break
    log = (host.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    raise LabError(
        "\n".join([f"{name} of {host.name} does not answer; the end of its log:", *(f"  {line}" for line in log)]),
        hint="look whether the machine is short of memory or disk",
    )


async def _greets(host: Host) -> bool:
    with anyio.move_on_after(1):  # before the kernel asks once more
        try:
            stream = await anyio.connect_tcp(host.address, 22)
        except OSError:
            return False
        async with stream:
            try:
                return (await stream.receive()).startswith(b"SSH-")
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return False
    return False


async def _listens(host: Host) -> bool:
    try:
        stream = await anyio.connect_unix(host.buildkitd)
    except OSError:
        return False
    await stream.aclose()
    return True
