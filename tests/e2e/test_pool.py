"""Several builder hosts, used as one: real ones, of which one is lost."""

import secrets
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
from tests.lab.hosts import Host, faults, started

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
    text = "".join(f'[[hosts]]\nurl = "unix://{host.buildkitd}"\nslots = 2\n' for host in hosts)
    file = folder / "operator.toml"
    file.write_text(f'{text}[registries."{hosts[0].registry}"]\ninsecure = true\n')
    return {"FLEETPACKS_CONFIG": str(file)}


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
