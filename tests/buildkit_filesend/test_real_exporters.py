"""What real exporters send becomes the files that buildctl would write, and only when the build is done."""

import io
import json
import os
import secrets
import stat
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from orchestrator.buildkit import (
    DirectoryDestination,
    DirectorySource,
    Exporter,
    FileDestination,
    MemorySource,
    SolveRequest,
    SolveResult,
    StatusUpdate,
    StreamDestination,
)
from orchestrator.errors import BuildFailedError, OutputError
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real

COPY = "FROM scratch\nCOPY . /\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A tree with one of everything that a directory can hold."""
    root = tmp_path / "app"
    (root / "deep/er").mkdir(parents=True)
    (root / "empty").mkdir(mode=0o750)
    (root / "large").write_bytes(b"0123456789" * 300_001)
    (root / "none").write_bytes(b"")
    (root / "deep/er/file").write_bytes(b"one")
    (root / "again").hardlink_to(root / "deep/er/file")
    (root / "deep/link").symlink_to("../../etc/passwd")
    (root / "deep/er/file").chmod(0o4711)
    (root / "deep").chmod(0o1777)
    os.mkfifo(root / "pipe")
    os.mknod(root / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.symlink(b"\xff", os.fsencode(root) + b"/caf\xe9")  # noqa: PTH211  pathlib knows no bytes
    for number in range(300):
        (root / f"deep/{number:03}").write_bytes(b"%d" % number)
    for path in root.rglob("*"):
        os.utime(path, ns=(1, 1_234_567_890_123_456_789), follow_symlinks=False)
    return root


async def build(lab: Lab, root: Path, *exporters: Exporter, dockerfile: str = COPY) -> SolveResult:
    async def ignore(_: StatusUpdate) -> None: ...

    ref = secrets.token_hex(12)
    sources = (
        DirectorySource(name="context", root=root),
        MemorySource(name="dockerfile", files={"Dockerfile": dockerfile.encode()}),
    )
    request = SolveRequest(ref=ref, attrs={}, outputs=exporters, sources=sources, shared_key=ref)
    async with client(lab.buildkitd) as daemon:
        return await daemon.solve(request, on_status=ignore)


@asynccontextmanager
async def silent_server() -> AsyncGenerator[tuple[str, anyio.Event]]:
    """An address for ADD that never answers, and an event for when somebody asks."""
    asked = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        async with stream:
            asked.set()
            await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  anyio's, not Django's
        yield f"http://127.0.0.1:{port}/file", asked
        tasks.cancel_scope.cancel()


def local(path: Path) -> Exporter:
    return Exporter(type="local", attrs={}, destination=DirectoryDestination(path=path))


def archive(kind: str, path: Path, **attrs: str) -> Exporter:
    return Exporter(type=kind, attrs=attrs, destination=FileDestination(path=path))


async def by_buildctl(lab: Lab, root: Path, beside: Path, output: str) -> None:
    write_dockerfile(beside)
    command = [str(lab.buildctl), "--addr", lab.buildkit_host, "build", "--frontend", "dockerfile.v0"]
    locals_ = ["--local", f"context={root}", "--local", f"dockerfile={beside}"]
    await anyio.run_process([*command, *locals_, "--output", output])


def write_dockerfile(directory: Path) -> None:
    directory.mkdir()
    (directory / "Dockerfile").write_text(COPY)


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a tree says."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        said: object = None
        if path.is_symlink():
            said = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            said = (path.read_bytes(), status.st_nlink)
        found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_mtime_ns, said)
    return found


async def test_a_directory_is_what_buildctl_writes_but_for_devices_and_setuid_bits(
    lab: Lab, real_count: RealCount, app: Path, tmp_path: Path
) -> None:
    await by_buildctl(lab, app, tmp_path / "beside", f"type=local,dest={tmp_path}/theirs")

    result = await build(lab, app, local(tmp_path / "ours"))

    ours, theirs = described(tmp_path / "ours"), described(tmp_path / "theirs")
    del theirs["null"]
    for name in ("deep/er/file", "again"):
        mode, *rest = theirs[name]
        assert mode == oct(stat.S_IFREG | 0o4711)
        theirs[name] = (oct(stat.S_IFREG | 0o711), *rest)
    assert ours == theirs
    assert result.warnings == ("1 device files were left out of the output: null",)
    assert names_in(tmp_path) == {"app", "beside", "ours", "theirs"}
    real_count.record("build", times=2)


