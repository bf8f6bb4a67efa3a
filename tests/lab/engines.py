"""Two real Docker Engines, each with a containerd of its own: Debian's 20.10, and a current one.

They differ in how they keep images, which decides what they can do for a build: the old one by the overlay2 graph
driver, the new one in containerd's image store. Everything of theirs lies below the state directory, but for the small
files that their programs have at fixed places (`/run/docker`, `/run/containerd/s`), and a network bridge for each. No
firewall rule and no forwarding goes with it: a step or a container on it reaches nobody but this machine, unless
`route` lets it out.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import anyio
import anyio.to_thread
import httpx
import msgspec

from tests.lab import tools
from tests.lab.daemons import answers, end_containers, environment_of
from tests.lab.errors import LabError
from tests.lab.firewall import Verb, masquerade
from tests.lab.mounts import delete, unmount
from tests.lab.process import Daemon, end, spawn, strays
from tests.lab.state import NEWER, Engine, EngineKind, Layout, Record

_KINDS: tuple[EngineKind, ...] = get_args(EngineKind)
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_QUESTION_SECONDS = 10.0

_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{folder}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/containerd-opt"
"""


class _Version(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to `GET /version`."""

    version: str


async def start(place: Layout, *, say: Callable[[str], None], kinds: Sequence[EngineKind] = _KINDS) -> None:
    """Start engines where they do not run, and wait until they answer.

    Args:
        place: the state directory, with a registry that runs.
        say: receives one line per thing done.
        kinds: which ones.

    Raises:
        LabError: a program cannot be had, or an engine does not come up.
    """
    # libdevmapper is the one library of Debian's dockerd that a small system may lack.
    docker, containerd, tini, mapper = [
        await tools.debian_package(place, name) for name in ("docker.io", "containerd", "tini", "libdevmapper1.02.1")
    ]
    roots: dict[EngineKind, Path] = {"graph": docker}
    if "containerd" in kinds:
        roots["containerd"] = await tools.debian_package(place, "docker.io", suite=NEWER)
    ip = await _ip(place)
    record = _record(place)
    folders = [containerd / "usr/bin", docker / "usr/bin", docker / "usr/sbin", tini / "usr/bin"]
    environment = {
        **environment_of(place),
        "PATH": ":".join([*map(str, folders), str(Path(record.runc).parent), _SYSTEM_PATH]),
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in mapper.glob("lib/*")),
    }
    for kind in kinds:
        await _bridge(place, kind, ip)
        program = roots[kind] / "usr/sbin/dockerd"
        await _start(place, kind, program, containerd=folders[0] / "containerd", environment=environment, say=say)


def running(place: Layout) -> tuple[Engine, ...]:
    """The engines that run and answer."""
    record = place.read()
    daemons: Mapping[str, Daemon] = record.daemons if record else {}
    found: list[Engine] = []
    for kind in _KINDS:
        if all(name in daemons and daemons[name].alive() for name in _names(kind)):
            version = _version(place.engine_socket(kind))
            if version is not None:
                found.append(Engine(kind=kind, socket=place.engine_socket(kind), version=version))
    return tuple(found)


async def route(place: Layout, kind: EngineKind) -> None:
    """Let the steps of an engine's builds reach the network: by one rule, which `clean` takes away again.

    Tests need none, so that the lab leaves a firewall alone as long as no builds are for its user.

    Raises:
        LabError: the rule cannot be made.
    """
    if await forwards(place, kind, "--check"):
        return
    hint = (
        "run it where iptables works, or install Go 1.25 or newer for a buildkitd, which shares this machine's network"
    )
    forward = anyio.Path("/proc/sys/net/ipv4/ip_forward")
    try:
        if (await forward.read_text()).strip() == "0":
            await forward.write_text("1")
    except OSError as error:
        raise LabError(f"{forward}: {error.strerror}", hint=hint) from error
    if not await forwards(place, kind, "--append"):
        raise LabError("no rule for the network of builds can be made", hint=hint)


async def forwards(place: Layout, kind: EngineKind, verb: Verb) -> bool:
    """Check, append or delete the rule; whether that went well."""
    name, network = _network(place, kind)
    return await masquerade(place, verb, network, name)


async def clean(place: Layout, runc: str) -> None:
    """End the containers of engines that have ended, unmount what they left mounted, remove their bridges.

    Raises:
        LabError: something stays mounted, or a bridge stays.
    """
    for kind in _KINDS:
        await _clean(place, kind, runc)
        while await forwards(place, kind, "--delete"):
            pass
        name, _ = _network(place, kind)
        if await anyio.Path(f"/sys/class/net/{name}").exists():
            words = [str(await _ip(place)), "link", "delete", name]
            await tools.run(words, doing=f"removing the network bridge {name}", hint="remove it with `ip link delete`")


async def _clean(place: Layout, kind: EngineKind, runc: str) -> None:
    folder = place.engine(kind)
    ours = [f"engines/{kind}/{name}" for name in ("dockerd.json", "containerd.toml", "containerd.sock")]
    for stray in strays(place.root, files=ours):  # also each container's shim: its command line names the socket
        await end(stray, grace=1)
    await end_containers(runc, folder / "exec" / "runtime-runc" / "moby")
    await unmount(folder)


async def _bridge(place: Layout, kind: EngineKind, ip: Path) -> None:
    """Make its bridge where there is none. It is without a firewall, so its network is one that nobody routes."""
    name, address = _network(place, kind)
    if await anyio.Path(f"/sys/class/net/{name}").exists():
        return
    hint = "look whether the kernel has network bridges"
    for words in (
        ["link", "add", name, "type", "bridge"],
        ["addr", "add", address, "dev", name],
        ["link", "set", name, "up"],
    ):
        await tools.run([str(ip), *words], doing=f"making the network bridge {name}", hint=hint)


async def _ip(place: Layout) -> Path:
    return await tools.debian_program(place, "iproute2", "sbin/ip", installed=True)


def _network(place: Layout, kind: EngineKind) -> tuple[str, str]:
    """The bridge's name, and its address with the length of its network.

    Two labs of one machine must not share them. The range is that of RFC 2544, which no real network uses.
    """
    digest = hashlib.sha256(bytes(place.engine(kind))).digest()
    return f"fp-{digest.hex()[:8]}", f"198.{18 + digest[0] % 2}.{digest[1]}.1/24"


async def _start(
    place: Layout,
    kind: EngineKind,
    program: Path,
    *,
    containerd: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    folder, record = place.engine(kind), _record(place)
    names = of_containerd, of_dockerd = _names(kind)
    settings, config = msgspec.json.encode(_settings(place, kind, record.port)), folder / "dockerd.json"
    alive = [name for name in names if name in record.daemons and record.daemons[name].alive()]
    # The registry's port may have changed.
    if len(alive) < len(names) or not config.exists() or config.read_bytes() != settings:
        for name in reversed(alive):
            await end(record.daemons[name])
        await _clean(place, kind, record.runc)
        made_by = folder / "made-by"
        if folder.exists() and (not made_by.exists() or made_by.read_text(encoding="utf-8") != str(program)):
            await delete(folder)  # what a newer engine has written, an older one may not read
        folder.mkdir(parents=True, exist_ok=True)
        made_by.write_text(str(program), encoding="utf-8")
        # A killed daemon's pid file names a process that may be another's by now.
        (folder / "pid").unlink(missing_ok=True)
        (folder / "containerd.toml").write_text(_CONTAINERD.format(folder=folder), encoding="utf-8")
        config.write_bytes(settings)
        say(f"starting Docker Engine ({kind}), log in {place.log(of_dockerd)}")
        words = [str(containerd), "--config", str(folder / "containerd.toml")]
        _remember(place, of_containerd, spawn(words, log=place.log(of_containerd), environment=environment))
        socket = anyio.Path(folder / "containerd.sock")
        await answers(place, of_containerd, _record(place).daemons[of_containerd], socket.is_socket)
        words = [str(program), "--config-file", str(config), "--host", f"unix://{place.engine_socket(kind)}"]
        words += ["--data-root", str(folder / "root"), "--exec-root", str(folder / "exec")]
        words += ["--pidfile", str(folder / "pid"), "--containerd", str(socket)]
        _remember(place, of_dockerd, spawn(words, log=place.log(of_dockerd), environment=environment))
    ask = partial(anyio.to_thread.run_sync, partial(_answers, place.engine_socket(kind)))
    await answers(place, of_dockerd, _record(place).daemons[of_dockerd], ask)


def _settings(place: Layout, kind: EngineKind, port: int) -> Mapping[str, object]:
    return {
        "bridge": _network(place, kind)[0],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        # Debian's proxy, without which no port is published here, is as old as its engine.
        "userland-proxy": kind == "graph",
        "shutdown-timeout": 5,
        "insecure-registries": [f"127.0.0.1:{port}"],
        "registry-mirrors": [f"http://127.0.0.1:{port}"],
        # Debian's runc knows no time namespaces, and the engine does not ask it.
        **({"features": {"containerd-snapshotter": True, "time-namespaces": False}} if kind == "containerd" else {}),
        # Else 20.10 writes its key into /etc/docker; newer ones have none.
        **({"deprecated-key-path": str(place.engine(kind) / "key.json")} if kind == "graph" else {}),
    }


def _names(kind: EngineKind) -> tuple[str, str]:
    """The names of its containerd and of itself, in the order of their start."""
    return f"containerd-of-{kind}", f"engine-{kind}"


def _record(place: Layout) -> Record:
    record = place.read()
    assert record is not None, "the registry is started first, and remembered"
    return record


def _remember(place: Layout, name: str, daemon: Daemon) -> None:
    record = _record(place)
    place.write(msgspec.structs.replace(record, daemons={**record.daemons, name: daemon}))


def _answers(socket: Path) -> bool:
    return _version(socket) is not None


def _version(socket: Path) -> str | None:
    transport = httpx.HTTPTransport(uds=str(socket))
    try:
        with httpx.Client(transport=transport, base_url="http://engine", timeout=_QUESTION_SECONDS) as client:
            return msgspec.json.decode(client.get("/version").raise_for_status().content, type=_Version).version
    except (httpx.HTTPError, msgspec.DecodeError):
        return None
