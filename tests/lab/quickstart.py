"""The README's first command, behind `./quickstart`: from a virtual environment to an app's HTTP answer.

The builder is the daemon at `$BUILDKIT_HOST` when that answers, else the lab's. Base images are made only where Docker
Hub cannot be reached. The build is the installed command itself, as its user would type it.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import httpx

from orchestrator.buildkit import Client
from orchestrator.errors import FleetpacksError
from remote import address
from remote.connect import dialer
from remote.errors import RemoteError
from tests.lab import up
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
    own = await _own_builder(say)
    hub = await _hub_answers()
    if not hub:
        say("Docker Hub cannot be reached: base images are made from package registries")
    if own and not hub:
        say("$BUILDKIT_HOST must get its base images by itself; unset it to use a builder with the lab's images")
    lab = await up.up(place, builder=own is None, images=own is None and not hub, peers=False, installed=True, say=say)
    template = f"{lab.registry}/demo/{{app}}"
    host = own or lab.buildkit_host
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


async def _own_builder(say: Callable[[str], None]) -> str | None:
    url = caller_environment().get("BUILDKIT_HOST")
    if not url:
        return None
    try:
        builder = address.parse(url)
        async with Client(await dialer(builder), address=url) as client:
            can = await client.capabilities()
    except (RemoteError, FleetpacksError) as error:
        say(f"$BUILDKIT_HOST={url} does not answer ({error}): the lab's buildkitd is used")
        return None
    say(f"using $BUILDKIT_HOST={url}: {can.kind}")
    return url


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
