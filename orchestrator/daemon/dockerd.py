"""What a dockerd is started with: its file, in JSON, that of its own containerd, and the words of both. Pure.

Its containers get a bridge of their own, which `keeper` makes and removes with three rules: dockerd itself writes none,
since it would change those of another one on this machine, and takes none back.
"""

from collections.abc import Mapping

import msgspec

from orchestrator.daemon import buildkitd
from orchestrator.daemon.model import Settings
from orchestrator.daemon.settings import HUB

_NO_KEY_SINCE = (23, 0)
"""Before, it wrote a key into /etc/docker."""
_CONTAINERD = """\
version = 2
root = {root}
state = {state}
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = {socket}

[plugins."io.containerd.internal.v1.opt"]
  path = {opt}
"""


def commands(of: Settings) -> tuple[list[list[str]], list[str]]:
    """The words that start containerd and it, and for each the socket that the next one waits for."""
    containerd = of.run / "containerd.sock"
    words = [of.programs.get("dockerd", "dockerd"), "--config-file", str(of.file), "--host", f"unix://{of.socket}"]
    words += ["--data-root", str(of.root / "docker"), "--exec-root", str(of.run / "exec")]
    words += ["--pidfile", str(of.run / "dockerd.pid"), "--containerd", str(containerd)]
    first = [of.programs.get("containerd", "containerd"), "--config", str(of.run / "containerd.toml")]
    return [first, words], [str(containerd), ""]


def text(of: Settings) -> str:
    """Its file."""
    return msgspec.json.format(msgspec.json.encode(document(of)), indent=2).decode() + "\n"


def document(of: Settings) -> Mapping[str, object]:
    """Its file, before it is written down."""
    mirror = of.mirrors.get(HUB)
    scheme = "http" if mirror and mirror.partition("/")[0] in of.insecure else "https"
    return {
        "bridge": of.name,
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        **({"mtu": of.mtu} if of.mtu is not None else {}),
        **({"dns": of.dns} if of.dns else {}),
        # On a host with systemd its default would be systemd's, which takes no such parent.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{of.name}",
        "shutdown-timeout": 5,
        "insecure-registries": of.insecure,
        "registry-mirrors": [f"{scheme}://{mirror}"] if mirror else [],
        # The store's own choice is overlay; `overlay2` would be a name that containerd does not know.
        **({} if of.store else {"storage-driver": of.storage}),
        # An older runc knows no namespaces of time, and the engine does not ask it.
        "features": {"containerd-snapshotter": of.store, "time-namespaces": False},
        **({"deprecated-key-path": str(of.root / "key.json")} if of.version and of.version < _NO_KEY_SINCE else {}),
        "builder": {
            "gc": {"enabled": True, "policy": [_policy(each) for each in buildkitd.policies(of)]},
            # Its names for them have dashes.
            **({"entitlements": {each.replace(".", "-"): True for each in of.entitlements}} if of.entitlements else {}),
        },
    }


def containerd(of: Settings) -> str:
    """The file of its containerd."""
    places = {
        "root": of.root / "containerd",
        "state": of.run / "containerd",
        "socket": of.run / "containerd.sock",
        "opt": of.root / "opt",
    }
    return _CONTAINERD.format(**{name: buildkitd.quoted(str(path)) for name, path in places.items()})


def _policy(of: Mapping[str, object]) -> Mapping[str, object]:
    """A policy in dockerd's words, whose filters can only say what a record is: of layers, not of anything but."""
    return {
        "all": of.get("all", False),
        "filter": ["type=regular"] if "filters" in of else [],
        "keepStorage": f"{of['keepBytes']}B",
        "reservedSpace": f"{of['reservedSpace']}B",
        "maxUsedSpace": f"{of['maxUsedSpace']}B",
        "minFreeSpace": f"{of['minFreeSpace']}B",
    }
