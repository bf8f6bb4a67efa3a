"""A run's trace, as a collector receives it; and a collector that is none costs nothing but a warning."""

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import h11
import msgspec
import pytest
from anyio.abc import ByteStream, SocketAttribute

from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab

pytestmark = pytest.mark.real


class Collector(msgspec.Struct):
    """An HTTP server that keeps what is posted to it."""

    status: int = 200
    silent: bool = False
    address: str = ""
    requests: list[tuple[h11.Request, bytes]] = msgspec.field(default_factory=list[tuple[h11.Request, bytes]])

    async def serve(self, stream: ByteStream) -> None:
        """Answer one request."""
        connection, body = h11.Connection(h11.SERVER), bytearray()
        # Who gave up waiting may leave at any moment.
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await self._answer(stream, connection, body)

    async def _answer(self, stream: ByteStream, connection: h11.Connection, body: bytearray) -> None:
        request: h11.Request | None = None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
        if request is not None:
            self.requests.append((request, bytes(body)))
        if self.silent:
            await anyio.sleep_forever()
        answer = h11.Response(status_code=self.status, headers=[("content-length", "0"), ("connection", "close")])
        await stream.send((connection.send(answer) or b"") + (connection.send(h11.EndOfMessage()) or b""))


@pytest.fixture
async def collector() -> AsyncGenerator[Collector]:
    """A collector on this machine."""
    made = Collector()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        made.address = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 -- anyio's
        tasks.start_soon(listener.serve, made.serve)
        yield made
        tasks.cancel_scope.cancel()


def app(root: Path) -> Path:
    directory = root / "api"
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(
        f"FROM debian:bookworm-slim\nARG NPM_TOKEN=none\nRUN echo {secrets.token_hex(8)} hidden-value-1\n"
    )
    return root


async def test_a_collector_receives_the_run_its_apps_and_their_steps_and_no_secret(
    lab: Lab, build: Start, collector: Collector, tmp_path: Path, real_count: RealCount
) -> None:
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    said = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hidden-value-2",
        "TRACEPARENT": f"00-{trace}-{parent}-01",
        "NPM_TOKEN": "hidden-value-1",
    }

    async with build(app(tmp_path / "source"), variables=said) as running:
        ran = await running.end()

    real_count.record("build")
    assert (ran.code, ran.err) == (0, "")
    [(request, body)] = collector.requests
    assert (request.method, request.target) == (b"POST", b"/v1/traces")
    assert dict(request.headers)[b"authorization"] == b"Bearer hidden-value-2"
    assert dict(request.headers)[b"content-type"] == b"application/json"
    [resource] = json.loads(body)["resourceSpans"]
    spans: list[dict[str, Any]] = resource["scopeSpans"][0]["spans"]
    root, api, *steps = spans
    assert (root["name"], root["traceId"], root["parentSpanId"]) == ("fleetpacks build", trace, parent)
    assert (api["name"], api["parentSpanId"]) == ("api", root["spanId"])
    assert any(step["name"].startswith("[2/2] RUN echo") for step in steps)
    assert b"hidden-value" not in body


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("refuses", "the collector answered 503"),
        ("is silent", "no answer within 0.5 s"),
        ("is not there", "ConnectError"),
        ("cannot be verified", "the certificates of known authorities cannot be read: No such file or directory"),
    ],
)
async def test_a_collector_that_does_not_take_it_costs_a_warning(
    build: Start, collector: Collector, tmp_path: Path, real_count: RealCount, *, change: str, complaint: str
) -> None:
    collector.status, collector.silent = (503 if change == "refuses" else 200), change == "is silent"
    address = "http://127.0.0.1:1" if change == "is not there" else collector.address
    said = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
    said |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "500"} if change == "is silent" else {}
    said |= {"SSL_CERT_FILE": str(tmp_path / "absent")} if change == "cannot be verified" else {}

    async with build(app(tmp_path / "source"), variables=said) as running:
        ran = await running.end()

    real_count.record("build")
    assert (ran.code, len(ran.completed())) == (0, 1)
    assert ran.err.startswith("warning: the run's trace was not sent: ")
    assert complaint in ran.err
