"""Several builder hosts, used as one: real ones, of which one is lost."""

import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from orchestrator.events import AppCompleted, AppStarted, AppWarning, StepStarted
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.lab import Lab
from tests.lab.hosts import Host, faults, machine, started
from tests.lab.state import layout

pytestmark = [pytest.mark.real, pytest.mark.apart]

_APPS = tuple(f"app{number}" for number in range(6))
_DOCKERFILE = """\
FROM debian:trixie-slim
RUN sleep 2 && echo {app} > /name
"""


def _sources(folder: Path, apps: Sequence[str] = _APPS) -> Path:
    for app in apps:
        (folder / app).mkdir(parents=True)
        # Not of another run: nothing of it is cached.
        text = f"{_DOCKERFILE.format(app=app)}LABEL run={secrets.token_hex(8)}\n"
        (folder / app / "Dockerfile").write_text(text)
    return folder


def _settings(folder: Path, *hosts: Host) -> dict[str, str]:
    sockets = {host.buildkitd: "slots = 2" for host in hosts}
    return {"FLEETPACKS_CONFIG": str(_written(folder, hosts[0].registry, sockets))}


def _written(folder: Path, registry: str, hosts: Mapping[Path, str], first: str = "") -> Path:
    """The operator's file, with sockets and what is said of them, below `first`."""
    text = "".join(f'[[hosts]]\nurl = "unix://{socket}"\n{said}\n' for socket, said in hosts.items())
    file = folder / "operator.toml"
    file.write_text(f'{first}{text}[registries."{registry}"]\ninsecure = true\n')
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


async def _right(registry: str, repository: str, source: Path, ran: Ran, apps: Sequence[str] = _APPS) -> None:
    """All apps were built, and each tag is of the image of this source's app."""
    assert (ran.code, sorted(ran.completed())) == (0, sorted(apps)), ran.failed()
    for app, outcome in ran.completed().items():
        assert outcome.digest is not None
        text = await anyio.Path(source / app / "Dockerfile").read_text()
        assert await _name(registry, f"{repository}/{app}", outcome.digest) in text


async def test_a_host_that_is_lost_costs_no_image_of_either_run_that_uses_it(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    assert lab.buildkitd.exists()
    source, other = _sources(tmp_path / "source"), _sources(tmp_path / "other", _APPS[:2])
    repository, elsewhere = (f"pool/{secrets.token_hex(4)}" for _ in range(2))
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(started()) for _ in range(2)]
        lost, kept = hosts
        variables = _settings(tmp_path, *hosts)
        at = f"unix://{lost.buildkitd}"
        began: set[str] = set()

        async with (
            build(source, image=f"{kept.registry}/{repository}/{{app}}", host=None, variables=variables) as running,
            build(other, image=f"{kept.registry}/{elsewhere}/{{app}}", host=None, variables=variables) as beside,
        ):
            while not began:
                await running.until(lambda event: isinstance(event, (StepStarted, AppStarted)))
                there = {event.app for event in running.events if isinstance(event, AppStarted) and event.host == at}
                began = {
                    event.app
                    for event in running.events
                    if isinstance(event, StepStarted) and event.app in there and "sleep" in event.name
                }
            await faults.lose(lost)
            ran, ran_beside = await running.end(), await beside.end()

        places = [(event.app, event.host) for event in ran.events if isinstance(event, AppStarted)]
        assert {f"unix://{host.buildkitd}" for host in hosts} == {host for _, host in places}
        assert len(places) > len(_APPS), "whatever was lost began again"
        said = [event.message for event in ran.events if isinstance(event, AppWarning)]
        assert [f"{at} is set aside" in message for message in said].count(True) == 1
        await _right(kept.registry, repository, source, ran)
        await _right(kept.registry, elsewhere, other, ran_beside, _APPS[:2])
        real_count.record("build", times=len(_APPS) + 2)


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

        await _right(registry, repository, source, ran)
        warned = [event.message for event in ran.events if isinstance(event, AppWarning) and event.app is None]
        assert [message.partition(": ")[0] for message in warned] == [
            "set aside until it answers",
            f"{second} answers, and takes builds",
            f"{first} is drained",
        ]
        later = [event.host for event in ran.events[before:] if isinstance(event, AppStarted)]
        assert set(later) <= {second}
        real_count.record("build", times=len(_APPS))


@pytest.mark.full
async def test_a_build_on_a_host_that_stands_still_is_begun_on_another_and_published_from_there(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    assert lab.buildkitd.exists()
    source = tmp_path / "source"
    repository = f"pool/{secrets.token_hex(4)}"
    (source / "app").mkdir(parents=True)
    dockerfile = source / "app/Dockerfile"
    async with AsyncExitStack() as stack:
        hosts = {host.buildkitd: host for host in [await stack.enter_async_context(started()) for _ in range(2)]}
        registry = next(iter(hosts.values())).registry
        operator = _written(tmp_path, registry, dict.fromkeys(hosts, "slots = 2"), "hedge = 2\n")
        variables = {"FLEETPACKS_CONFIG": str(operator)}
        words = {"image": f"{registry}/{repository}/{{app}}", "host": None, "variables": variables}
        dockerfile.write_text(f"{_DOCKERFILE.format(app='app')}LABEL run={secrets.token_hex(8)}\n")
        async with build(source, **words) as running:
            known = await running.end()
        assert known.code == 0, known.failed()
        (first,) = (event.host for event in known.events if isinstance(event, AppStarted))

        dockerfile.write_text(f"{_DOCKERFILE.format(app='other')}LABEL run={secrets.token_hex(8)}\n")
        async with build(source, **words) as running:
            await running.until(lambda event: isinstance(event, StepStarted) and "sleep" in event.name)
            async with faults.frozen(hosts[Path(first.removeprefix("unix://"))]):
                await running.until(lambda event: isinstance(event, AppCompleted))
                ran = await running.end()

        outcome = ran.completed()["app"]
        assert (ran.code, outcome.host not in ("", first)) == (0, True)
        assert outcome.digest is not None
        assert await _name(registry, f"{repository}/app", outcome.digest) in dockerfile.read_text()
        real_count.record("build", times=2)
