import socket
from pathlib import Path

import anyio
import httpx
import pytest

from tests.conftest import RealCount
from tests.lab import Lab
from tests.lab.container import started
from tests.lab.errors import LabError
from tests.lab.mounts import mount_points
from tests.lab.roots import BASE_NAME

pytestmark = pytest.mark.real

APP = """\
import http.server, json, os, pathlib
def attempt(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({
            "uid": os.getuid(), "gid": os.getgid(), "app": attempt("/app/x"), "tmp": attempt("/tmp/x"),
            "capabilities": status["CapBnd"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
            "greeting": os.environ["GREETING"], "removed": not os.path.exists("/etc/debian_version"),
            "names": pathlib.Path("/etc/resolv.conf").exists() and pathlib.Path("/etc/resolv.conf").read_text(),
        }).encode())
server = http.server.HTTPServer((os.environ.get("ADDRESS", ""), int(os.environ["PORT"])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


async def build(lab: Lab, context: Path, *lines: str) -> str:
    image = f"{lab.registry}/lab-tests/{context.name.lower().replace('_', '-')}:latest"
    (context / "Dockerfile").write_text("\n".join(["FROM python:3.12-slim", *lines, ""]))
    command = [
        *(str(lab.buildctl), "--addr", lab.buildkit_host, "build", "--frontend=dockerfile.v0"),
        *("--local", f"context={context}", "--local", f"dockerfile={context}"),
        *("--output", f"type=image,name={image},push=true"),
    ]
    await anyio.run_process(command)
    return image


async def test_an_image_runs_as_its_user_on_a_read_only_root_without_any_capability(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    (tmp_path / "app.py").write_text(APP)
    image = await build(
        lab,
        tmp_path,
        f"LABEL {BASE_NAME}=python:3.12-slim",
        "RUN rm /etc/debian_version",
        "COPY app.py /app/",
        "ENV GREETING=image",
        "USER 1000:1000",
        'CMD ["python", "/app/app.py"]',
    )
    real_count.record("build")

    async with started(lab, image, env={"GREETING": "caller"}) as container, httpx.AsyncClient() as client:
        real_count.record("start")
        answer = (await client.get(container.url)).raise_for_status().json()
        real_count.record("answer")
        over = mount_points(container.log.parent)
    async with (
        started(lab, image, env={"GREETING": ""}, writable=True, online=True) as other,
        httpx.AsyncClient() as client,
    ):
        real_count.record("start")
        online = (await client.get(other.url)).raise_for_status().json()
        real_count.record("answer")

    names = await anyio.Path("/etc/resolv.conf").read_text()
    assert online["names"] == names != answer.pop("names")
    assert answer == {
        "uid": 1000,
        "gid": 1000,
        "app": "Read-only file system",
        "tmp": "written",
        "capabilities": "0000000000000000",
        "no_new_privileges": "1",
        "greeting": "caller",
        "removed": True,
    }
    bundle = container.log.parent
    assert over == (bundle / "root",)
    assert not bundle.exists()
    assert not (lab.state / "runc" / "apps" / bundle.name).exists()
    assert mount_points(bundle) == ()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(container.url.rpartition(":")[2]))) != 0


async def test_an_app_that_listens_to_its_own_machine_alone_does_not_answer(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(APP)
    image = await build(
        lab, tmp_path, f"LABEL {BASE_NAME}=python:3.12-slim", "COPY app.py /app/", 'CMD ["python", "/app/app.py"]'
    )
    monkeypatch.setattr("tests.lab.container._PATIENCE", 3.0)

    with pytest.raises(LabError, match="does not answer") as caught:
        async with started(lab, image, env={"GREETING": "", "ADDRESS": "127.0.0.1"}):
            pytest.fail("it was said to answer")

    assert "  listening" in caught.value.message
    assert "all addresses" in caught.value.hint


async def test_an_image_that_ends_is_an_error_with_its_output(lab: Lab, tmp_path: Path) -> None:
    image = await build(
        lab, tmp_path, f"LABEL {BASE_NAME}=python:3.12-slim", 'CMD ["sh", "-c", "echo no configuration; exit 3"]'
    )

    with pytest.raises(LabError, match="ended with exit status 3") as caught:
        async with started(lab, image):
            pytest.fail("it was said to answer")

    assert "  no configuration" in caught.value.message
