"""The files that a host is started with: its boot, its users and keys, the settings of its two services.

The machine stays as it is. sshd wants a user `sshd` and the directory /run/sshd, so the host has its own /run, /tmp,
/etc/passwd and /etc/shadow, mounted where no other process sees them. /dev is the machine's; nothing is mounted on it.
"""

from pathlib import Path

from tests.lab.hosts import client
from tests.lab.hosts.host import BUILDKITD_SOCKET
from tests.lab.hosts.network import Network
from tests.lab.state import Layout

HERE = "/run/lab"
"""Where a host sees the lab's files: `host` is its own folder, `bin` the lab's programs."""

_BOOT = """\
# Run as the first process of new namespaces: sh boot FOLDER PROGRAMS NAME SIZE_OF_DISK [CONTROL_GROUP...]
set -eu
folder=$1 programs=$2 name=$3 disk=$4
shift 4
for group in "$@"; do echo 0 >"$group/cgroup.procs"; done
# /proc is still the machine's, which counts pids as whoever ends this host does. Who wants the host to end first moves
# the directory away: either finds the file in it, or this ends here.
read -r stat </proc/self/stat
read -r boot </proc/sys/kernel/random/boot_id
set -- $stat
printf '{"pid": %s, "started": %s, "boot": "%s"}' "$1" "${22}" "$boot" >"$folder/run/init.json"
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


def is_current(place: Layout, network: Network, number: int) -> bool:
    """Whether a host was started with the settings that it would get now."""
    file = folder_of(place, number) / "buildkitd.toml"
    return file.exists() and file.read_text(encoding="utf-8") == _buildkitd(place, network, number)


def folder_of(place: Layout, number: int) -> Path:
    """The folder of a host."""
    return place.root / "hosts" / str(number)


def write(place: Layout, network: Network, number: int) -> None:
    """Write all of a host's files into its folder, and make its key where it has none."""
    folder = folder_of(place, number)
    for name in ("buildkit", "tmp", "run"):
        (folder / name).mkdir(exist_ok=True)
    client.ensure_key(folder / "host_key")
    others = Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
    users = [line for line in others if line.partition(":")[0] not in {"root", "sshd"}]
    users += ["root:x:0:0:root:/run/home:/bin/sh", "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin"]
    files = {
        "boot": _BOOT,
        "passwd": "\n".join([*users, ""]),
        "shadow": "root:*:20000:0:99999:7:::\nsshd:!:20000::::::\n",
        "authorized_keys": client.key(place).with_suffix(".pub").read_text(encoding="ascii"),
        "sshd_config": _SSHD.format(buildkit=place.buildkit.name),
        "buildkitd.toml": _buildkitd(place, network, number),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _buildkitd(place: Layout, network: Network, number: int) -> str:
    return _BUILDKITD.format(
        socket=BUILDKITD_SOCKET, runc=runc(place), cgroup=network.link(number), registry=network.registry
    )


def runc(place: Layout) -> str:
    """The path of runc on a host."""
    record = place.read()
    assert record is not None, "there is a network only when there is a record"
    ours = place.root / "bin"
    path = Path(record.runc)
    return f"{HERE}/bin/{path.relative_to(ours)}" if path.is_relative_to(ours) else record.runc
