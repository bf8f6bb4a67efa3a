"""The lab's two daemons: their configuration, their start, and the moment at which they answer.

Readiness is what their own API says. A daemon that ends while we wait for it is an error at once, with its log's end.
"""

import errno
import shlex
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio

from tests.lab.errors import LabError
from tests.lab.process import Daemon, end, spawn, strays
from tests.lab.state import Layout, Record, caller_environment

_PASSED_ON = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy")
_PATIENCE = 60.0
"""Seconds in which a daemon must answer; both need less than one on an idle machine."""

_REGISTRY = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}", secret: lab}}
"""

_BUILDKITD = """\
root = "{root}"
insecure-entitlements = ["network.host"]

[grpc]
  address = ["unix://{socket}"]

[otel]
  socketPath = "{root}/otel.sock"

[cdi]
  disabled = true

[worker.containerd]
  enabled = false

[worker.oci]
  enabled = true
  snapshotter = "{snapshotter}"
  binary = "{runc}"
  networkMode = "host"
  gc = true
  reservedSpace = "4GB"
  maxUsedSpace = "24GB"
  minFreeSpace = "2GB"

[registry."docker.io"]
  mirrors = ["127.0.0.1:{port}"]

[registry."mcr.microsoft.com"]
  mirrors = ["127.0.0.1:{port}"]

[registry."127.0.0.1:{port}"]
  http = true
"""


async def start(place: Layout, *, registry: Path, runc: Path, builder: bool, say: Callable[[str], None]) -> Record:
    """Start what does not run, wait until it answers, and remember it.

    Args:
        place: the state directory.
        registry: the program `docker-registry`.
        runc: the program `runc`.
        builder: whether buildkitd is wanted, too.
        say: receives one line per thing done.

    Raises:
        LabError: a daemon does not come up.
    """
    old = place.read()
    known: Mapping[str, Daemon] = old.daemons if old else {}
    running = {name: daemon for name, daemon in known.items() if daemon.alive()}
    port = old.port if old else _free_port()
    if "registry" not in running and not _is_free(port):
        port = _free_port()
    configuration = await _configuration(place, port)
    if "buildkitd" in running and not _is(place.root / "buildkitd.toml", configuration):
        # It names a port that somebody else has taken, or was written by an older lab.
        await end(running.pop("buildkitd"))
    starters: dict[str, Callable[[], Awaitable[Daemon]]] = {"registry": lambda: _start_registry(place, registry, port)}
    if builder:
        starters["buildkitd"] = lambda: _start_buildkitd(place, runc, configuration)
    for stray in strays(place.root, known=running.values()):
        await end(stray)
    for name, starter in starters.items():
        if name not in running:
            say(f"starting {name}, log in {place.log(name)}")
            running[name] = await starter()
            place.write(Record(port=port, runc=str(runc), daemons=running))
    await answers(place, "registry", running["registry"], lambda: _registry_answers(port))
    if builder:
        await answers(place, "buildkitd", running["buildkitd"], lambda: _buildkitd_answers(place))
    return Record(port=port, runc=str(runc), daemons=running)


async def stop(place: Layout) -> tuple[str, ...]:
    """End the lab's daemons and whatever steps a killed buildkitd left, and return the names of what ran."""
    record = place.read()
    if record is None:
        return ()
    ended = [name for name, daemon in record.daemons.items() if daemon.alive()]
    for name in reversed(ended):
        await end(record.daemons[name])
    for stray in strays(place.root):
        await end(stray)
    await end_containers(record.runc, place.steps)
    place.write(Record(port=record.port, runc=record.runc, daemons={}))
    place.socket.unlink(missing_ok=True)
    return tuple(ended)


async def end_containers(runc: str, state: Path) -> None:
    """Kill and forget every container that runc knows in a state directory."""
    async for known in anyio.Path(state).glob("*"):
        await anyio.run_process([runc, "--root", str(state), "delete", "--force", known.name], check=False)


async def _start_registry(place: Layout, program: Path, port: int) -> Daemon:
    config = place.root / "registry.yml"
    config.write_text(_REGISTRY.format(data=place.root / "registry", port=port), encoding="utf-8")
    return spawn([str(program), "serve", str(config)], log=place.log("registry"), environment=environment_of(place))


async def _start_buildkitd(place: Layout, runc: Path, configuration: str) -> Daemon:
    await end_containers(str(runc), place.steps)
    place.socket.unlink(missing_ok=True)
    # runc's state beside everything else of ours, instead of in /run: the steps of a killed daemon are found there.
    wrapper = _wrapper(place)
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(runc))} --root {shlex.quote(str(place.steps))} "$@"\n')
    wrapper.chmod(0o700)
    config = place.root / "buildkitd.toml"
    config.write_text(configuration, encoding="utf-8")
    return spawn(
        [str(place.buildkit / "buildkitd"), "--config", str(config)],
        log=place.log("buildkitd"),
        environment=environment_of(place),
    )


async def _configuration(place: Layout, port: int) -> str:
    return _BUILDKITD.format(
        root=place.root / "buildkit",
        socket=place.socket,
        snapshotter="overlayfs" if await _overlay_works(place) else "native",
        runc=_wrapper(place),
        port=port,
    )


def _wrapper(place: Layout) -> Path:
    return place.root / "runc-of-steps"


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


def environment_of(place: Layout) -> Mapping[str, str]:
    # A short list: no credential of whoever runs the lab reaches a daemon. Its temporary mounts stay in our directory.
    caller = caller_environment()
    passed_on = {name: caller[name] for word in _PASSED_ON for name in (word, word.upper()) if name in caller}
    return {**passed_on, "HOME": str(place.root), "TMPDIR": str(place.root / "tmp")}


async def _overlay_works(place: Layout) -> bool:
    folder = place.work / "overlay"
    for name in ("lower", "upper", "work", "merged"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    # In a mount namespace of its own: it vanishes with the command.
    done = await anyio.run_process(
        ["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", str(folder / "merged")], check=False
    )
    return done.returncode == 0


async def answers(place: Layout, name: str, daemon: Daemon, ask: Callable[[], Awaitable[bool]]) -> None:
    with anyio.move_on_after(_PATIENCE):
        while daemon.alive():
            if await ask():
                return
            await anyio.sleep(0.05)  # the pause between two questions; what ends the wait is an answer or the process
    log = place.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    what = f"does not answer within {_PATIENCE:.0f} seconds" if daemon.alive() else "ended while it started"
    raise LabError(
        "\n".join([f"{name} {what}; the end of its log:", *(f"  {line}" for line in log)]),
        hint=f"the whole log is {place.log(name)}; `python -m tests.lab down` ends what still runs",
    )


async def _registry_answers(port: int) -> bool:
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    async with stream:
        await stream.send(b"GET /v2/ HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            return b" 200 " in (await stream.receive())[:16]
        except anyio.EndOfStream:
            return False


async def _buildkitd_answers(place: Layout) -> bool:
    command = [str(place.buildkit / "buildctl"), "--addr", f"unix://{place.socket}", "debug", "workers"]
    return place.socket.exists() and (await anyio.run_process(command, check=False)).returncode == 0


def _free_port() -> int:
    # 5000 is the port that apps get when nothing is said, and the registry's usual one: never that.
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port != 5000:
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
