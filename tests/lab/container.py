"""Starting an image from a registry where only runc runs: pulled by our own client, shut in tightly.

The container shares the host's network. An app listens on a free port, given in `$PORT`, and on all addresses: it is
asked by one that is not the usual loopback address. All else is as strict as a cluster's strictest policy: the image's
own user, a read-only root with a tmpfs at /tmp, no capability, no new privilege. Whatever happens, leaving the block
kills the container and deletes its bundle.
"""

import json
import secrets
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import httpx
import msgspec

from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import RunConfig
from tests.lab import roots
from tests.lab.errors import LabError
from tests.lab.mounts import delete
from tests.lab.state import Lab

_NEIGHBOUR = "127.0.0.2"
"""Another of this machine's addresses: who listens on 127.0.0.1 alone does not answer there, nor in a cluster."""
_PATIENCE = 60.0
"""Seconds in which an app must answer: a JVM on a busy machine needs some."""
_MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug")
_NAMES = {
    "destination": "/etc/resolv.conf",
    "type": "bind",
    "source": "/etc/resolv.conf",
    "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
}
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A started app that answers HTTP."""

    url: str
    """`http://127.0.0.1:PORT`."""
    uid: int
    """The user it runs as."""
    log: Path
    """Both output streams."""
    cgroup: str
    """Its control group, in all hierarchies."""


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """An image on this machine's disk, which can be started again and again."""

    lab: Lab
    image: str
    bundle: Path
    config: RunConfig

    @property
    def root(self) -> Path:
        """The image's files."""
        return self.bundle / "root"


@asynccontextmanager
async def started(
    lab: Lab,
    image: str,
    *,
    path: str = "/",
    env: Mapping[str, str] | None = None,
    writable: bool = False,
    online: bool = False,
) -> AsyncGenerator[Container]:
    """Pull an image, start it, and wait until it answers HTTP; kill and delete it on leaving.

    Args:
        lab: whose runc and state directory are used.
        image: full reference.
        path: what is asked for; any status counts as an answer.
        env: variables beside the image's own and `$PORT`.
        writable: whether its root may be written to: for images of others, which cannot do without.
        online: whether it can look names up: for images of others, which get what they need when they start.

    Raises:
        LabError: it ended or did not answer in time; the message has the end of its output.
        FleetpacksError: the image cannot be pulled.
    """
    async with (
        unpacked(lab, image) as here,
        answering(here, path=path, env=env, writable=writable, online=online) as container,
    ):
        yield container


@asynccontextmanager
async def unpacked(lab: Lab, image: str) -> AsyncGenerator[Unpacked]:
    """Pull an image; delete it on leaving.

    Raises:
        FleetpacksError: it cannot be pulled.
    """
    bundle = lab.state / "containers" / f"fleetpacks-{secrets.token_hex(6)}"
    await anyio.Path(bundle).mkdir(parents=True, mode=0o700)
    try:
        async with RegistryClient(Credentials(None), _insecure(lab)) as client:
            config = await roots.make(lab, client, reference.parse(image), bundle)
        yield Unpacked(lab=lab, image=image, bundle=bundle, config=config)
    finally:
        with anyio.CancelScope(shield=True):
            await delete(bundle)


@asynccontextmanager
async def answering(
    here: Unpacked,
    *,
    path: str = "/",
    env: Mapping[str, str] | None = None,
    writable: bool = False,
    online: bool = False,
) -> AsyncGenerator[Container]:
    """Start an image and wait until it answers, as `started`; kill it on leaving. One at a time.

    Raises:
        LabError: as there.
    """
    name, port = here.bundle.name, _free_port()
    user = _user(here.root, here.config.user)
    spec = _spec(name, here.config, user, {**(env or {}), "PORT": str(port)}, writable=writable, online=online)
    await anyio.Path(here.bundle / "config.json").write_text(json.dumps(spec))
    container = Container(url=f"http://127.0.0.1:{port}", uid=user[0], log=here.bundle / "log", cgroup=name)
    async with _running(here.lab, name, here.bundle) as process:
        await _answers(container, process, here.image, path)
        yield container


@asynccontextmanager
async def _running(lab: Lab, name: str, bundle: Path) -> AsyncGenerator[anyio.abc.Process]:
    runc = [str(lab.runc), "--root", str(lab.state / "runc" / "apps")]
    with (bundle / "log").open("wb") as log:
        process = await anyio.open_process(
            [*runc, "run", "--bundle", str(bundle), name], stdin=None, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.run_process([*runc, "delete", "--force", name], check=False)
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def _answers(container: Container, process: anyio.abc.Process, image: str, path: str) -> None:
    # Some answer only who calls them by a name that they know.
    name = container.url.removeprefix("http://")
    url = f"http://{_NEIGHBOUR}:{name.rpartition(':')[2]}{path}"
    async with httpx.AsyncClient(trust_env=False, headers={"Host": name}) as client:
        with anyio.move_on_after(_PATIENCE):
            while process.returncode is None:
                try:
                    await client.get(url)
                except httpx.TransportError:
                    await anyio.sleep(0.05)  # the pause between two questions, not a wait for the app
                else:
                    return
    output = (await anyio.Path(container.log).read_text(errors="replace")).splitlines()[-20:]
    what = "does not answer" if process.returncode is None else f"ended with exit status {process.returncode}"
    raise LabError(
        "\n".join([f"{image} {what}; the end of its output:", *(f"  {line}" for line in output)]),
        hint="the app must listen on $PORT of all addresses, as the image's user, on a read-only root",
    )


def _spec(
    name: str, config: RunConfig, user: tuple[int, int], env: Mapping[str, str], *, writable: bool, online: bool
) -> Mapping[str, object]:
    """The bundle's config.json, by the OCI runtime specification."""
    # A variable of ours replaces the image's own of that name.
    image_env = [pair for pair in config.env or () if pair.partition("=")[0] not in env]
    no_capabilities: list[str] = []
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user[0], "gid": user[1]},
            "args": [*(config.entrypoint or ()), *(config.cmd or ())],
            "env": [*image_env, *(f"{key}={value}" for key, value in env.items())],
            "cwd": config.working_dir or "/",
            "capabilities": dict.fromkeys(sets, no_capabilities),
            "noNewPrivileges": True,
        },
        "root": {"path": "root", "readonly": not writable},
        "hostname": name,
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},  # noqa: S108 - the container's
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},  # noqa: S108 - the container's
            *([_NAMES] if online else []),
        ],
        "linux": {
            "cgroupsPath": f"/{name}",
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


def _user(root: Path, text: str) -> tuple[int, int]:
    """Uid and gid of an image's `USER`: numbers, or names of the image's own /etc/passwd."""
    name, _, group = text.partition(":")
    passwd = root / "etc" / "passwd"
    lines = passwd.read_text(encoding="utf-8").splitlines() if passwd.is_file() and not passwd.is_symlink() else []
    for fields in (line.split(":") for line in lines):
        if name in (fields[0], fields[2]):
            return int(fields[2]), int(group) if group.isdigit() else int(fields[3])
    if name and not name.isdigit():
        raise LabError(f"the image's user {name!r} is not in its /etc/passwd", hint="name the user by number")
    return int(name or 0), int(group) if group.isdigit() else 0


def _insecure(lab: Lab) -> Mapping[str, Registry]:
    return {lab.registry: Registry(host=lab.registry, insecure=True)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
