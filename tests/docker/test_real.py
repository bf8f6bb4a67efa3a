"""Both real engines, on both event loops."""

import datetime as dt
import ipaddress
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import cast

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator.buildkit import Client as BuildKit
from orchestrator.docker import Engine, Progress, pull_all, started
from orchestrator.docker.api import get
from orchestrator.errors import (
    DaemonLostError,
    DiskFullError,
    EngineError,
    FleetpacksError,
    ImageNotFoundError,
    RegistryError,
    RegistryUnavailableError,
)
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credential, Credentials
from orchestrator.registry.reference import parse
from remote.address import EngineAddress, TcpAddress, Tls, UnixAddress
from remote.connect import dialer
from tests.buildkit.real import Watched, request
from tests.conftest import RealCount
from tests.docker.real import archive, chunks, client, loaded, private_engine, remove, unique
from tests.lab import Lab, tools
from tests.lab.state import Engine as LabEngine
from tests.lab.state import layout

pytestmark = [pytest.mark.real, pytest.mark.apart]

SECRET = "s3cret"
HTPASSWD = "robot:$2b$04$NRGYpUX0gROA0fE1QUMadehJJdBdkIgiFhtC5.TyS9pVBgJAeeNMG\n"
"""What `htpasswd -B` makes of robot and the secret."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(params=["graph", "containerd"])
def lab_engine(request: pytest.FixtureRequest) -> LabEngine:
    found: LabEngine = request.getfixturevalue(f"engine_{request.param}")
    return found


@pytest.fixture
async def engine(lab_engine: LabEngine) -> AsyncGenerator[Engine]:
    async with client(lab_engine.socket) as opened:
        yield opened


class Logins:
    def __init__(self, password: str | None) -> None:
        self._password = password

    async def lookup(self, host: str) -> Credential | None:
        assert host.startswith("127.0.0.1:")
        return Credential(username="robot", password=self._password) if self._password is not None else None


async def test_an_engine_says_who_it_is_and_how_it_keeps_images(engine: Engine, lab_engine: LabEngine) -> None:
    info = await engine.info()

    assert info.version == lab_engine.version
    assert (info.storage, info.containerd, info.api) == {
        "graph": ("overlay2", False, "1.41"),
        "containerd": ("overlayfs", True, "1.44"),
    }[lab_engine.kind]
    assert Path(info.root).is_absolute()
    assert not info.rootless
    assert info.cpus >= 1


async def test_an_image_is_loaded_named_and_pushed_and_the_registry_has_it(engine: Engine, lab: Lab) -> None:
    name, other = unique(lab.registry), unique(lab.registry)
    heard: list[Progress] = []

    async def hear(progress: Progress) -> None:
        heard.append(progress)

    loaded_names = await engine.load(chunks(await archive(name)))
    await engine.tag(name, other)
    digest = await engine.push(other, progress=hear)

    assert loaded_names == (name,)
    async with RegistryClient(Credentials(None), {}) as registry:
        manifest = await registry.get_manifest(parse(other))
    assert manifest.digest == digest
    assert {progress.reference for progress in heard} == {other}
    assert "Pushed" in {progress.status for progress in heard}
    await remove(engine, name)
    await remove(engine, other)


async def test_what_one_engine_pushed_another_one_pulls_several_at_once(
    engine_graph: LabEngine, engine_containerd: LabEngine, lab: Lab
) -> None:
    names = [unique(lab.registry) for _ in range(2)]
    heard: list[Progress] = []

    async def hear(progress: Progress) -> None:
        heard.append(progress)

    async with client(engine_graph.socket) as source, client(engine_containerd.socket) as target:
        pushed: dict[str, str] = {}
        for name in names:
            async with loaded(source, name):
                pushed[name] = await source.push(name)
        pulled = await pull_all(target, names, progress=hear)
        again = await pull_all(target, names)
        for name in names:
            await remove(target, name)

    assert pulled == pushed == again
    assert {progress.reference for progress in heard if progress.status == "Pull complete"} == set(names)


async def test_a_started_image_runs_shut_in_tightly_and_is_gone_afterwards(
    engine: Engine, lab: Lab, real_count: RealCount
) -> None:
    script = (
        "while read line; do case $line in Uid:*|Gid:*|Cap[EP]*|NoNew*) echo $line;; esac; done </proc/self/status; "
    )
    script += "echo port $PORT $GREETING; echo x >/x; echo y >/tmp/y && echo z >&2; exit 7"

    async with (
        loaded(engine, unique(lab.registry)) as name,
        started(
            engine, name, port=5123, network="host", env={"GREETING": "hello"}, command=["/bin/sh", "-c", script]
        ) as container,
    ):
        code = await container.wait()
        log = await container.logs()
    real_count.record("start")

    assert code == 7
    lines = log.splitlines()
    assert {"Uid: 1000 1000 1000 1000", "Gid: 1000 1000 1000 1000", "NoNewPrivs: 1"} <= set(lines)
    assert {"port 5123 hello", "z"} <= set(lines)
    assert {line for line in lines if line.startswith("Cap")} == {
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
    }
    assert "Read-only file system" in log
    assert await containers(engine, container.name) == []


async def test_a_published_port_is_found_on_the_loopback(
    engine_graph: LabEngine, lab: Lab, real_count: RealCount
) -> None:
    image = f"{lab.registry}/library/python:3.12"
    server = ["python3", "-m", "http.server", "5000", "--directory", "/etc"]

    async with client(engine_graph.socket) as engine:
        await engine.pull(image)
        async with started(engine, image, port=5000, command=server) as container:
            body = await ask(f"http://127.0.0.1:{container.port}/hostname")
    real_count.record("start")
    real_count.record("answer")

    assert container.port != 5000
    assert body


async def ask(url: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        with anyio.fail_after(30):
            while True:
                try:
                    return (await http.get(url)).raise_for_status().text
                except httpx.TransportError:
                    await anyio.sleep(0.05)  # the pause between two questions


async def containers(engine: Engine, name: str) -> Sequence[object]:
    """The engine's containers of this name, running or not; nothing of the product lists any."""
    found = await engine.ask(lambda docker: get(docker, "containers/json?all=1"), doing="list containers")
    return [each for each in cast("Sequence[Mapping[str, Sequence[str]]]", found) if f"/{name}" in each["Names"]]


