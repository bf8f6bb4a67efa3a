"""Images of ours as named contexts: read by real daemons from a layout, through the session."""

import secrets
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from orchestrator.bench.work import image
from orchestrator.buildkit import Client, Layout, SolveRequest
from orchestrator.errors import FleetpacksError
from remote import address, connect
from tests.buildkit.real import Watched, client, request, shell_root
from tests.conftest import RealCount
from tests.lab import Engine, Lab

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.real
STEP = 'FROM ours\nRUN ["/bin/cat", "/greeting"]\n'


async def on_image(layout: Path, greeting: str) -> SolveRequest:
    """A build on an image in a layout, which has a shell and a file."""
    files = await shell_root()

    def fill(tar: tarfile.TarFile) -> None:
        image.file(tar, "greeting", greeting.encode())
        for path, content in files.items():
            image.file(tar, path, content, mode=0o755)

    digest = image.write(layout, [fill])
    return msgspec.structs.replace(
        request(STEP, context={}),
        attrs={"filename": "Dockerfile", "context:ours": f"oci-layout://store@{digest}"},
        layouts={"store": Layout(layout)},
    )


async def built(daemon: Client, wanted: SolveRequest) -> bytes:
    watched = Watched()
    await daemon.solve(wanted, on_status=watched)
    return watched.log(1)


async def test_a_build_stands_on_an_image_in_a_layout(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    greeting = secrets.token_hex(8)

    async with client(lab.buildkitd) as daemon:
        said = await built(daemon, await on_image(tmp_path, greeting))
    real_count.record("build")

    assert said == greeting.encode()


async def test_so_does_one_in_an_engine_that_keeps_images_in_containerds_store(
    engine_containerd: Engine, tmp_path: Path, real_count: RealCount
) -> None:
    greeting = secrets.token_hex(8)
    at = address.parse(f"docker://{engine_containerd.socket}")

    async with Client(await connect.dialer(at), address=str(at)) as daemon:
        said = await built(daemon, await on_image(tmp_path, greeting))
    real_count.record("build")

    assert said == greeting.encode()


async def test_a_blob_that_is_missing_or_damaged_fails_the_build(lab: Lab, tmp_path: Path) -> None:
    spoils: tuple[Callable[[Path], object], ...] = (Path.unlink, lambda blob: blob.write_bytes(b"something else"))
    for number, spoil in enumerate(spoils):
        wanted = await on_image(tmp_path / str(number), secrets.token_hex(8))
        blobs = tmp_path / str(number) / "blobs/sha256"
        spoil(max(blobs.iterdir(), key=lambda blob: blob.stat().st_size))

        async with client(lab.buildkitd) as daemon:
            with pytest.raises(FleetpacksError):
                await built(daemon, wanted)


@pytest.mark.parametrize("digest", ["", "sha256:", f"sha256:{'0' * 64}", "sha256:../../secret", "sha512:" + "0" * 64])
def test_only_blobs_of_the_layout_can_be_read(tmp_path: Path, digest: str) -> None:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    layout = Layout(tmp_path)

    assert layout.size(digest) is None
    assert layout.open(digest) is None
