"""What a real engine does not do on demand. What it does, is in test_real.py."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import h11
import pytest

from orchestrator.docker import Engine, Logins, Patience, Progress, connection, pull_all, started
from orchestrator.errors import (
    BuilderUnreachableError,
    DaemonLostError,
    EngineError,
    ImageNotFoundError,
    ProtocolError,
    RegistryError,
    RegistryUnavailableError,
    UsageError,
)
from orchestrator.registry.credentials import Credential
from remote.address import EngineAddress, TcpAddress, Tls, UnixAddress
from tests.docker.scripted import VERSION, Answering, Request, Script, scripted

DIGEST = "sha256:" + "0a" * 32
PUSHED: dict[str, object] = {"progressDetail": {}, "aux": {"Tag": "1", "Digest": DIGEST, "Size": 947}}
QUICK = Patience(attempts=3, first=0.0)


class Known:
    """Credentials by host, as the registry client's `Credentials` has them."""

    def __init__(self, **of: Credential) -> None:
        self._of = {host.replace("_", "."): credential for host, credential in of.items()}

    async def lookup(self, host: str) -> Credential | None:
        return self._of.get(host)


@asynccontextmanager
async def engine_of(
    socket: Path, script: Script, *, logins: Logins | None = None, version: Mapping[str, object] = VERSION
) -> AsyncGenerator[tuple[Engine, list[Request]]]:
    address = EngineAddress(at=UnixAddress(path=str(socket)))
    async with (
        scripted(socket, script, version=version) as requests,
        Engine(address, logins=logins, patience=QUICK) as engine,
    ):
        yield engine, requests


async def refuse_to_answer(answering: Answering) -> None:
    raise AssertionError(answering.request)


def script_of(lines: Sequence[object]) -> Script:
    """A progress stream of these lines."""

    async def script(answering: Answering) -> None:
        await answering.body()
        await answering.head()
        for line in lines:
            await answering.line(line)
        await answering.end()

    return script


def error_line(text: str) -> dict[str, object]:
    return {"errorDetail": {"message": text}, "error": text}


@pytest.mark.parametrize(
    ("host", "credential", "expected"),
    [
        ("r.example", None, {"identitytoken": ""}),
        (
            "r.example",
            Credential(username="robot", password="s3cret"),
            {"username": "robot", "password": "s3cret", "identitytoken": "", "serveraddress": "r.example"},
        ),
        (
            "docker.io",
            Credential(username="robot", password="s3cret"),
            {
                "username": "robot",
                "password": "s3cret",
                "identitytoken": "",
                # An engine with containerd's store drops credentials of any other name for Docker Hub.
                "serveraddress": "https://index.docker.io/v1/",
            },
        ),
        (
            "r.example",
            Credential(identity_token="t0ken"),
            {"username": "", "password": "", "identitytoken": "t0ken", "serveraddress": "r.example"},
        ),
    ],
)
async def test_an_engine_is_told_who_we_are_in_the_form_it_understands(
    host: str, credential: Credential | None, expected: Mapping[str, str], tmp_path: Path
) -> None:
    logins = Known(**({host.replace(".", "_"): credential} if credential else {}))

    async with engine_of(tmp_path / "s", script_of([PUSHED]), logins=logins) as (engine, requests):
        await engine.push(f"{host}/team/api:1")

    [request] = requests
    said: Any = json.loads(base64.urlsafe_b64decode(request.headers["x-registry-auth"]))
    assert request.target == f"/v1.41/images/{host}/team/api/push?tag=1"
    assert said == expected


@pytest.mark.parametrize(
    "last",
    [PUSHED, {"status": f"1: digest: {DIGEST} size: 896"}],
    ids=["graph driver", "containerd's image store"],
)
async def test_a_push_gives_the_digest_and_tells_its_progress(last: object, tmp_path: Path) -> None:
    lines: list[object] = [
        {"status": "The push refers to repository [r.example/team/api]"},
        {"status": "Preparing", "progressDetail": {}, "id": "d81de5a05411"},
        {
            "status": "Pushing",
            "progressDetail": {"current": 512, "total": 1024},
            "progress": "=>",
            "id": "d81de5a05411",
        },
        {"status": "Pushed", "progressDetail": {}, "id": "d81de5a05411"},
        last,
    ]
    heard: list[Progress] = []

    async def hear(progress: Progress) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(progress)

    async with engine_of(tmp_path / "s", script_of(lines)) as (engine, _):
        digest = await engine.push("r.example/team/api:1", progress=hear)

    assert digest == DIGEST
    assert [(each.layer, each.status, each.current, each.total) for each in heard] == [
        ("d81de5a05411", "Preparing", None, None),
        ("d81de5a05411", "Pushing", 512, 1024),
        ("d81de5a05411", "Pushed", None, None),
    ]