async def test_a_cancelled_look_leaves_no_container(engine: Engine, lab: Lab) -> None:
    began: list[str] = []
    alive: list[object] = []

    async def look(name: str) -> None:
        async with started(engine, name, network="host", command=["/bin/sleep", "600"]) as container:
            began.append(container.name)
            alive.extend(await containers(engine, container.name))
            tasks.cancel_scope.cancel()
            await container.wait()

    async with loaded(engine, unique(lab.registry)) as name, anyio.create_task_group() as tasks:
        tasks.start_soon(look, name)

    assert len(alive) == 1
    assert await containers(engine, began[0]) == []


async def test_a_command_that_is_not_there_is_an_error_with_a_hint(engine: Engine, lab: Lab) -> None:
    async with loaded(engine, unique(lab.registry)) as name:
        with pytest.raises(EngineError) as caught:
            async with started(engine, name, network="host", command=["/nope"]):
                pass

    assert "start command" in caught.value.hint


async def test_what_is_not_there_is_not_found(engine: Engine, lab: Lab) -> None:
    missing = unique(lab.registry)

    with pytest.raises(ImageNotFoundError):
        await engine.pull(missing)
    with pytest.raises(ImageNotFoundError):
        await engine.push(missing)
    with pytest.raises(ImageNotFoundError):
        await engine.tag(missing, unique(lab.registry))
    with pytest.raises(ImageNotFoundError):
        async with started(engine, missing, network="host"):
            pass


async def test_a_registry_that_is_not_there_is_unavailable(engine: Engine) -> None:
    async with loaded(engine, unique("127.0.0.1:1")) as name:
        with pytest.raises(RegistryUnavailableError, match="connection refused"):
            await engine.push(name)
        with pytest.raises(RegistryUnavailableError, match="connection refused"):
            await engine.pull(name)


@pytest.fixture
async def guarded(lab: Lab, tmp_path: Path) -> AsyncGenerator[str]:
    """A registry that wants a password."""
    port = free_port()
    config = tmp_path / "guarded.yml"
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}", secret: x}}\n'
        f"auth: {{htpasswd: {{realm: lab, path: {tmp_path}/htpasswd}}}}\n"
    )
    program = await tools.debian_program(layout(), "docker-registry", "usr/bin/docker-registry", installed=True)
    with (tmp_path / "guarded.log").open("wb") as log:
        async with await anyio.open_process(
            [str(program), "serve", str(config)], stdin=None, stdout=log, stderr=log
        ) as process:
            async with httpx.AsyncClient(trust_env=False) as http:
                with anyio.fail_after(30):
                    while True:
                        try:
                            await http.get(f"http://127.0.0.1:{port}/v2/")
                        except httpx.TransportError:
                            await anyio.sleep(0.05)  # the pause between two questions
                        else:
                            break
            try:
                yield f"127.0.0.1:{port}"
            finally:
                process.kill()


async def test_a_registry_that_wants_a_password_gets_ours(lab_engine: LabEngine, guarded: str) -> None:
    async with client(lab_engine.socket) as stranger, loaded(stranger, unique(guarded)) as name:
        with pytest.raises(RegistryError) as anonymous:
            await stranger.push(name)
        async with client(lab_engine.socket, logins=Logins("wrong")) as liar:
            with pytest.raises(RegistryError) as wrong:
                await liar.push(name)
            with pytest.raises(ImageNotFoundError):
                await liar.pull(name)
        async with client(lab_engine.socket, logins=Logins(SECRET)) as robot:
            digest = await robot.push(name)
            pulled = await robot.pull(name)

    assert pulled == digest
    for error in (anonymous.value, wrong.value):
        assert "log in" in error.hint
        assert SECRET not in error.message


