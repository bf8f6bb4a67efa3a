"""`--output` and `--load`: files and images where they were asked for, and nothing half-written."""

import json
import secrets
import signal
import tarfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from orchestrator.events import AppStarted, Event, StepLog
from tests.buildkit_ssh.agent import context, real_agent
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

MARK = "org.example.mark"


def write_apps(root: Path, *names: str, mark: str = "none") -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text(f"FROM scratch\nCOPY file /\nLABEL {MARK}={mark}\n")
        (root / name / "file").write_text(name)
    return root


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def index_of(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("index.json")
        assert member is not None
        digest: str = json.load(member)["manifests"][0]["digest"]
        return digest


async def test_one_build_pushes_and_writes_what_was_asked_for(
    lab: Lab, real_count: RealCount, build: Start, tmp_path: Path
) -> None:
    root, out = write_apps(tmp_path / "source", "api", "web"), tmp_path / "out"
    words = ["--push", "-o", f"type=oci,dest={out}/images/", "-o", f"type=local,dest={out}/trees/{{app}}"]
    # Docker's archive has another digest than what is pushed.
    words += ["-o", f"type=docker,dest={out}/archives/"]

    async with build(root, *words, image=f"{lab.registry}/outputs-{secrets.token_hex(4)}") as running:
        ran = await running.end()

    assert ran.code == 0
    archives = {f"{kind}/{name}.tar" for kind in ("images", "archives") for name in ("api", "web")}
    assert files_below(out) == {*archives, "trees/api/file", "trees/web/file"}
    assert (out / "trees/web/file").read_text() == "web"
    for name, event in ran.completed().items():
        assert event.outputs == (f"{out}/images/{name}.tar", f"{out}/trees/{name}", f"{out}/archives/{name}.tar")
        assert event.digest == index_of(out / f"images/{name}.tar")
        assert len(event.tags) == 1
    real_count.record("build", times=2)


async def test_files_alone_are_no_image_and_are_not_pushed(
    lab: Lab, real_count: RealCount, build: Start, tmp_path: Path
) -> None:
    root = write_apps(tmp_path / "source", "api")

    async with build(root, "-o", f"type=tar,dest={tmp_path}/api.tar", image=f"{lab.registry}/never") as running:
        ran = await running.end()

    [event] = ran.completed().values()
    assert (event.digest, event.tags, event.outputs) == (None, (), (f"{tmp_path}/api.tar",))
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://{lab.registry}/v2/never/api/tags/list")
    assert answer.status_code == 404
    real_count.record("build")


async def test_an_interrupted_run_leaves_what_was_there(lab: Lab, build: Start, tmp_path: Path) -> None:
    root, out = tmp_path / "source", tmp_path / "out"
    (root / "api").mkdir(parents=True)
    (root / "api/Dockerfile").write_text(
        f"FROM debian:bookworm-slim\nRUN echo asleep {secrets.token_hex(4)}; sleep 99999\n"
    )
    out.mkdir()
    (out / "api.tar").write_text("old")

    def asleep(event: Event) -> bool:
        return isinstance(event, StepLog) and event.text.startswith("asleep")

    async with build(root, "-o", f"type=oci,dest={out}", "-o", f"type=local,dest={out}/tree/") as running:
        await running.until(asleep)
        running.process.send_signal(signal.SIGINT)
        ran = await running.end()

    assert ran.code == 130
    assert files_below(out) == {"api.tar"}
    assert (out / "api.tar").read_text() == "old"


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncGenerator[Path]:
    """A file system of 4 MB."""
    await anyio.Path(folder).mkdir()
    await anyio.run_process(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)])
    try:
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.run_process(["umount", str(folder)])