async def test_a_push_that_the_registry_was_too_busy_for_is_tried_again(tmp_path: Path) -> None:
    answers = iter(
        [
            [error_line("toomanyrequests: slow down")],
            [error_line("received unexpected HTTP status: 503 Service Unavailable")],
            [PUSHED],
        ]
    )

    async def script(answering: Answering) -> None:
        await script_of(next(answers))(answering)

    async with engine_of(tmp_path / "s", script) as (engine, requests):
        digest = await engine.push("r.example/team/api:1")

    assert digest == DIGEST
    assert len(requests) == 3


async def test_trying_again_has_an_end(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", script_of([error_line("toomanyrequests: slow down")])) as (engine, requests):
        with pytest.raises(RegistryUnavailableError, match="slow down"):
            await engine.push("r.example/team/api:1")

    assert len(requests) == QUICK.attempts


async def test_a_refusal_for_good_is_not_tried_again(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", script_of([error_line("denied: not yours")])) as (engine, requests):
        with pytest.raises(RegistryError, match="not yours") as caught:
            await engine.push("r.example/team/api:1")

    assert "log in" in caught.value.hint
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("attempts", "elapsed", "expected"),
    [(1, 0.0, 1.0), (2, 5.0, 2.0), (3, 5.0, None), (1, 119.5, None), (1, 119.0, 1.0)],
)
def test_patience_is_bounded_by_attempts_and_by_time(attempts: int, elapsed: float, expected: float | None) -> None:
    assert Patience().pause(attempts=attempts, elapsed=elapsed) == expected


@pytest.mark.parametrize("end", ["early", "cut"])
async def test_a_stream_without_its_end_is_a_lost_daemon_and_not_a_success(end: str, tmp_path: Path) -> None:
    async def script(answering: Answering) -> None:
        await answering.head()
        await answering.line({"status": "Pushed", "progressDetail": {}, "id": "d81de5a05411"})
        if end == "early":
            await answering.end()

    async with engine_of(tmp_path / "s", script) as (engine, requests):
        with pytest.raises(DaemonLostError):
            await engine.push("r.example/team/api:1")
        with pytest.raises(DaemonLostError):
            await engine.pull("r.example/team/api:1")
        with pytest.raises(DaemonLostError):
            await engine.load(chunks(b"tar"))

    assert len(requests) == 2 * QUICK.attempts + 1


async def test_a_pull_that_said_its_digest_is_not_yet_there(tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", script_of([{"status": f"Digest: {DIGEST}"}])) as (engine, _):
        with pytest.raises(DaemonLostError, match="ended before"):
            await engine.pull("r.example/team/api:1")


@pytest.mark.parametrize(
    ("reference", "query"),
    [
        ("r.example/team/api:1", "fromImage=r.example/team/api&tag=1"),
        ("r.example/team/api", "fromImage=r.example/team/api&tag=latest"),
        (f"r.example/team/api:1@{DIGEST}", f"fromImage=r.example/team/api@{DIGEST}"),
    ],
)
async def test_a_pull_asks_for_one_image(reference: str, query: str, tmp_path: Path) -> None:
    lines = [{"status": f"Digest: {DIGEST}"}, {"status": "Status: Image is up to date for r.example/team/api:1"}]

    async with engine_of(tmp_path / "s", script_of(lines)) as (engine, requests):
        digest = await engine.pull(reference)

    assert digest == DIGEST
    assert requests[0].target.replace("%2F", "/").replace("%3A", ":").replace("%40", "@").endswith(f"?{query}")


async def test_pulls_run_at_once_but_no_more_than_allowed(tmp_path: Path) -> None:
    running = 0
    most = 0
    two = anyio.Event()

    async def script(answering: Answering) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            two.set()
        await two.wait()
        running -= 1
        await script_of([{"status": f"Digest: {DIGEST}"}, {"status": "Status: Downloaded newer image"}])(answering)

    references = [f"r.example/team/api:{number}" for number in range(5)]
    async with engine_of(tmp_path / "s", script) as (engine, _):
        digests = await pull_all(engine, references, at_once=2)

    assert digests == dict.fromkeys(references, DIGEST)
    assert most == 2


async def test_the_first_pull_that_fails_ends_the_others(tmp_path: Path) -> None:
    begun, left = anyio.Event(), anyio.Event()

    async def script(answering: Answering) -> None:
        if answering.request.target.endswith("tag=missing"):
            await begun.wait()
            await answering.whole({"message": "manifest unknown: manifest unknown"}, status=404)
            return
        await answering.head()
        begun.set()
        await answering.until_left()
        left.set()

    async with engine_of(tmp_path / "s", script) as (engine, _):
        with pytest.raises(ImageNotFoundError):
            await pull_all(engine, ["r.example/team/api:slow", "r.example/team/api:missing"])
        with anyio.fail_after(10):
            await left.wait()


async def test_a_cancelled_push_hangs_up(tmp_path: Path) -> None:
    begun, left = anyio.Event(), anyio.Event()

    async def script(answering: Answering) -> None:
        await answering.head()
        await answering.line({"status": "Preparing", "progressDetail": {}, "id": "d81de5a05411"})
        begun.set()
        await answering.until_left()
        left.set()

    async with engine_of(tmp_path / "s", script) as (engine, requests):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.push, "r.example/team/api:1")
            await begun.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            await left.wait()

    assert len(requests) == 1


async def test_an_error_of_whoever_hears_of_progress_ends_the_push(tmp_path: Path) -> None:
    left = anyio.Event()

    async def script(answering: Answering) -> None:
        await answering.head()
        await answering.line({"status": "Preparing", "progressDetail": {}, "id": "d81de5a05411"})
        await answering.until_left()
        left.set()

    async def hear(progress: Progress) -> None:
        raise LookupError(progress.status)

    async with engine_of(tmp_path / "s", script) as (engine, _):
        with pytest.raises(LookupError, match="Preparing"):
            await engine.push("r.example/team/api:1", progress=hear)
        with anyio.fail_after(10):
            await left.wait()


async def chunks(*data: bytes) -> AsyncGenerator[bytes]:
    for each in data:
        await anyio.lowlevel.checkpoint()
        yield each


async def test_a_loaded_archive_arrives_whole(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    async def script(answering: Answering) -> None:
        bodies.append(await answering.body())
        await answering.head()
        await answering.line({"stream": "Loaded image: r.example/team/api:1\n"})
        await answering.line({"stream": f"Loaded image ID: {DIGEST}\n"})
        await answering.end()

    data = [bytes([number]) * 100_000 for number in range(20)]
    async with engine_of(tmp_path / "s", script) as (engine, _):
        loaded = await engine.load(chunks(*data))

    assert loaded == ("r.example/team/api:1", DIGEST)
    assert bodies == [b"".join(data)]


async def test_an_archive_that_cannot_be_read_is_not_loaded_by_halves(tmp_path: Path) -> None:
    complaints: list[h11.RemoteProtocolError] = []
    seen = anyio.Event()

    async def script(answering: Answering) -> None:
        try:
            await answering.body()
        except h11.RemoteProtocolError as error:
            complaints.append(error)
        seen.set()

    async def broken() -> AsyncGenerator[bytes]:
        yield b"the beginning"
        raise FileNotFoundError("layer.tar")

    async with engine_of(tmp_path / "s", script) as (engine, _):
        with pytest.raises(FileNotFoundError, match="layer"):
            await engine.load(broken())
        with anyio.fail_after(10):
            await seen.wait()

    assert len(complaints) == 1


async def test_nothing_there_is_unreachable(tmp_path: Path) -> None:
    async with Engine(EngineAddress(at=UnixAddress(path=str(tmp_path / "none")))) as engine:
        with pytest.raises(BuilderUnreachableError, match="No such file"):
            await engine.info()


async def test_a_tcp_port_where_nobody_listens_is_unreachable() -> None:
    async with Engine(EngineAddress(at=TcpAddress(host="127.0.0.1", port=1))) as engine:
        with pytest.raises(BuilderUnreachableError) as caught:
            await engine.info()

    assert caught.value.message.startswith("docker://127.0.0.1:1: ")


async def test_certificates_that_cannot_be_read_are_the_callers_mistake(tmp_path: Path) -> None:
    address = EngineAddress(at=TcpAddress(host="127.0.0.1", port=1, tls=Tls(cacert=tmp_path / "none.pem")))

    with pytest.raises(UsageError, match=r"none\.pem"):
        async with Engine(address):
            pass


async def test_an_engine_that_gives_no_answer_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.1)
    listener = await anyio.create_unix_listener(tmp_path / "s")

    async with listener, Engine(EngineAddress(at=UnixAddress(path=str(tmp_path / "s")))) as engine:
        with pytest.raises(BuilderUnreachableError, match="no answer in time"):
            await engine.info()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({**VERSION, "ApiVersion": "1.40"}, "20.10 or newer"),
        ({**VERSION, "ApiVersion": "1.90", "MinAPIVersion": "1.80"}, "20.10 or newer"),
        ({**VERSION, "Components": [{"Name": "Podman Engine"}]}, "buildkitd"),
        ({"hello": "world"}, "Docker Engine"),
        ({**VERSION, "ApiVersion": "one"}, "20.10 or newer"),
    ],
)
async def test_what_is_no_engine_of_ours_is_refused_with_a_hint(
    version: Mapping[str, object], expected: str, tmp_path: Path
) -> None:
    async with engine_of(tmp_path / "s", refuse_to_answer, version=version) as (engine, _):
        with pytest.raises(ProtocolError) as caught:
            await engine.info()

    assert expected in caught.value.hint


