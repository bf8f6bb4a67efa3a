"""Drop-in mode, really: a read-only source and the host's engine; in the full tier, the container itself."""

import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx
import pytest

from orchestrator.config import environment
from orchestrator.docker import Engine as EngineClient
from orchestrator.registry.manifest import ACCEPTED
from tests.conftest import RealCount
from tests.docker.real import client
from tests.e2e.conftest import Start
from tests.lab import Engine, Lab

if TYPE_CHECKING:
    import aiodocker

pytestmark = pytest.mark.real
_ROOT = Path(__file__).parents[2]
_DOCKERFILE = """\
FROM scratch
ARG FEATURE=unsaid
ARG PYTHONUNBUFFERED=unsaid
LABEL feature=$FEATURE unbuffered=$PYTHONUNBUFFERED
COPY Dockerfile /
"""


def app(folder: Path) -> Path:
    """An app that is built in no time, and shows what it was told."""
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    return folder


async def config_of(lab: Lab, image: str) -> dict[str, Any]:
    """An image's configuration, as the registry has it."""
    path, _, tag = image.removeprefix(f"{lab.registry}/").rpartition(":")
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{lab.registry}/v2/{path}/") as http:
        manifest = (await http.get(f"manifests/{tag}", headers={"Accept": ", ".join(ACCEPTED)})).raise_for_status()
        document = manifest.json()
        if "manifests" in document:
            entry = next(each for each in document["manifests"] if each["platform"]["os"] == "linux")
            document = (await http.get(f"manifests/{entry['digest']}", headers={"Accept": ", ".join(ACCEPTED)})).json()
        config: dict[str, Any] = (await http.get(f"blobs/{document['config']['digest']}")).raise_for_status().json()
        return config


async def test_a_read_only_source_is_built_by_the_hosts_engine_as_migetpacks_would_and_0_is_the_code_of_a_failure(
    lab: Lab, engine_graph: Engine, tmp_path: Path, real_count: RealCount
) -> None:
    source, image = app(tmp_path / "source"), f"{lab.registry}/dropin-{secrets.token_hex(6)}:v1"
    result = tmp_path / "out/put/result.json"
    variables = {
        "PATH": environment.read()["PATH"],
        "HOME": str(tmp_path / "home"),
        "SOURCE_DIR": str(source),
        "DOCKER_HOST": engine_graph.docker_host,
        "OUTPUT_IMAGE": image,
        "TAG_LATEST": "true",
        "RESULT_FILE": str(result),
        "CUSTOM_DATA": '{"job": 7}',
        "FEATURE": "on",
        "API_TOKEN": "hunter2",
    }
    program = Path(sys.executable).with_name("fleetpacks")
    script = f"mount --bind {source} {source} && mount -o remount,bind,ro {source} && exec {program} build --drop-in"
    words = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script]

    built = await anyio.run_process(words, check=False, env=variables)
    told = json.loads(result.read_text())
    (source / "Dockerfile").write_text("FROM scratch\nCOPY absent /\n")
    failed = await anyio.run_process(words, check=False, env=variables)
    untold = json.loads(result.read_text())
    real_count.record("build", times=2)

    assert built.returncode == 0, built.stderr.decode()
    assert (told["status"], told["images"][0]["name"], told["custom"]) == ("success", image, {"job": 7})
    assert told["apps"][0]["tags"] == [image, image.replace(":v1", ":latest")]
    assert (await config_of(lab, image))["config"]["Labels"]["feature"] == "on"
    assert "looks like a credential: API_TOKEN" in built.stdout.decode() + built.stderr.decode()
    assert "hunter2" not in f"{built.stdout!r}{built.stderr!r}{told}"
    assert (failed.returncode, untold["status"], untold["exit_code"]) == (0, "failed", 1)


