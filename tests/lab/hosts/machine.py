"""One builder host: its boot, its two services, its end.

The machine stays as it is. sshd wants a user `sshd` and the directory /run/sshd, so the host has its own /run, /tmp,
/etc/passwd and /etc/shadow, mounted where no other process sees them. /dev is the machine's; nothing is mounted on it.
The services are children of the host's first process, as on a real machine, and so of nobody who could wait for them.
"""

import itertools
import os
import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec

from tests.lab import tools
from tests.lab.daemons import environment_of
from tests.lab.errors import LabError
from tests.lab.hosts import client
from tests.lab.hosts.host import BUILDKITD_SOCKET, Host
from tests.lab.hosts.network import ENVIRONMENT, Network, delete, ip
from tests.lab.process import Daemon, end, identify
from tests.lab.state import Layout

_HERE = "/run/lab"
"""Where a host sees the lab's files: `host` is its own folder, `bin` the lab's programs."""
_PATIENCE = 60.0
"""Seconds in which a service must answer; both need less than one on an idle machine."""
_PERIOD = 100_000
"""Microseconds in which a host may use its share of the processors."""
_CONTROLLERS = ("cpu", "cpuacct")

_BOOT = """\
# Run as the first process of new namespaces: sh boot FOLDER PROGRAMS NAME SIZE_OF_DISK [CONTROL_GROUP...]
set -eu
folder=$1 programs=$2 name=$3 disk=$4
shift 4
for group in "$@"; do echo 0 >"$group/cgroup.procs"; done
# /proc is still the machine's, which counts pids as whoever ends this host does.
read -r stat </proc/self/stat
read -r boot </proc/sys/kernel/random/boot_id
set -- $stat
printf '{"pid": %s, "started": %s, "boot": "%s"}' "$1" "${22}" "$boot" >"$folder/init.json"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 lab /run
mkdir -p /run/sshd /run/home /run/lab/host /run/lab/bin
mount --bind "$folder" /run/lab/host
mount --bind "$programs" /run/lab/bin
mount -t tmpfs -o mode=1777 lab /tmp
cp /run/lab/host/authorized_keys /run/lab/
for file in passwd shadow; do mount --bind "/run/lab/host/$file" "/etc/$file"; done
if [ -n "$disk" ]; then mount -t tmpfs -o "mode=711,size=$disk" lab /run/lab/host/buildkit; fi
echo "$name" >/proc/sys/kernel/hostname
echo booted
# Ignored in what follows, too: children whose parent has ended vanish when they end.
trap '' CHLD
exec sleep infinity </dev/null >/dev/null 2>&1
"""

# Defaults but for what has to be said. AllowStreamLocalForwarding, MaxSessions and MaxStartups are not.
_SSHD = """\
HostKey /run/lab/host/host_key
AuthorizedKeysFile /run/lab/authorized_keys
LogLevel VERBOSE
PidFile none
SetEnv PATH=/run/lab/bin/{buildkit}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
"""

_BUILDKITD = """\
root = "/run/lab/host/buildkit"
insecure-entitlements = ["network.host"]

[grpc]
  address = ["unix://{socket}"]

[otel]
  socketPath = "/run/buildkit/otel.sock"

[cdi]
  disabled = true

[worker.containerd]
  enabled = false

[worker.oci]
  enabled = true
  snapshotter = "overlayfs"
  binary = "{runc}"
  defaultCgroupParent = "/{cgroup}"
  networkMode = "host"
  gc = true
  maxUsedSpace = "12GB"

[registry."docker.io"]
  mirrors = ["{registry}"]

[registry."mcr.microsoft.com"]
  mirrors = ["{registry}"]

[registry."{registry}"]
  http = true
"""


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
    _write_files(place, network, number)
    groups = [group / network.link(number) for group in _hierarchies(_CONTROLLERS)]
    for group in groups:
        group.mkdir(exist_ok=True)
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
    await ip(f"link add {host.link} type veth peer name eth0 netns {host.init.pid}")
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
        limit_cpus(host, cpus)
    return host


async def start_sshd(place: Layout, host: Host) -> None:
    """Start its sshd, and wait until it greets.

    Raises:
        LabError: it does not.
    """
    program = f"{_HERE}/bin/debian/openssh-server/usr/sbin/sshd"
    await _service(place, host, "sshd", program, "-D", "-e", "-f", f"{_HERE}/host/sshd_config")
    await _answers(host, "sshd", lambda: _greets(host))


async def start_buildkitd(place: Layout, host: Host) -> None:
    """Start its buildkitd, after whatever a killed one left is ended, and wait until it listens.

    Raises:
        LabError: it does not.
    """
    leftovers = 'for step in $("$0" list --quiet); do "$0" delete --force "$step"; done'
    await anyio.run_process(host.enter("sh", "-c", leftovers, _runc(place)), check=False, env=ENVIRONMENT)
    program = f"{_HERE}/bin/{place.buildkit.name}/buildkitd"
    await _service(place, host, "buildkitd", program, "--config", f"{_HERE}/host/buildkitd.toml")
    await _answers(host, "buildkitd", lambda: _listens(host))