async def test_an_engine_says_what_lies_on_its_disk(engine: Engine, lab: Lab) -> None:
    async with loaded(engine, unique(lab.registry)):
        usage = await engine.disk_usage()

    assert usage.images >= 1
    assert usage.layers > 1_000_000


async def test_pruning_takes_what_is_old_and_has_no_name(engine_graph: LabEngine, lab: Lab) -> None:
    # By age: of the lab's engine goes what this test dates back, and nothing else.
    old = "2020-01-01T00:00:00Z"
    other = unique(lab.registry)
    async with client(engine_graph.socket) as engine, loaded(engine, unique(lab.registry), created=old) as named:
        [nameless] = await engine.load(chunks(await archive(None, created=old, ballast=1_000_000)))
        pruned = await engine.prune(older_than=168 * 3600)
        await engine.tag(named, other)
        await remove(engine, other)
        with pytest.raises(ImageNotFoundError):
            await engine.tag(nameless, unique(lab.registry))

    assert nameless in pruned.images
    assert named not in pruned.images
    assert pruned.reclaimed >= 1_000_000


async def test_pruning_leaves_alone_what_came_today(engine_containerd: LabEngine) -> None:
    async with client(engine_containerd.socket) as engine:
        [nameless] = await engine.load(chunks(await archive(None, created="2020-01-01T00:00:00Z")))
        pruned = await engine.prune(older_than=168 * 3600)
        await remove(engine, nameless)

    assert nameless not in pruned.images


async def test_what_builds_left_is_counted_and_pruned(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    async with private_engine(lab, tmp_path_factory.mktemp("e")) as (_, path), client(path) as engine:
        dial = await dialer(EngineAddress(at=UnixAddress(path=str(path))))
        async with BuildKit(dial, address=str(path)) as buildkit:
            await buildkit.solve(
                request("FROM scratch\nCOPY a /b\n", context={"a": b"x" * 100_000}), on_status=Watched()
            )
        left = await engine.disk_usage()
        unpruned = await engine.prune(older_than=3600)
        pruned = await engine.prune(older_than=0)
        after = await engine.disk_usage()
    real_count.record("build")

    assert {record.type for record in left.cache} >= {"source.local"}
    assert sum(record.size for record in left.cache) >= 100_000
    assert unpruned.cache == ()
    assert set(pruned.cache) == {record.id for record in left.cache}
    assert pruned.reclaimed >= 100_000
    assert after.cache == ()


async def test_an_engine_that_is_killed_under_a_load_is_lost(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with private_engine(lab, tmp_path_factory.mktemp("e")) as (process, path), client(path) as engine:

        async def tar() -> AsyncGenerator[bytes]:
            data = await archive(unique(lab.registry))
            yield data[: len(data) // 2]
            process.kill()
            await process.wait()
            yield data[len(data) // 2 :]

        with pytest.raises(DaemonLostError):
            await engine.load(tar())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_full_disk_is_said_to_be_full(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("e")
    async with private_engine(lab, folder, disk=40_000_000) as (_, path), client(path) as engine:
        with pytest.raises(DiskFullError) as caught:
            await engine.load(chunks(await archive(unique(lab.registry), ballast=60_000_000)))

    assert "prune" in caught.value.hint


def certificate(folder: Path, name: x509.GeneralName) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key: for a server as for a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


@pytest.mark.parametrize(
    ("name", "servername"),
    [(x509.IPAddress(ipaddress.ip_address("127.0.0.1")), None), (x509.DNSName("engine.test"), "engine.test")],
    ids=["address", "servername"],
)
async def test_an_engine_over_tcp_is_trusted_by_its_certificate_and_trusts_ours(
    name: x509.GeneralName, servername: str | None, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("e")
    cert, key = certificate(folder, name)
    port = free_port()
    trusted = Tls(cacert=cert, cert=cert, key=key, servername=servername)
    options = f"--host tcp://127.0.0.1:{port} --tlsverify --tlscacert {cert} --tlscert {cert} --tlskey {key}"

    def of(tls: Tls | None) -> Engine:
        return Engine(EngineAddress(at=TcpAddress(host="127.0.0.1", port=port, tls=tls)))

    async with private_engine(lab, folder, options):
        async with of(trusted) as engine:
            info = await engine.info()
            loaded_names = await engine.load(chunks(await archive("r.example/a:1")))
        async with of(Tls(cacert=cert, servername=servername)) as stranger:
            with pytest.raises(FleetpacksError) as unknown:
                await stranger.info()
        async with of(Tls(cert=cert, key=key)) as mistrustful:
            with pytest.raises(EngineError, match="does not verify"):
                await mistrustful.info()
        async with of(None) as plain:
            with pytest.raises(FleetpacksError) as spoken_plainly:
                await plain.info()

    assert info.version.startswith("20.10")
    assert loaded_names == ("r.example/a:1",)
    assert "certificate" in unknown.value.message
    assert "HTTPS" in spoken_plainly.value.message