async def test_what_is_passed_reaches_steps_and_image_and_has_no_dependency_installed_again(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    image, source = f"{lab.registry}/dropin-{secrets.token_hex(6)}:v1", tmp_path / "source"
    source.mkdir()
    (source / "requirements.txt").write_text("idna==3.10\n")
    (source / "app.py").write_text("import idna\n")
    seen = '[ "$FEATURE" ] && [ "$STAGE" = built ] && [ "$NPM_TOKEN" = hunter2 ] && [ "$API_TOKEN" = hunter3 ]'
    said = {
        "OUTPUT_IMAGE": image,
        "RUN_COMMAND": "python app.py",
        "BUILD_COMMAND": seen,
        "BUILD_VARS": '{"BUILD_VAR_STAGE": "built", "NPM_TOKEN": "hunter2"}',
        "API_TOKEN": "hunter3",
    }
    # What no build before has had.
    one, two = secrets.token_hex(6), secrets.token_hex(6)

    async with build(source, "--drop-in", "--secret", "API_TOKEN", variables={**said, "FEATURE": one}) as running:
        first = await running.end()
    async with build(source, "--drop-in", "--secret", "API_TOKEN", variables={**said, "FEATURE": two}) as running:
        second = await running.end()
    real_count.record("build", times=2)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    (name,) = second.completed()
    made = await config_of(lab, image)
    assert f"FEATURE={two}" in made["config"]["Env"]
    told = json.dumps(made)
    assert not any(word in told for word in ("STAGE", "NPM_TOKEN", "hunter2", "hunter3"))
    installed = {step: each.cached for step, each in second.steps(name).items() if "install --no-compile" in step}
    built = {step: each.cached for step, each in second.steps(name).items() if "= built" in step}
    assert list(installed.values()) == [True]
    assert list(built.values()) == [False], built


async def test_an_image_without_a_registry_stays_in_the_engine(
    lab: Lab, engine_graph: Engine, tmp_path: Path, real_count: RealCount
) -> None:
    name = f"local-{secrets.token_hex(6)}:mine"
    variables = {
        "PATH": environment.read()["PATH"],
        "HOME": str(tmp_path / "home"),
        "SOURCE_DIR": str(app(tmp_path / "source")),
        "DOCKER_HOST": engine_graph.docker_host,
        "OUTPUT_IMAGE": name,
    }

    built = await anyio.run_process(
        [str(Path(sys.executable).with_name("fleetpacks")), "build", "--drop-in"], check=False, env=variables
    )
    real_count.record("build")

    assert built.returncode == 0, built.stderr.decode()
    async with client(engine_graph.socket) as engine:
        found = await engine.ask(lambda docker: cast("aiodocker.Docker", docker).images.inspect(name), doing="look")
        await engine.ask(
            lambda docker: cast("aiodocker.Docker", docker).images.delete(name, force=True), doing="delete"
        )
    assert name in found["RepoTags"]


async def ended(engine: EngineClient, image: str, config: dict[str, Any]) -> tuple[int, str]:
    """Start a container, wait for its end, and remove it with its volumes; returns its exit status and its output."""

    async def run(docker: Any) -> tuple[int, str]:  # noqa: ANN401 -- aiodocker's, whose own hints leave much open
        container = await docker.containers.create({"Image": image, **config})
        try:
            await container.start()
            status = await container.wait(timeout=600)
            lines = await container.log(stdout=True, stderr=True)
            return int(status["StatusCode"]), "".join(lines)
        finally:
            with anyio.CancelScope(shield=True):
                await container.delete(force=True, v=True)

    return await engine.ask(run, doing="run the drop-in container")


@pytest.fixture(scope="module")
def built_images() -> dict[str, str]:
    """The image of this checkout, once for all tests."""
    return {}


async def dropin_image(lab: Lab, known: dict[str, str], home: Path) -> str:
    """The drop-in image, built by this fleetpacks out of this checkout."""
    if not known:
        place = f"{lab.registry}/container-{secrets.token_hex(6)}"
        program = str(Path(sys.executable).with_name("fleetpacks"))
        words = [program, "build", "-C", str(_ROOT), "--host", lab.buildkit_host, "--image", f"{place}/{{app}}"]
        said = {"PATH": environment.read()["PATH"], "HOME": str(home)}
        done = await anyio.run_process(words, check=False, env=said)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()[-4000:]
        known["image"] = f"{place}/dropin:latest"
    return known["image"]


@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("driver", ["", "overlay2", "fuse-overlayfs"], ids=lambda driver: driver or "host")
async def test_the_container_is_started_as_migetpacks_is(  # noqa: PLR0917 -- fixtures
    lab: Lab,
    engine_containerd: Engine,
    engine_graph: Engine,
    built_images: dict[str, str],
    tmp_path: Path,
    real_count: RealCount,
    driver: str,
) -> None:
    """With the host's socket, or with a daemon of its own and this storage driver."""
    tool = await dropin_image(lab, built_images, tmp_path / "home")
    source, image = app(tmp_path / "source"), f"{lab.registry}/dropin-{secrets.token_hex(6)}:v1"
    (tmp_path / "out").mkdir()
    binds = [f"{source}:/workspace/source:ro", f"{tmp_path}/out:/output", f"{tmp_path}/cache:/cache"]
    host: dict[str, Any] = {"NetworkMode": "host", "Privileged": bool(driver)}
    if driver:
        # What steps stand on.
        run = f"FROM {lab.registry}/library/debian:trixie-slim\nRUN mount | grep ' on / '\n"
        (source / "Dockerfile").write_text(_DOCKERFILE.replace("FROM scratch\n", run))
    else:
        binds.append(f"{engine_graph.socket}:/var/run/docker.sock")
    said = {
        "OUTPUT_IMAGE": image,
        "BUILD_CACHE_DIR": "/cache",
        "RESULT_FILE": "/output/result.json",
        "FEATURE": "on",
        "API_TOKEN": "hunter2",
        "STORAGE_DRIVER": driver,
    }
    config: dict[str, Any] = {
        "Env": [f"{name}={value}" for name, value in said.items()],
        "HostConfig": {**host, "Binds": binds},
    }

    async with client(engine_containerd.socket) as engine:
        await engine.pull(tool)
        code, log = await ended(engine, tool, config)
        told = json.loads((tmp_path / "out/result.json").read_text())
        (source / "Dockerfile").write_text("FROM scratch\nCOPY absent /\n")
        after, _ = await ended(engine, tool, config)
        untold = json.loads((tmp_path / "out/result.json").read_text())
    real_count.record("build", times=4)
    real_count.record("start", times=2)

    assert (code, told["status"]) == (0, "success"), log
    place = "/var/lib/fleetpacks/" if driver else "/var/run/docker.sock"
    assert f"building 1 app on docker://{place}" in log
    assert f"{driver.removesuffix('2')} on / type" in log or not driver
    made = await config_of(lab, image)
    assert made["config"]["Labels"] == {"feature": "on", "unbuffered": "unsaid"}
    assert "looks like a credential: API_TOKEN" in log
    assert "hunter2" not in log + json.dumps(made)
    assert (after, untold["status"], untold["exit_code"]) == (0, "failed", 1)
