"""An image for two platforms: built by one builder, or each on a host of its own, and one index over both.

The lab has one architecture. The second one is a stand-in: a host whose address says `platform=linux/arm64`, and a base
image whose entry for linux/arm64 holds this machine's programs, which BuildKit executes where it has no emulator.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from orchestrator.config import environment
from orchestrator.events import AppStarted, StepCompleted
from orchestrator.model import Registry
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import ACCEPTED
from orchestrator.registry.pull import pull
from orchestrator.registry.reference import parse
from tests.buildkit.real import Watched, client, push_to, request
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.lab import Engine, Lab
from tests.lab.hosts import Host, started

pytestmark = [pytest.mark.real, pytest.mark.apart]

_PLATFORMS = ["linux/amd64", "linux/arm64"]
_BASE = """\
FROM --platform=linux/amd64 debian:trixie-slim AS real
RUN mkdir -p /base/bin /base/lib /base/lib64 \\
 && cp /bin/sh /base/bin/ \\
 && cp -L /lib64/ld-linux-x86-64.so.2 /base/lib64/ && cp -L /lib/x86_64-linux-gnu/libc.so.6 /base/lib/
FROM scratch
COPY --from=real /base /
"""
_COMPOSE = "services:\n  {name}:\n    build:\n      context: .\n      platforms: [linux/amd64, linux/arm64]\n"
_GO = {
    "go.mod": "module example.com/tiny // WORD\n\ngo 1.25\n",
    # Nothing of the standard library has to be compiled but the runtime.
    "main.go": 'package main\n\nfunc main() { println("WORD") }\n',
}
_MACHINES = {"linux/amd64": 62, "linux/arm64": 183}
"""What ELF calls processors (elf.h)."""
_RUNS = {"web": 'echo "$TARGETARCH" > /arch', "worker": 'test "$TARGETARCH" != arm64'}


async def _base(lab: Lab, name: str) -> str:
    image = request(_BASE, context={}, exporter=push_to(lab.registry, name))
    image = msgspec.structs.replace(image, attrs={**image.attrs, "platform": ",".join(_PLATFORMS)})
    async with client(lab.buildkitd) as builder:
        return f"{name}@{(await builder.solve(image, on_status=Watched())).digest}"


def _sources(folder: Path, base: str) -> Path:
    for name, command in _RUNS.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "compose.yaml").write_text(_COMPOSE.format(name=name))
        text = f"FROM {base}\nARG TARGETARCH\nCOPY word /word\nRUN {command}\n"
        (folder / name / "Dockerfile").write_text(text)
        (folder / name / "word").write_text(secrets.token_hex(8))
    return folder


def _settings(tmp_path: Path, native: Host, other: Host) -> dict[str, str]:
    ssh = tmp_path / "home/.ssh"
    ssh.mkdir(parents=True)
    (ssh / "config").write_text("".join((host.client / "config").read_text() for host in (native, other)))
    file = tmp_path / "operator.toml"
    file.write_text(
        f'[[hosts]]\nurl = "ssh://{native.name}?slots=2"\n'
        f'[[hosts]]\nurl = "ssh://{other.name}?slots=2&platform=linux/arm64"\n'
        f'[registries."{native.registry}"]\ninsecure = true\n'
    )
    return {"FLEETPACKS_CONFIG": str(file)}


async def _get(http: httpx.AsyncClient, path: str) -> Any:  # noqa: ANN401 -- JSON
    return (await http.get(path, headers={"Accept": ", ".join(ACCEPTED)})).raise_for_status().json()


async def _architectures(http: httpx.AsyncClient, index: Mapping[str, Any]) -> dict[str, str]:
    """What the index says of each image -> what its configuration says."""
    found: dict[str, str] = {}
    for entry in index["manifests"]:
        if entry["platform"]["os"] == "linux":
            manifest = await _get(http, f"manifests/{entry['digest']}")
            config = (await http.get(f"blobs/{manifest['config']['digest']}")).json()
            found[entry["platform"]["architecture"]] = config["architecture"]
    return found


async def _report(tmp_path: Path) -> Any:  # noqa: ANN401 -- JSON
    words = [str(Path(sys.executable).with_name("fleetpacks")), "report", "--json"]
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
    return json.loads((await anyio.run_process(words, env=variables)).stdout)


async def test_platforms_are_built_on_hosts_of_their_own_and_published_as_one_image_or_not_at_all(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    repository = f"platforms/{secrets.token_hex(4)}"
    base = await _base(lab, f"{repository}/base")
    async with AsyncExitStack() as stack:
        native, other = [await stack.enter_async_context(started()) for _ in range(2)]
        source = _sources(tmp_path / "source", f"{native.registry}/{base}")
        place, variables = f"{native.registry}/{repository}/{{app}}:latest", _settings(tmp_path, native, other)

        async with build(source, "--provenance", "min", image=place, host=None, variables=variables) as running:
            ran = await running.end()
        report = await _report(tmp_path)
        async with build(source, "--provenance", "min", "web", image=place, host=None, variables=variables) as running:
            again = await running.end()
        real_count.record("build", times=2)

    web = ran.completed()["web"]
    failed = ran.failed()["worker"]
    hosts = [f"ssh://{native.name}", f"ssh://{other.name}"]
    assert ran.code == 1
    began = {
        (event.app, event.platform, event.host.partition("?")[0])
        for event in ran.events
        if isinstance(event, AppStarted)
    }
    assert began == {(app, platform, host) for app in _RUNS for platform, host in zip(_PLATFORMS, hosts, strict=True)}
    assert [(part.platform, part.host.partition("?")[0]) for part in web.parts] == list(
        zip(_PLATFORMS, hosts, strict=True)
    )
    steps = [event.name for event in ran.events if isinstance(event, StepCompleted) and event.app == "web"]
    assert all(any(f"[{platform} " in name and "RUN echo" in name for name in steps) for platform in _PLATFORMS)
    assert failed.message.startswith("linux/arm64: ")
    assert failed.exit_code == 1
    [told] = [app for app in report["apps"] if app["name"] == "web"]
    assert [part["digest"] for part in told["parts"]] == [part.digest for part in web.parts]

    async with httpx.AsyncClient(base_url=f"http://{native.registry}/v2/{repository}/web/", trust_env=False) as http:
        index = await _get(http, "manifests/latest")
        tagged = await http.head("manifests/latest", headers={"Accept": ", ".join(ACCEPTED)})
        architectures = await _architectures(http, index)
        none = await http.get(f"http://{native.registry}/v2/{repository}/worker/tags/list")
    assert tagged.headers["docker-content-digest"] == web.digest
    assert architectures == {"amd64": "amd64", "arm64": "arm64"}
    images = [entry["digest"] for entry in index["manifests"] if entry["platform"]["os"] == "linux"]
    attested = [entry["annotations"] for entry in index["manifests"] if entry["platform"]["os"] == "unknown"]
    assert [each["vnd.docker.reference.digest"] for each in attested] == images
    assert (none.json().get("tags") or []) == []

    skipped = again.completed()["web"]
    assert (again.code, skipped.skipped, skipped.digest) == (0, True, web.digest)


async def _machine(lab: Lab, reference: str, platform: str, file: str, folder: Path) -> int:
    """The processor that a program in an image is for."""
    insecure = {lab.registry: Registry(host=lab.registry, insecure=True)}
    async with RegistryClient(Credentials(None), insecure) as registry:
        await pull(registry, parse(reference), folder, platform=platform)
    return int.from_bytes((folder / file).read_bytes()[18:20], "little")


def _times(ran: Ran, part: str) -> int:
    """How many steps were executed whose names have a part."""
    steps = [event for event in ran.events if isinstance(event, StepCompleted)]
    return sum(part in step.name and not step.cached for step in steps)


async def test_go_is_compiled_for_both_platforms_by_a_builder_that_runs_one_of_them(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    repository = f"platforms/{secrets.token_hex(4)}"
    base = await _base(lab, f"{repository}/base")
    root = tmp_path / "source"
    (root / "tiny").mkdir(parents=True)
    for file, text in _GO.items():
        (root / "tiny" / file).write_text(text.replace("WORD", secrets.token_hex(8)))
    said = f'platforms = {_PLATFORMS}\nimages.debian = "{lab.registry}/{base}"\n'
    (root / "fleetpacks.toml").write_text(said)
    place = f"{lab.registry}/{repository}/{{app}}"

    async with build(root, image=place) as running:
        ran = await running.end()
    async with build(root, "--platform", "linux/arm64", image=f"{place}:one") as running:
        one = await running.end()
    real_count.record("build", times=2)

    assert (ran.code, one.code) == (0, 0), [ran.err, ran.failed(), one.err, one.failed()]
    async with httpx.AsyncClient(base_url=f"http://{lab.registry}/v2/{repository}/tiny/", trust_env=False) as http:
        architectures = await _architectures(http, await _get(http, "manifests/latest"))
        manifest = await _get(http, "manifests/one")
        config = (await http.get(f"blobs/{manifest['config']['digest']}")).json()
    assert architectures == {"amd64": "amd64", "arm64": "arm64"}
    for platform, number in _MACHINES.items():
        at = f"{lab.registry}/{repository}/tiny:latest"
        assert await _machine(lab, at, platform, "app/bin/tiny", tmp_path / str(number)) == number
    # Downloaded once for both, and compiled for each; not again for one of them.
    assert (_times(ran, "go mod download"), _times(ran, "go build"), _times(one, "go build")) == (1, 2, 0)
    assert ran.completed()["tiny"].platforms == tuple(_PLATFORMS)
    assert (config["architecture"], one.completed()["tiny"].platforms) == ("arm64", ("linux/arm64",))


@pytest.mark.parametrize("platforms", ["linux/amd64,linux/arm64", "linux/arm64"])
@pytest.mark.parametrize("on", ["buildkitd", "engine"])
async def test_steps_that_the_builder_cannot_execute_are_refused_before_anything_is_built(  # noqa: PLR0917 -- fixtures
    lab: Lab, engine_containerd: Engine, build: Start, tmp_path: Path, platforms: str, on: str
) -> None:
    app = tmp_path / "source/web"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(f"FROM {lab.registry}/library/debian:trixie-slim\nRUN true\n")
    host = lab.buildkit_host if on == "buildkitd" else f"docker://{engine_containerd.socket}"

    async with build(app.parent, "--platform", platforms, "--no-push", host=host) as running:
        ran = await running.end()

    assert ran.code == 2
    assert "error: web: steps of the build execute programs of linux/arm64, which no builder runs" in ran.err
    assert "hint: Name a builder of that platform with --host" in ran.err
    assert not any(isinstance(event, AppStarted) for event in ran.events)
