"""Generated contexts on the real daemon: the image must be the one that `buildctl` gets, by digest.

Two clients get the same image when timestamps are rewritten, attestations are off and both send the same files; the
second client builds without cache, so that its own context is what makes its layer.
"""

import json
import os
import secrets
import stat
import struct
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.buildkit import Client, DirectorySource, Exporter, MemorySource, SolveRequest, StatusUpdate
from orchestrator.config import environment
from orchestrator.errors import FleetpacksError
from remote.address import UnixAddress
from remote.connect import connect
from tests.conftest import RealCount
from tests.lab import Lab

NAMES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "a.b",
        "a-b",
        ".x",
        "é",
        "日本",
        "a b",
        "[a]",
        "a*",
        "-n",
        "#c",
        "!d",
        "a\\b",
        "$e",
        "node_modules",
        "\U0001f600",
    ]
) | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..", ".dockerignore")
)

# What is typed into an ignore file is text; what a file is called need not be.
FILE_NAMES = NAMES | st.sampled_from([os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff")])


class File(msgspec.Struct, frozen=True):
    content: bytes
    times: int
    mode: int


class Link(msgspec.Struct, frozen=True):
    target: str


class Special(msgspec.Struct, frozen=True):
    """A FIFO, a socket or a device."""

    type: int
    mode: int


class Marked(msgspec.Struct, frozen=True):
    """A file with an extended attribute. Steps see it, images do not hold it: the daemon's chown takes a capability off
    again (fsutil diskwriter_unix.go), and of other attributes a layer knows nothing."""

    key: str
    value: bytes


class Again(msgspec.Struct, frozen=True):
    """One more name for the file that was made last, in whatever directory; a file, where there is none."""


class Directory(msgspec.Struct, frozen=True):
    entries: Mapping[str, "Entry"]
    mode: int


Entry = File | Link | Special | Marked | Again | Directory

FILES = st.builds(
    File,
    st.binary(max_size=40),
    st.sampled_from([1, 1, 9000]),
    st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o2711, 0o666]),
)
LINKS = st.builds(
    Link,
    st.tuples(
        st.sampled_from(["", "/", "../", "./"]), st.lists(FILE_NAMES | st.just(".."), min_size=1, max_size=3)
    ).map(lambda parts: parts[0] + "/".join(parts[1])),
)
SPECIALS = st.builds(
    Special, st.sampled_from([stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR]), st.sampled_from([0o644, 0o600])
)
_CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
"""CAP_NET_BIND_SERVICE, effective and permitted (linux/capability.h)."""
MARKED = st.sampled_from([Marked("security.capability", _CAPABILITY), Marked("user.any", b"\0\xff")])
MODES = st.sampled_from([0o755, 0o700, 0o1777, 0o2775])


def directories(entries: st.SearchStrategy[Entry]) -> st.SearchStrategy[Entry]:
    return st.builds(Directory, st.dictionaries(FILE_NAMES, entries, max_size=4), MODES)


ENTRIES = FILES | LINKS | SPECIALS | MARKED | st.just(Again())
TREES = st.dictionaries(FILE_NAMES, st.recursive(ENTRIES, directories, max_leaves=8), min_size=1, max_size=5)
PARTS = NAMES | st.sampled_from(["*", "**", "?", "a*", "*b", "[a-c]", "[^a]", "..", "*.b"])
IGNORES = st.lists(
    st.tuples(
        st.sampled_from(["", "", "!", "/", "# "]), st.lists(PARTS, min_size=1, max_size=3), st.sampled_from(["", "/"])
    ).map(lambda rule: rule[0] + "/".join(rule[1]) + rule[2]),
    max_size=5,
)
COPIES = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=2)


def create(directory: Path, entries: Mapping[str, Entry], last: list[Path] | None = None) -> None:
    last = [] if last is None else last
    for name, entry in entries.items():
        path = directory / name
        match entry:
            case File(content, times, mode):
                path.write_bytes(content * times)
                path.chmod(mode)
                last[:] = [path]
            case Link(target):
                path.symlink_to(target)
            case Special(kind, mode):
                os.mknod(path, kind | mode, os.makedev(1, 3) if kind == stat.S_IFCHR else 0)
            case Marked(key, value):
                path.touch()
                os.setxattr(path, key, value)
            case Again():
                path.hardlink_to(last[0]) if last else path.write_bytes(b"")
            case Directory(below, mode):
                path.mkdir()
                create(path, below, last)
                path.chmod(mode)


