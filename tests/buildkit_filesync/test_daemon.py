"""What a real daemon makes of our context transfers: what it asks for again, and what it is told when we fail."""

import os
import secrets
from functools import partial
from pathlib import Path

import anyio
import pytest

from orchestrator.buildkit import (
    Client,
    DirectorySource,
    Exporter,
    MemorySource,
    SolveRequest,
    SolveResult,
)
from orchestrator.errors import ContextError
from remote.address import UnixAddress
from remote.connect import connect
from tests.buildkit.real import Watched
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real

ALWAYS_SENT = 1
"""The Dockerfile: the frontend asks for it without comparing."""


async def build(
    lab: Lab, root: Path, dockerfile: str = "FROM scratch\nCOPY . /\n", *, key: str, watched: Watched | None = None
) -> SolveResult:
    sources = (
        DirectorySource(name="context", root=root),
        MemorySource(name="dockerfile", files={"Dockerfile": dockerfile.encode()}),
    )
    exporter = Exporter(type="image", attrs={"name": "localhost/same", "push": "false"})
    request = SolveRequest(ref=secrets.token_hex(12), attrs={}, exporter=exporter, sources=sources, shared_key=key)
    dial = partial(connect, UnixAddress(path=str(lab.buildkitd)))
    async with Client(dial, address=f"unix://{lab.buildkitd}") as client:
        return await client.solve(request, on_status=watched or Watched())


@pytest.fixture
def app(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    for number in range(300):
        directory = app / f"src/package-{number // 20:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"module-{number:03}.js").write_bytes(b"%d" % number * 1000)
    return app


async def test_an_unchanged_app_is_not_sent_again(lab: Lab, real_count: RealCount, app: Path) -> None:
    key = secrets.token_hex()

    first = await build(lab, app, key=key)
    second = await build(lab, app, key=key)

    assert first.files_sent == 300 + ALWAYS_SENT
    assert second.files_sent == ALWAYS_SENT
    assert second.entries >= 300
    assert second.sent_bytes / second.entries < 200
    real_count.record("build", times=2)


async def test_a_change_that_keeps_the_size_is_sent(lab: Lab, real_count: RealCount, app: Path) -> None:
    key = secrets.token_hex()
    first = await build(lab, app, key=key)
    changed = app / "src/package-00/module-007.js"
    changed.write_bytes(b"8" * 1000)

    second = await build(lab, app, key=key)

    assert second.files_sent == 1 + ALWAYS_SENT
    assert second.digest != first.digest
    real_count.record("build", times=2)


async def test_a_generated_dockerfile_of_the_same_size_is_not_mistaken_for_the_old_one(
    lab: Lab, real_count: RealCount, app: Path
) -> None:
    key = secrets.token_hex()

    digests = [(await build(lab, app, f"FROM scratch\nENV A={value}\n", key=key)).digest for value in (1, 2)]

    assert digests[0] != digests[1]
    real_count.record("build", times=2)


async def test_a_file_that_cannot_be_sent_is_our_error_with_its_name(lab: Lab) -> None:
    # A file of sysfs says that it has 4096 bytes, and has fewer.
    root = Path("/sys/devices/virtual/mem/null")

    with anyio.fail_after(30), pytest.raises(ContextError) as caught:
        await build(lab, root, "FROM scratch\nCOPY dev /\n", key=secrets.token_hex())

    assert caught.value.message.startswith("/sys/devices/virtual/mem/null/dev changed its size")
    assert caught.value.hint


async def test_a_step_sees_extended_attributes_and_second_names(lab: Lab, real_count: RealCount, app: Path) -> None:
    os.setxattr(app / "src", "user.directory", b"1")
    os.setxattr(app / "src/package-00/module-000.js", "user.file", b"\0\xff")
    (app / "again").hardlink_to(app / "src/package-00/module-000.js")
    asks = "import os; print(*(os.getxattr(*each) for each in (('src', 'user.directory'), ('again', 'user.file'))))"
    run = f'RUN ["python3", "-c", "{asks}; print(os.stat(\'again\').st_nlink)"]\n'
    watched, key = Watched(), secrets.token_hex()

    await build(lab, app, f"FROM python:3.12\nENV KEY={key}\nWORKDIR /x\nCOPY . .\n{run}", key=key, watched=watched)

    assert watched.log(1) == b"b'1' b'\\x00\\xff'\n2\n"
    real_count.record("build")
