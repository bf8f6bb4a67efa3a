"""What is mounted where, out of what the kernel tells."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import mountinfo

TOLD = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
50 27 0:44 / /mnt/ceph rw,relatime shared:7 master:2 - fuse.ceph-fuse ceph-fuse rw,user_id=0
51 50 7:3 / /mnt/ceph/.fpb-1a2b3c/layers rw - ext4 /dev/loop3 rw
52 27 0:45 / /mnt/two\\040words rw - nfs4 server:/x\\134y rw
53 52 0:46 / /mnt/two\\040words rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("place", "kind", "device"),
    [
        ("/var/lib", "ext4", "254:0"),
        ("/mnt/ceph", "fuse.ceph-fuse", "0:44"),
        ("/mnt/ceph/a", "fuse.ceph-fuse", "0:44"),
        ("/mnt/cephalopod", "ext4", "254:0"),
        ("/mnt/ceph/.fpb-1a2b3c/layers/x", "ext4", "7:3"),
        ("/mnt/two words/x", "tmpfs", "0:46"),
    ],
)
def test_a_place_lies_on_the_nearest_mount_and_of_two_on_one_point_on_the_later(
    place: str, kind: str, device: str
) -> None:
    found = mountinfo.holding(mountinfo.parse(TOLD), Path(place))

    assert found is not None
    assert (found.kind, found.device) == (kind, device)


def test_what_is_below_a_directory_is_told_in_the_order_of_unmounting() -> None:
    found = mountinfo.below(mountinfo.parse(TOLD), Path("/mnt"))

    assert [mount.kind for mount in found] == ["tmpfs", "nfs4", "ext4", "fuse.ceph-fuse"]
    assert found[1].source == "server:/x\\y"


def test_the_kernel_tells_of_this_machine_what_can_be_read() -> None:
    found = mountinfo.holding(mountinfo.read(), Path("/proc/self"))

    assert found is not None
    assert found.kind == "proc"


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    found = mountinfo.parse(text)

    assert len(found) <= len(text.splitlines())


@given(
    st.text(
        alphabet=st.characters(codec="utf-8", exclude_characters="\0/\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1
    )
)
def test_every_name_of_a_directory_comes_back(name: str) -> None:
    told = "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in name)

    found = mountinfo.parse(f"1 0 8:1 / /{told} rw - ext4 /dev/sda rw\n")

    assert str(found[0].point) == str(Path(f"/{name}"))
