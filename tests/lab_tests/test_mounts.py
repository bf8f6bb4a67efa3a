from pathlib import Path

import anyio
import pytest

from tests.lab.errors import LabError
from tests.lab.mounts import delete, mount_points

MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /lab rw - tmpfs tmpfs rw
31 30 0:41 / /lab/a rw - tmpfs tmpfs rw
32 31 0:42 / /lab/a/b\\040c rw - tmpfs tmpfs rw
33 22 0:43 / /laboratory rw - tmpfs tmpfs rw
34 31 0:44 / /lab/a rw - overlay overlay rw
"""


def test_mounts_below_a_directory_come_latest_first_and_nothing_else(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTINFO)

    points = mount_points(Path("/lab"), mountinfo=mountinfo)

    assert points == (Path("/lab/a"), Path("/lab/a/b c"), Path("/lab/a"), Path("/lab"))


@pytest.mark.real
async def test_deleting_unmounts_first_and_leaves_alone_what_was_mounted(tmp_path: Path) -> None:
    kept, doomed = tmp_path / "kept", tmp_path / "doomed"
    for folder in (kept, doomed / "bound", doomed / "with space"):
        folder.mkdir(parents=True)
    (kept / "file").write_text("precious")
    (doomed / "link").symlink_to(kept)
    await anyio.run_process(["mount", "--bind", str(kept), str(doomed / "bound")])
    await anyio.run_process(["mount", "-t", "tmpfs", "tmpfs", str(doomed / "with space")])

    await delete(doomed)

    assert not doomed.exists()
    assert (kept / "file").read_text() == "precious"
    assert mount_points(tmp_path) == ()


@pytest.mark.real
async def test_what_cannot_be_unmounted_is_not_deleted(tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    busy.mkdir()
    await anyio.run_process(["mount", "-t", "tmpfs", "tmpfs", str(busy)])

    with (busy / "open").open("w"), pytest.raises(LabError, match="busy is still mounted") as caught:
        await delete(tmp_path / "busy")

    assert (busy / "open").exists()
    assert "nothing was deleted" in caught.value.hint
    await delete(busy)
