"""Recorded from Docker Engine 20.10.24+dfsg1 (graph driver) and 2.0.0-beta.24 (containerd's image store)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.docker import CacheRecord, replies
from orchestrator.docker.model import DiskUsage, Progress, Pruned

DIGEST = "sha256:8d50cab1e940504cf9c57a1e68c4a67907be95674164765ded5f13c780e4872d"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["id", "status", "stream", "progressDetail", "aux", "Version", "Driver", "Images", "BuildCache"])


@pytest.mark.parametrize(
    ("reply", "pushed", "pulled", "complete", "loaded"),
    [
        ({"status": "The push refers to repository [127.0.0.1:5000/t/a]"}, None, None, False, None),
        ({"status": f"1: digest: {DIGEST} size: 947"}, DIGEST, None, False, None),
        ({"progressDetail": {}, "aux": {"Tag": "1", "Digest": DIGEST, "Size": 947}}, DIGEST, None, False, None),
        (
            {"aux": {"manifestPushedInsteadOfIndex": True, "selectedManifest": {"digest": DIGEST}}},
            None,
            None,
            False,
            None,
        ),
        ({"status": "Pulling from library/debian", "id": "trixie-slim"}, None, None, False, None),
        ({"status": f"Digest: {DIGEST}"}, None, DIGEST, False, None),
        ({"status": "Status: Downloaded newer image for r.example/a:1"}, None, None, True, None),
        ({"stream": "Loaded image: r.example/a:1\n"}, None, None, False, "r.example/a:1"),
        ({"stream": f"Loaded image ID: {DIGEST}\n"}, None, None, False, DIGEST),
        # A layer's id and a tag are the registry's words: they end nothing.
        ({"id": "x", "status": "Status: Downloaded newer image"}, None, None, False, None),
        ({"id": "x", "status": f"Digest: {DIGEST}"}, None, None, False, None),
    ],
)
def test_a_line_says_what_has_come_to_its_end(
    reply: Mapping[str, Any],
    pushed: str | None,
    pulled: str | None,
    complete: bool,  # noqa: FBT001 -- a table's column
    loaded: str | None,
) -> None:
    line = replies.line(reply)

    assert (line.pushed, line.pulled, line.complete, line.loaded) == (pushed, pulled, complete, loaded)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"status": "Pushed", "progressDetail": {}, "id": "d81de5a05411"}, ("Pushed", None, None)),
        ({"status": "Pulling", "progressDetail": {"hidecounts": True}, "id": "e882"}, ("Pulling", None, None)),
        ({"status": "Pushing", "progressDetail": {"current": 5, "total": 9}, "id": "d8"}, ("Pushing", 5, 9)),
        ({"status": "Pushing", "progressDetail": {"current": 5, "total": -1}, "id": "d8"}, ("Pushing", 5, None)),
        ({"status": "Extracting", "progressDetail": {"current": 1, "units": "s"}, "id": "d8"}, ("Extracting", 1, None)),
    ],
)
def test_a_line_says_how_far_a_layer_is(reply: Mapping[str, Any], expected: tuple[str, int | None, int | None]) -> None:
    progress = replies.line(reply).progress("r.example/a:1")

    status, current, total = expected
    assert progress == Progress(
        reference="r.example/a:1", layer=reply["id"], status=status, current=current, total=total
    )


@pytest.mark.parametrize(
    ("driver", "status", "containerd"),
    [
        ("overlay2", [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], False),
        ("overlayfs", [["driver-type", "io.containerd.snapshotter.v1"]], True),
        ("vfs", None, False),
    ],
)
def test_an_engine_says_how_it_keeps_images(driver: str, status: object, containerd: bool) -> None:  # noqa: FBT001 -- as above
    reply = {
        "Driver": driver,
        "DriverStatus": status,
        "DockerRootDir": "/var/lib/docker",
        "Architecture": "x86_64",
        "NCPU": 2,
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
    }

    info = replies.info(reply, version="20.10.24", api="1.41")

    assert (info.storage, info.containerd, info.rootless) == (driver, containerd, True)


def test_disk_usage_adds_up() -> None:
    record = {
        "ID": "5xh",
        "Parent": "",
        "Type": "regular",
        "Description": "mount / from exec /bin/sh -c make",
        "InUse": False,
        "Shared": True,
        "Size": 100,
        "CreatedAt": "2026-11-21T14:00:00.000000001Z",
        "LastUsedAt": "0001-01-01T00:00:00Z",
        "UsageCount": 1,
    }
    reply = {
        "LayersSize": 500,
        "Images": [{"Id": "a"}, {"Id": "b"}],
        "Containers": [{"Id": "c", "SizeRw": 7}, {"Id": "d"}],
        "Volumes": [{"Name": "v", "UsageData": {"RefCount": 1, "Size": 11}}, {"Name": "w", "UsageData": {"Size": -1}}],
        "BuildCache": [record],
        "BuilderSize": 100,
    }

    assert replies.usage(reply) == DiskUsage(
        images=2,
        layers=500,
        containers=7,
        volumes=11,
        cache=(
            CacheRecord(
                id="5xh",
                type="regular",
                description="mount / from exec /bin/sh -c make",
                size=100,
                in_use=False,
                shared=True,
                created=1795269600.0,
                last_used=None,
            ),
        ),
    )


def test_an_empty_disk_is_said_with_null() -> None:
    reply: dict[str, object] = {
        "LayersSize": 0,
        "Images": None,
        "Containers": [],
        "Volumes": None,
        "BuildCache": None,
        "BuilderSize": 0,
    }

    assert replies.usage(reply) == DiskUsage(images=0, layers=0, containers=0, volumes=0, cache=())


def test_what_was_pruned_is_named() -> None:
    cache = {"CachesDeleted": ["5xh"], "SpaceReclaimed": 100}
    images = {"ImagesDeleted": [{"Untagged": "r.example/a:1"}, {"Deleted": DIGEST}], "SpaceReclaimed": 50}
    nothing = {"CachesDeleted": None, "SpaceReclaimed": 0}

    assert replies.pruned(cache=cache, images=images) == Pruned(
        images=("r.example/a:1", DIGEST), cache=("5xh",), reclaimed=150
    )
    assert replies.pruned(cache=nothing, images={"ImagesDeleted": None, "SpaceReclaimed": 0}) == Pruned(
        images=(), cache=(), reclaimed=0
    )


@pytest.mark.parametrize("read", [replies.line, replies.version, replies.usage])
@given(reply=st.dictionaries(KEYS, JSON))
def test_a_reply_of_any_shape_is_read_or_refused(
    read: Callable[[Mapping[str, Any]], object], reply: Mapping[str, Any]
) -> None:
    try:
        read(reply)
    except msgspec.ValidationError:
        return


@given(reply=st.dictionaries(KEYS, JSON))
def test_a_line_of_any_shape_has_no_surprise_in_it(reply: Mapping[str, Any]) -> None:
    try:
        line = replies.line(reply)
    except msgspec.ValidationError:
        return

    assert isinstance(line.progress("r.example/a:1"), Progress | None)
    assert line.pushed is None or line.pushed.startswith("sha256:") or line.aux is not None
    assert not (line.complete and line.pulled)