async def test_a_directory_that_is_there_keeps_its_own_files_and_follows_no_link(
    lab: Lab, real_count: RealCount, app: Path, tmp_path: Path
) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (there / "deep").mkdir(parents=True)
    (there / "deep/own").write_text("mine")
    (there / "deep/er").symlink_to(elsewhere)
    (there / "large").symlink_to(elsewhere / "large")
    (there / "none").write_text("old")

    await build(lab, app, local(there))
    first = described(there)
    await build(lab, app, local(there))

    assert names_in(elsewhere) == set()
    assert (there / "deep/own").read_text() == "mine"
    assert (there / "deep/er/file").read_bytes() == b"one"
    assert (there / "none").read_text() == ""
    assert (there / "large").read_bytes() == (app / "large").read_bytes()
    assert described(there) == first
    assert described(there).keys() - described(app).keys() == {"deep/own"}
    real_count.record("build", times=2)


async def test_an_archive_is_the_one_that_buildctl_writes(
    lab: Lab, real_count: RealCount, app: Path, tmp_path: Path
) -> None:
    await by_buildctl(lab, app, tmp_path / "beside", f"type=tar,dest={tmp_path}/theirs.tar")

    await build(lab, app, archive("tar", tmp_path / "ours.tar"))

    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()
    assert names_in(tmp_path) == {"app", "beside", "ours.tar", "theirs.tar"}
    real_count.record("build", times=2)


@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_an_image_archive_holds_the_image_whose_digest_the_build_has(
    lab: Lab, real_count: RealCount, app: Path, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "new/directory/image.tar"

    result = await build(lab, app, archive(kind, place, name="registry.example/api:1"))

    with tarfile.open(place) as found:
        index = json.load(found.extractfile("index.json") or io.BytesIO())
        names = found.getnames()
    assert [manifest["digest"] for manifest in index["manifests"]] == [result.digest]
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "registry.example/api:1"
    assert ("manifest.json" in names) == (kind == "docker")
    real_count.record("build")


async def test_several_exporters_of_one_build_each_find_their_destination(
    lab: Lab, real_count: RealCount, app: Path, tmp_path: Path
) -> None:
    taken = bytearray()

    async def take(stream: AsyncIterator[bytes]) -> None:
        async for data in stream:
            taken.extend(data)

    name = f"{lab.registry}/outputs"
    push = Exporter(type="image", attrs={"name": name, "push": "true", "push-by-digest": "true"})
    stream = Exporter(type="tar", attrs={}, destination=StreamDestination(consume=take))

    result = await build(lab, app, push, archive("tar", tmp_path / "file.tar"), stream, local(tmp_path / "tree"))

    assert result.digest
    assert taken == (tmp_path / "file.tar").read_bytes()
    assert (tmp_path / "tree/deep/er/file").read_bytes() == b"one"
    real_count.record("build")


async def test_a_build_that_fails_or_is_cancelled_leaves_what_was_there(lab: Lab, app: Path, tmp_path: Path) -> None:
    (tmp_path / "old.tar").write_text("old")
    outputs = (archive("tar", tmp_path / "old.tar"), local(tmp_path / "tree"))
    before = names_in(tmp_path)

    with pytest.raises(BuildFailedError):
        await build(lab, app, *outputs, dockerfile="FROM scratch\nCOPY missing /\n")
    async with silent_server() as (url, asked), anyio.create_task_group() as tasks:
        tasks.start_soon(partial(build, lab, app, *outputs, dockerfile=f"FROM scratch\nADD {url} /\n"))
        await asked.wait()
        tasks.cancel_scope.cancel()

    assert names_in(tmp_path) == before
    assert (tmp_path / "old.tar").read_text() == "old"


async def test_a_destination_that_cannot_be_written_is_told_before_the_build(
    lab: Lab, app: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(OutputError) as caught:
        await build(lab, app, archive("tar", tmp_path / "file/out.tar"), dockerfile="this would be an error")

    assert f"{tmp_path}/file/out.tar cannot be written" in caught.value.message
