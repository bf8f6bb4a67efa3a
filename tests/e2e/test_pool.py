"""Several builder hosts, used as one: real ones, of which one is lost."""

import os
import secrets
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from orchestrator.events import AppStarted, AppWarning, StepStarted
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab
from tests.lab.hosts import Host, faults, machine, started
from tests.lab.state import layout

pytestmark = pytest.mark.real

_APPS = tuple(f"app{number}" for number in range(6))
_DOCKERFILE = """\
FROM debian:trixie-slim
RUN sleep 2 && echo {app} > /name
"""


def _sources(folder: Path) -> Path:
    for app in _APPS:
        (folder / app).mkdir(parents=True)
        # Not of another run: nothing of it is cached.
        text = f"{_DOCKERFILE.format(app=app)}LABEL run={secrets.token_hex(8)}\n"
        (folder / app / "Dockerfile").write_text(text)
    return folder


def _settings(folder: Path, *hosts: Host) -> dict[str, str]:
    sockets = {host.buildkitd: "slots = 2" for host in hosts}
    return {"FLEETPACKS_CONFIG": str(_written(folder, hosts[0].registry, sockets))}


def _written(folder: Path, registry: str, hosts: Mapping[Path, str]) -> Path:
    """The operator's file, with sockets and what is said of them."""
    text = "".join(f'[[hosts]]\nurl = "unix://{socket}"\n{said}\n' for socket, said in hosts.items())
    file = folder / "operator.toml"
    file.write_text(f'{text}[registries."{registry}"]\ninsecure = true\n')
    return file


async def _name(registry: str, repository: str, digest: str) -> str:
    """What the image's label says its build was."""
    async with httpx.AsyncClient(base_url=f"http://{registry}/v2/{repository}/", trust_env=False) as http:
        accept = {"accept": "application/vnd.oci.image.manifest.v1+json"}
        tagged = (await http.get("manifests/latest", headers=accept)).raise_for_status()
        assert tagged.headers["docker-content-digest"] == digest
        manifest = msgspec.json.decode(tagged.content)
        config = msgspec.json.decode((await http.get(f"blobs/{manifest['config']['digest']}")).content)
        return str(config["config"]["Labels"]["run"])


async def test_a_host_that_is_lost_costs_no_image(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    assert lab.buildkitd.exists()
    source = _sources(tmp_path / "source")
    repository = f"pool/{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(started()) for _ in range(2)]
        lost, kept = hosts
        place, variables = f"{kept.registry}/{repository}/{{app}}", _settings(tmp_path, *hosts)
        at = f"unix://{lost.buildkitd}"
        began: set[str] = set()

        async with build(source, image=place, host=None, variables=variables) as running:
            while not began:
                await running.until(lambda event: isinstance(event, (StepStarted, AppStarted)))
                there = {event.app for event in running.events if isinstance(event, AppStarted) and event.host == at}
                began = {
                    event.app
                    for event in running.events
                    if isinstance(event, StepStarted) and event.app in there and "sleep" in event.name
                }
            await faults.lose(lost)
            ran = await running.end()

        completed = ran.completed()
        assert (ran.code, sorted(completed)) == (0, sorted(_APPS)), ran.failed()
        places = [(event.app, event.host) for event in ran.events if isinstance(event, AppStarted)]
        assert {f"unix://{host.buildkitd}" for host in hosts} == {host for _, host in places}
        assert len(places) > len(_APPS), "whatever was lost began again"
        said = [event.message for event in ran.events if isinstance(event, AppWarning)]
        assert [f"{at} is set aside" in message for message in said].count(True) == 1
        for app in _APPS:
            digest = completed[app].digest
            assert digest is not None
            text = await anyio.Path(source / app / "Dockerfile").read_text()
            assert await _name(kept.registry, f"{repository}/{app}", digest) in text
        real_count.record("build", times=len(_APPS))


async def test_hosts_come_and_go_while_a_run_goes_on(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    source = _sources(tmp_path / "source")
    repository = f"pool/{secrets.token_hex(4)}"
    async with started() as late:
        await late.kill("buildkitd")
        registry, said = late.registry, {lab.buildkitd: "slots = 1", late.buildkitd: "slots = 2"}
        variables = {"FLEETPACKS_CONFIG": str(_written(tmp_path, registry, said))}
        first, second = (f"unix://{socket}" for socket in said)

        async with build(source, image=f"{registry}/{repository}/{{app}}", host=None, variables=variables) as running:
            await running.until(lambda event: isinstance(event, AppStarted) and event.host == first)
            await machine.start_buildkitd(layout(), late)
            await running.until(lambda event: isinstance(event, AppStarted) and event.host == second)
            _written(tmp_path, registry, {**said, lab.buildkitd: "drain = true"})
            os.kill(running.process.pid, signal.SIGUSR1)
            await running.until(lambda event: isinstance(event, AppWarning) and "is drained" in event.message)
            before = len(running.events)
            ran = await running.end()

        assert (ran.code, sorted(ran.completed())) == (0, sorted(_APPS)), ran.failed()
        warned = [event.message for event in ran.events if isinstance(event, AppWarning) and event.app is None]
        assert [message.partition(": ")[0] for message in warned] == [
            "set aside until it answers",
            f"{second} answers, and takes builds",
            f"{first} is drained",
        ]
        later = [event.host for event in ran.events[before:] if isinstance(event, AppStarted)]
        assert set(later) <= {second}
        for app, outcome in ran.completed().items():
            assert outcome.digest is not None
            text = await anyio.Path(source / app / "Dockerfile").read_text()
            assert await _name(registry, f"{repository}/{app}", outcome.digest) in text
        real_count.record("build", times=len(_APPS))