def limit_cpus(host: Host, cpus: float | None) -> None:
    """Say how much of the processors all of its processes together may use; None is all.

    Raises:
        LabError: this machine has no cpu controller of control groups v1.
    """
    for group in _hierarchies(("cpu",)):
        quota = -1 if cpus is None else round(cpus * _PERIOD)
        (group / host.cgroup / "cpu.cfs_period_us").write_text(str(_PERIOD), encoding="ascii")
        (group / host.cgroup / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
        return
    raise LabError(
        "this machine has no cpu controller of control groups v1", hint="make hosts without a limit of processors"
    )


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
    host = load(place, network, number)
    if host is not None:
        if gently:
            for pid in host.processes("buildkitd"):
                if (daemon := identify(pid)) is not None:
                    await end(daemon)
        await end(host.init, grace=0)
    await delete(network.link(number))
    for hierarchy in _hierarchies():
        await _remove_group(hierarchy / network.link(number))


def load(place: Layout, network: Network, number: int, *, limited_disk: bool = False) -> Host | None:
    """A host as its folder and the network tell it, or None when it was never started. It may have ended."""
    folder = folder_of(place, number)
    try:
        init = msgspec.json.decode((folder / "init.json").read_bytes(), type=Daemon)
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


def folder_of(place: Layout, number: int) -> Path:
    """The folder of a host."""
    return place.root / "hosts" / str(number)


def is_current(place: Layout, network: Network, number: int) -> bool:
    """Whether a host was started with the settings that it would get now."""
    file = folder_of(place, number) / "buildkitd.toml"
    return file.exists() and file.read_text(encoding="utf-8") == _buildkitd(place, network, number)


def _write_files(place: Layout, network: Network, number: int) -> None:
    folder = folder_of(place, number)
    for name in ("buildkit", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    client.ensure_key(folder.parent / "id_ed25519")
    client.ensure_key(folder / "host_key")
    others = Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
    users = [line for line in others if line.partition(":")[0] not in {"root", "sshd"}]
    users += ["root:x:0:0:root:/run/home:/bin/sh", "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin"]
    files = {
        "boot": _BOOT,
        "passwd": "\n".join([*users, ""]),
        "shadow": "root:*:20000:0:99999:7:::\nsshd:!:20000::::::\n",
        "authorized_keys": (folder.parent / "id_ed25519.pub").read_text(encoding="ascii"),
        "sshd_config": _SSHD.format(buildkit=place.buildkit.name),
        "buildkitd.toml": _buildkitd(place, network, number),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _buildkitd(place: Layout, network: Network, number: int) -> str:
    return _BUILDKITD.format(
        socket=BUILDKITD_SOCKET, runc=_runc(place), cgroup=network.link(number), registry=network.registry
    )


def _runc(place: Layout) -> str:
    """The path of runc on a host."""
    record = place.read()
    assert record is not None, "there is a network only when there is a record"
    ours = place.root / "bin"
    runc = Path(record.runc)
    return f"{_HERE}/bin/{runc.relative_to(ours)}" if runc.is_relative_to(ours) else record.runc


async def _service(place: Layout, host: Host, name: str, *command: str) -> None:
    bin_ = place.root / "bin"
    libraries = (bin_ / "debian" / "libwrap0").glob("usr/lib/*")
    environment = {
        **environment_of(place),
        "PATH": ENVIRONMENT["PATH"],
        "HOME": "/run/home",
        "TMPDIR": f"{_HERE}/host/tmp",
        "LD_LIBRARY_PATH": ":".join(f"{_HERE}/bin/{folder.relative_to(bin_)}" for folder in libraries),
    }
    files = (str(group / host.cgroup / "cgroup.procs") for group in _hierarchies(_CONTROLLERS))
    groups = " ".join(map(shlex.quote, files))
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
    try:
        stream = await anyio.connect_tcp(host.address, 22)
    except OSError:
        return False
    async with stream:
        try:
            return (await stream.receive()).startswith(b"SSH-")
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False


async def _listens(host: Host) -> bool:
    try:
        stream = await anyio.connect_unix(host.buildkitd)
    except OSError:
        return False
    await stream.aclose()
    return True


def _hierarchies(controllers: Sequence[str] = ()) -> tuple[Path, ...]:
    """Where control groups v1 with some controllers are mounted; without a name all, and that of v2 beside them."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"} and (not controllers or set(controllers) & set(options.split(","))):
            found.append(Path(before.split()[4]))
    return tuple(found)


async def _remove_group(group: Path) -> None:
    """Remove a control group with those in it; its processes have ended."""
    for folder in [anyio.Path(folder) for folder, _, _ in os.walk(group, topdown=False)]:
        with anyio.move_on_after(10) as patience:
            while await folder.exists():
                with suppress(OSError):  # the kernel counts an ended process for a moment
                    await folder.rmdir()
                    break
                await anyio.sleep(0.01)
        if patience.cancelled_caught:
            raise LabError(f"{folder} cannot be removed", hint=f"end what is in {folder}/cgroup.procs")