@pytest.mark.parametrize("newest", ["1.44", "1.56", "2.0"])
async def test_a_newer_engine_is_spoken_to_in_the_version_that_is_known(newest: str, tmp_path: Path) -> None:
    version = {**VERSION, "ApiVersion": newest}

    async with engine_of(tmp_path / "s", script_of([PUSHED]), version=version) as (engine, requests):
        await engine.push("r.example/team/api:1")

    assert requests[0].target.startswith("/v1.44/")


@pytest.mark.parametrize(
    ("body", "status", "content_type"),
    [
        (b"<html>hello</html>", 200, "text/html"),
        (b"{", 200, "application/json"),
        (b"[]", 200, "application/json"),
        (b'{"NCPU": "many"}', 200, "application/json"),
        (b'{"no": "message"}', 500, "application/json"),
        (b"\xff\xfe", 500, "text/plain"),
    ],
)
async def test_an_answer_that_is_none_is_a_protocol_error(
    body: bytes, status: int, content_type: str, tmp_path: Path
) -> None:
    async def script(answering: Answering) -> None:
        await answering.raw(body, status, content_type)

    async with engine_of(tmp_path / "s", script) as (engine, _):
        with pytest.raises(ProtocolError, match="expected an answer of Docker's API"):
            await engine.info()


