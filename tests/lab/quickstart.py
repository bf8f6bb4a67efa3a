"""The README's first command, behind `./quickstart`: from a virtual environment to an app's HTTP answer.

The builder is the daemon at `$BUILDKIT_HOST` or `$DOCKER_HOST` when that answers, or this machine's Docker Engine; else
the lab's buildkitd, or where nothing can compile that, Debian's Docker Engine, unpacked. Base images are made only
where Docker Hub cannot be reached; an engine that nobody named would have none there, and is left alone. The build is
the installed command itself, as its user would type it.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import httpx

from orchestrator.app.builder import ENGINE_SOCKET, engine_address
from orchestrator.buildkit import Client
from orchestrator.config import load
from orchestrator.docker import Engine
from orchestrator.errors import FleetpacksError
from remote import address
from remote.connect import dialer
from remote.errors import RemoteError
from tests.lab import engines, tools, up
from tests.lab.container import started
from tests.lab.errors import LabError
from tests.lab.state import Layout, caller_environment

_MONOREPO = Path(__file__).parents[2] / "examples" / "monorepo"
_SHOWN = "ledger"
"""The app that is started at the end."""
_HUB = "https://registry-1.docker.io/v2/"
_GRACE = 20.0
"""Seconds that an interrupted build has to cancel its solves."""


async def quickstart(place: Layout, *, say: Callable[[str], None], show: Callable[[str], None]) -> None:
    """Build the example monorepo, push it to the lab's registry, start one app and show its answer.

    Args:
        place: the lab's state directory; the caller holds its lock.
        say: receives progress, a line at a time.
        show: receives the answer.

    Raises:
        LabError: a step failed.
        FleetpacksError: the image to be started cannot be pulled.
    """
    hub = await _hub_answers()
    own = await own_builder(say) or await own_engine(say, hub=hub)
    if not hub:
        say("Docker Hub cannot be reached: base images are made from package registries")
    if own and not hub:
        say("it must get its base images by itself; unset the variable to use a builder with the lab's images")
    unpacked = own is None and hub and not _compiles(place)
    builder, images = own is None and not unpacked, own is None and not hub
    lab = await up.up(place, builder=builder, images=images, peers=False, installed=True, say=say)
    host = own or (await unpacked_engine(place, say) if unpacked else lab.buildkit_host)
    template = f"{lab.registry}/demo/{{app}}"
    program = Path(sys.executable).with_name("fleetpacks")
    command = [str(program), "build", "-C", str(_MONOREPO), "--image", template, "--host", host, "--push"]
    say(" ".join(command))
    if status := await _run(command):
        raise LabError(f"`fleetpacks build` ended with exit status {status}", hint="its own message stands above")
    image = template.format(app=_SHOWN)
    say(f"starting {image}:latest from the registry, as its own user on a read-only root")
    async with started(lab, f"{image}:latest") as container, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(container.url)
        show(f"GET {container.url}/ as uid {container.uid}: {answer.status_code}\n{answer.text.rstrip()}")
    if answer.is_error:
        raise LabError(f"{_SHOWN} answered with status {answer.status_code}", hint="see its answer above")


async def own_builder(say: Callable[[str], None]) -> str | None:
    """The daemon at `$BUILDKIT_HOST`, if it answers."""
    url = caller_environment().get("BUILDKIT_HOST")
    if not url:
        return None
    try:
        builder = address.parse(url)
        async with Client(await dialer(builder), address=url) as client:
            can = await client.capabilities()
    except (RemoteError, FleetpacksError) as error:
        say(f"$BUILDKIT_HOST={url} does not answer ({error}): another builder is used")
        return None
    say(f"using $BUILDKIT_HOST={url}: {can.kind}")
    return url


async def own_engine(say: Callable[[str], None], *, hub: bool) -> str | None:
    """The Docker Engine at `$DOCKER_HOST`, or where Docker Hub can be reached, this machine's; if it answers.

    Args:
        say: hears what is used, or why it is not.
        hub: whether Docker Hub can be reached.
    """
    variables = caller_environment()
    said = variables.get("DOCKER_HOST")
    if not said and not (hub and await anyio.Path(ENGINE_SOCKET).is_socket()):
        return None
    name = f"$DOCKER_HOST={said}" if said else ENGINE_SOCKET
    try:
        at = engine_address(load(None, variables))
        async with Engine(at) as engine:
            info = await engine.info()
    except FleetpacksError as error:
        say(f"{name} is of no use ({error}): another builder is used")
        return None
    if not isinstance(at.at, address.UnixAddress):
        say(f"{name} is elsewhere, and does not see the registry of this machine: another builder is used")
        return None
    say(f"using Docker Engine {info.version} at {name}")
    return str(at)


def _compiles(place: Layout) -> bool:
    """Whether a buildkitd is there, or can be made."""
    try:
        return place.buildkit.exists() or bool(tools.go("buildkitd has to be compiled once"))
    except LabError:
        return False


async def unpacked_engine(place: Layout, say: Callable[[str], None]) -> str:
    """Debian's Docker Engine, of the lab; returns its address."""
    say("there is no Go compiler for a buildkitd: Debian's Docker Engine is unpacked, and started as no service")
    await engines.start(place, say=say, kinds=("graph",))
    await engines.route(place, "graph")
    return f"docker://{place.engine_socket('graph')}"


async def _hub_answers() -> bool:
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.get(_HUB)
    except httpx.HTTPError:
        return False
    # 401 is its greeting: the API is there, and asks for a token.
    return answer.status_code in {httpx.codes.OK, httpx.codes.UNAUTHORIZED}


async def _run(command: Sequence[str]) -> int:
    """Run a command on our own output streams; when we are interrupted, interrupt it once and wait for its end."""
    # In a session of its own: a terminal's Ctrl-C would otherwise reach it twice.
    process = await anyio.open_process(command, stdin=None, stdout=None, stderr=None, start_new_session=True)
    try:
        return await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                with anyio.move_on_after(_GRACE):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