@pytest.mark.parametrize("output", ["type=oci,dest={}/api.tar", "type=tar,dest={}/api.tar", "type=local,dest={}/tree"])
async def test_an_output_that_fills_the_disk_fails_and_leaves_what_was_there(
    build: Start, tmp_path: Path, output: str
) -> None:
    root = write_apps(tmp_path / "source", "api")
    (root / "api" / "file").write_bytes(secrets.token_bytes(16_000_000))

    async with small_disk(tmp_path / "disk") as disk:
        (disk / "api.tar").write_text("old")
        async with build(root, "-o", output.format(disk)) as running:
            ran = await running.end()
        left = {path.name for path in disk.iterdir()}
        kept = (disk / "api.tar").read_text()

    [failed] = ran.failed().values()
    assert (ran.code, failed.kind, ran.left) == (1, "output", ())
    assert "No space left on device" in failed.message
    assert "room" in failed.hint
    assert (left, kept) == ({"api.tar"}, "old")


@asynccontextmanager
async def loaded(engine: Engine, name: str) -> AsyncGenerator[httpx.Response]:
    """What an engine says of an image, which is removed in the end."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(engine.socket)), timeout=60) as http:
        try:
            yield await http.get(f"http://engine/images/{name}/json")
        finally:
            await http.delete(f"http://engine/images/{name}?force=1")


@pytest.mark.parametrize("builder", ["graph", "containerd", "buildkitd"])
async def test_a_loaded_image_is_the_engines(
    *,
    lab: Lab,
    engine_graph: Engine,
    engine_containerd: Engine,
    real_count: RealCount,
    build: Start,
    tmp_path: Path,
    builder: str,
) -> None:
    mark, name = secrets.token_hex(8), f"loaded-{secrets.token_hex(4)}"
    root = write_apps(tmp_path / "source", "api", "web", mark=mark)
    engine = engine_containerd if builder == "containerd" else engine_graph
    host = lab.buildkit_host if builder == "buildkitd" else f"docker://{engine.socket}"

    async with build(
        root, "--load", "--tag", "7", image=name, host=host, variables={"DOCKER_HOST": engine.docker_host}
    ) as running:
        ran = await running.end()

    assert ran.code == 0, ran.events
    for app in ("api", "web"):
        async with loaded(engine, f"{name}/{app}:7") as answer:
            assert answer.status_code == 200
            assert answer.json()["Config"]["Labels"][MARK] == mark
    assert all(event.tags == () for event in ran.completed().values())
    real_count.record("build", times=2)


async def test_an_engine_that_is_not_there_is_told_before_anything_is_built(
    lab: Lab, build: Start, tmp_path: Path
) -> None:
    root = write_apps(tmp_path / "source", "api")

    async with build(root, "--load", variables={"DOCKER_HOST": f"unix://{tmp_path}/nobody"}) as running:
        ran = await running.end()

    assert ran.code == 75
    assert "nobody" in ran.err
    assert not any(isinstance(event, AppStarted) for event in ran.events)


@pytest.mark.parametrize(
    ("declared", "offered", "code"), [(True, True, 0), (False, True, 1), (True, False, 2)], ids=["both", "no", "half"]
)
async def test_an_agent_is_forwarded_when_both_sides_say_so(
    *,
    lab: Lab,
    real_count: RealCount,
    build: Start,
    tmp_path: Path,
    declared: bool,
    offered: bool,
    code: int,
) -> None:
    root, operator = tmp_path / "source", tmp_path / "operator.toml"
    run = f'RUN --mount=type=ssh,required=true ["/bin/sh", "-c", "echo {tmp_path}; ssh-add -l"]\n'

    async with real_agent(tmp_path) as agent:
        for name, data in (await context(agent)).items():
            path = root / "api" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (root / "api/Dockerfile").write_text(f"FROM scratch\nCOPY --chmod=755 . /\n{run}")
        (root / "api/fleetpacks.toml").write_text('ssh = ["default"]\n' if declared else "")
        operator.write_text("[ssh.default]\n" if offered else "")
        variables = {"FLEETPACKS_CONFIG": str(operator), "SSH_AUTH_SOCK": str(agent.socket)}
        async with build(root, variables=variables) as running:
            ran = await running.end()

    told = [event.text for event in ran.events if isinstance(event, StepLog)]
    assert ran.code == code
    assert any(agent.fingerprint in text for text in told) == (declared and offered)
    if declared and not offered:
        assert f"{operator}: ssh.default: 'api' declares this SSH agent" in ran.err
    real_count.record("build", times=1 if code == 0 else 0)