async def by_buildctl(lab: Lab, context: Path, dockerfile: bytes, scratch: Path) -> str | None:
    metadata = scratch / "metadata.json"
    await anyio.Path(scratch, "Dockerfile").write_bytes(dockerfile)
    result = await anyio.run_process(
        [
            os.fspath(lab.buildctl),
            f"--addr=unix://{lab.buildkitd}",
            "build",
            "--progress=plain",
            "--frontend=dockerfile.v0",
            f"--local=context={context}",
            f"--local=dockerfile={scratch}",
            "--opt=build-arg:SOURCE_DATE_EPOCH=1",
            "--opt=no-cache=",
            "--output=type=image,name=localhost/same,push=false,rewrite-timestamp=true,oci-mediatypes=true",
            f"--metadata-file={metadata}",
        ],
        check=False,
    )
    if result.returncode:
        return None
    return str(json.loads(await anyio.Path(metadata).read_bytes())["containerimage.digest"])


async def by_us(lab: Lab, context: Path, dockerfile: bytes, *, shared_key: str) -> str | None:
    async def ignore(_: StatusUpdate) -> None: ...

    request = SolveRequest(
        ref=secrets.token_hex(12),
        # As buildctl's below: an image out of the build cache would say nothing of what was sent.
        attrs={"build-arg:SOURCE_DATE_EPOCH": "1", "no-cache": ""},
        exporter=Exporter(
            type="image",
            attrs={
                "name": "localhost/same",
                "push": "false",
                "rewrite-timestamp": "true",
                "oci-mediatypes": "true",
            },
        ),
        sources=(
            DirectorySource(name="context", root=context),
            MemorySource(name="dockerfile", files={"Dockerfile": dockerfile}),
        ),
        shared_key=shared_key,
    )
    address = f"unix://{lab.buildkitd}"
    async with Client(partial(connect, UnixAddress(path=str(lab.buildkitd))), address=address) as client:
        try:
            return (await client.solve(request, on_status=ignore)).digest
        except FleetpacksError:
            return None


async def compare(
    lab: Lab, tree: Mapping[str, Entry], ignores: list[str], copies: list[str], real_count: RealCount
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        context, beside = Path(scratch, "context"), Path(scratch, "beside")
        create(Path(scratch), {"context": Directory({}, 0o755), "beside": Directory({}, 0o755)})
        create(context, tree)
        create(context, {".dockerignore": File("\n".join(ignores).encode(), 1, 0o644)})
        dockerfile = f"FROM scratch\nCOPY {json.dumps([*copies, '/'])}\n".encode()

        # Every example under one key: each transfer is a difference to the tree of the one before.
        ours = await by_us(lab, context, dockerfile, shared_key="generated")
        theirs = await by_buildctl(lab, context, dockerfile, beside)

        assert ours == theirs
        real_count.record("build", times=2 if ours else 0)


# `.ci/full` compares 500: of two tests on two event loops 125 each.
EXAMPLES = int(environment.read().get("FLEETPACKS_EXAMPLES", "20"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


ALL_KINDS: dict[str, Entry] = {
    "file": File(b"1", 1, 0o4755),
    "again": Again(),
    "below": Directory({"again": Again(), "capable": Marked("security.capability", _CAPABILITY)}, 0o1777),
    "link": Link("../file"),
    os.fsdecode(b"\xff"): Special(stat.S_IFIFO, 0o600),
    "socket": Special(stat.S_IFSOCK, 0o640),
    "device": Special(stat.S_IFCHR, 0o644),
}


@pytest.mark.real
@given(TREES, IGNORES)
@example(ALL_KINDS, ["again"])
@many
async def test_a_generated_context_becomes_the_image_that_buildctl_makes(
    lab: Lab, real_count: RealCount, tree: dict[str, Entry], ignores: list[str]
) -> None:
    await compare(lab, tree, ignores, ["."], real_count)


@pytest.mark.real
@given(TREES, IGNORES, COPIES)
@many
async def test_chosen_files_of_a_generated_context_become_the_image_that_buildctl_makes(
    lab: Lab, real_count: RealCount, tree: dict[str, Entry], ignores: list[str], copies: list[str]
) -> None:
    await compare(lab, tree, ignores, copies, real_count)