@pytest.mark.parametrize("line", ["nonsense", 7, [], {"status": 7}, {"aux": {"Digest": 7}}])
async def test_a_line_that_is_none_is_a_protocol_error(line: object, tmp_path: Path) -> None:
    async with engine_of(tmp_path / "s", script_of([line])) as (engine, _):
        with pytest.raises(ProtocolError):
            await engine.push("r.example/team/api:1")


async def test_a_connection_cut_before_the_answer_is_a_lost_daemon(tmp_path: Path) -> None:
    async def script(answering: Answering) -> None:
        pass

    async with engine_of(tmp_path / "s", script) as (engine, _):
        with pytest.raises(DaemonLostError):
            await engine.disk_usage()


@pytest.mark.parametrize("refused", ["/start", "/create"])
async def test_a_container_that_does_not_start_is_removed(refused: str, tmp_path: Path) -> None:
    async def script(answering: Answering) -> None:
        await answering.body()
        if refused in answering.request.target:
            await answering.whole({"message": "no such thing"}, status=500)
        else:
            await answering.whole({"Id": "c1"})

    async with engine_of(tmp_path / "s", script) as (engine, requests):
        with pytest.raises(EngineError, match="no such thing"):
            async with started(engine, "r.example/team/api:1", network="host"):
                pass

    assert requests[-1].method == "DELETE"
    name = requests[0].target.rpartition("name=")[2]
    assert requests[-1].target.startswith(f"/v1.41/containers/{name}?")


async def test_a_container_that_is_gone_already_needs_no_removal(tmp_path: Path) -> None:
    async def script(answering: Answering) -> None:
        await answering.body()
        if answering.request.method == "DELETE":
            await answering.whole({"message": "No such container: c1"}, status=404)
        else:
            await answering.whole({"Id": "c1"})

    async with (
        engine_of(tmp_path / "s", script) as (engine, requests),
        started(engine, "r.example/team/api:1", network="host"),
    ):
        pass

    assert requests[-1].method == "DELETE"


async def test_a_container_is_removed_when_the_caller_is_cancelled_while_it_is_made(tmp_path: Path) -> None:
    asked, go_on = anyio.Event(), anyio.Event()

    async def script(answering: Answering) -> None:
        await answering.body()
        if "/create" in answering.request.target:
            asked.set()
            await go_on.wait()
        await answering.whole({"Id": "c1"})

    async def start(engine: Engine) -> None:
        async with started(engine, "r.example/team/api:1", network="host"):
            pass

    async with engine_of(tmp_path / "s", script) as (engine, requests), anyio.create_task_group() as tasks:
        tasks.start_soon(start, engine)
        await asked.wait()
        tasks.cancel_scope.cancel()
        go_on.set()

    assert [request.method for request in requests] == ["POST", "DELETE"]


async def test_an_engine_that_was_closed_answers_no_more(tmp_path: Path) -> None:
    engine = Engine(EngineAddress(at=UnixAddress(path=str(tmp_path / "s"))))

    with pytest.raises(anyio.ClosedResourceError):
        await engine.info()
