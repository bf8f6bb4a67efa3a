"""DiffCopy with a scripted receiver, over our own gRPC on both event loops."""

import os
import socket
import tracemalloc
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.buildkit.grpc import GrpcError, Metadata, Status
from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.filesync import FileSyncState, file_sync_handlers
from orchestrator.buildkit.session.sources import DirectorySource, MemorySource
from orchestrator.buildkit.session.transfer import data
from orchestrator.errors import ContextError
from tests.buildkit_filesync.receiver import receive, receiving

DIRECTORY = 1 << 31
SYMLINK = 1 << 27
NAMED_PIPE = 1 << 25
SETUID = 1 << 23
STICKY = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def state() -> FileSyncState:
    return FileSyncState()


def source(root: Path) -> tuple[DirectorySource]:
    return (DirectorySource(name="context", root=root),)


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def write_many(root: Path, count: int, *, store: Path | None) -> None:
    """Empty files in 20 directories, each with another name in a store, where there is one."""
    for directory in range(20):
        (root / f"packages-{directory:02}").mkdir()
        for number in range(count // 20):
            path = root / f"packages-{directory:02}" / f"some-component-{number:05}.module.css"
            os.mknod(path)
            if store:
                store.mkdir(exist_ok=True)
                (store / f"{directory}-{number}").hardlink_to(path)


def write_bytes(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:  # noqa: PTH123  pathlib knows no bytes
        file.write(content)


def is_file(stat: Stat) -> bool:
    return not stat.mode >> 20


@given(st.integers(0, 2**32 - 1), st.binary(max_size=40_000))
def test_a_piece_of_a_file_is_the_packet_that_protobuf_reads(number: int, chunk: bytes) -> None:
    packet = Packet.FromString(b"".join(data(number, chunk)))

    assert packet == Packet(type=Packet.PACKET_DATA, id=number, data=chunk)


async def test_a_directory_is_followed_by_what_is_in_it(root: Path, state: FileSyncState) -> None:
    write(root, "a/x", "a-b", "a.b", "a/y/z", "b", "é", "B")

    receiver = await receive(source(root), state)

    assert receiver.paths == ["B", "a", "a/x", "a/y", "a/y/z", "a-b", "a.b", "b", "é"]
    assert state.entries == len(receiver.paths)


async def test_a_stat_says_what_the_daemon_compares(root: Path, state: FileSyncState) -> None:
    write(root, "plain", "dir/x")
    (root / "plain").chmod(0o4640)
    (root / "dir").chmod(0o1777)
    (root / "link").symlink_to("../else where")
    os.mkfifo(root / "pipe", 0o600)
    for name in ("plain", "dir", "pipe"):
        os.utime(root / name, ns=(1, 1_234_567_890_123_456_789))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(root / "socket"))

        receiver = await receive(source(root), state)

    stats = {stat.path.decode(): stat for stat in receiver.stats}
    assert set(stats) == {"plain", "dir", "dir/x", "link", "pipe", "socket"}
    assert (is_file(stats["socket"]), stats["socket"].size) == (True, 0)
    assert stats["plain"] == Stat(path=b"plain", mode=SETUID | 0o640, size=5, mod_time=1_234_567_890_123_456_789)
    assert stats["dir"] == Stat(path=b"dir", mode=DIRECTORY | STICKY | 0o777, mod_time=1_234_567_890_123_456_789)
    assert stats["pipe"] == Stat(path=b"pipe", mode=NAMED_PIPE | 0o600, mod_time=1_234_567_890_123_456_789)
    assert (stats["link"].mode, stats["link"].linkname, stats["link"].size) == (SYMLINK | 0o777, b"../else where", 13)


async def test_only_what_is_asked_for_is_sent(root: Path, state: FileSyncState) -> None:
    write(root, "old", "empty", "new", "dir/new")
    big = os.urandom(1_300_001)
    (root / "big").write_bytes(big)
    (root / "empty").write_bytes(b"")

    receiver = await receive(source(root), state, ask=lambda stat: is_file(stat) and stat.path != b"old")

    assert receiver.contents == {"big": big, "empty": b"", "new": b"new", "dir/new": b"dir/new"}
    assert state.files_requested == 4
    assert state.error is None


async def test_files_are_sent_while_the_list_still_goes_out(root: Path, state: FileSyncState) -> None:
    write(root, "0")
    for number in range(1, 6000):
        os.mknod(root / f"{number:05}")

    async with receiving(source(root), state) as receiver:
        while not receiver.stats:
            await receiver.step()
        await receiver.ask("0")
        await receiver.take()
        listed_before_the_content_came = receiver.listed
        await receiver.list()
        await receiver.finish()

    assert receiver.contents == {"0": b"0"}
    assert not listed_before_the_content_came
    assert len(receiver.stats) == 6000


async def test_an_unchanged_app_costs_few_bytes_per_entry(root: Path, state: FileSyncState) -> None:
    write(root, *(f"packages/component-{number:03}/node_modules/module/file.js" for number in range(300)))

    receiver = await receive(source(root), state)

    assert len(receiver.stats) > 300
    assert state.sent_bytes / state.entries < 150


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((("followpaths", ".dockerignore"),), [".dockerignore"]),
        ((("followpaths", "Dockerfile"), ("followpaths", "link")), ["Dockerfile", "link", "src", "src/a.py"]),
        ((("exclude-patterns", "*"), ("exclude-patterns", "!src/*.py")), ["src", "src/a.py"]),
        ((("include-patterns", "src/b c"),), ["src", "src/b c"]),
        ((("include-patterns", "%C3%A9"), ("include-patterns-encoded", "1")), ["é"]),
        ((("include-patterns", "src%2Fb+c"), ("include-patterns-encoded", "true")), ["src", "src/b c"]),
        ((("include-patterns", "src%2Fb+c"), ("include-patterns-encoded", "0")), []),
        ((("followpaths", "."), ("exclude-patterns", "**"), ("exclude-patterns", "!link")), ["link"]),
    ],
)
async def test_the_daemon_gets_what_its_patterns_choose(
    root: Path, state: FileSyncState, metadata: Metadata, expected: list[str]
) -> None:
    write(root, ".dockerignore", "Dockerfile", "src/a.py", "src/b c", "é")
    (root / "link").symlink_to("src/a.py")

    receiver = await receive(source(root), state, metadata=metadata)

    assert receiver.paths == expected


async def test_a_source_that_is_not_offered_is_refused_by_name(root: Path, state: FileSyncState) -> None:
    sources = (DirectorySource(name="context", root=root), MemorySource(name="dockerfile", files={}))

    with pytest.raises(GrpcError) as caught:
        await receive(sources, state, name="home")

    assert caught.value.status is Status.NOT_FOUND
    assert caught.value.message == "no source is named 'home'; this build offers context, dockerfile"


def vanish(path: Path) -> None:
    path.unlink()


def grow(path: Path) -> None:
    path.write_bytes(b"longer than it was")


def become_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("../../outside")


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))


def lead_elsewhere(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    (path.parents[2] / "elsewhere").mkdir()
    (path.parents[2] / "elsewhere" / path.name).write_text("secret")
    path.parent.symlink_to("../elsewhere")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (vanish, "vanished"),
        (grow, "changed its size"),
        (become_a_link, "became something else"),
        (become_a_pipe, "became something else"),
        (become_a_directory, "became something else"),
        (become_a_socket, "became something else"),
        (lead_elsewhere, "became something else"),
    ],
)
async def test_a_file_that_changes_between_list_and_request_fails_the_transfer(
    root: Path, state: FileSyncState, change: Callable[[Path], None], what: str
) -> None:
    write(root, "dir/file", "other")
    (root.parent / "outside").write_text("secret")

    async with receiving(source(root), state) as receiver:
        await receiver.list()
        change(root / "dir/file")
        await receiver.ask("dir/file")
        with pytest.raises(GrpcError) as caught:
            await receiver.take()

    assert isinstance(state.error, ContextError)
    assert state.error.message.startswith(f"{root}/dir/file {what}")
    assert state.error.hint
    assert receiver.errors == [state.error.message]
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert receiver.contents == {}


async def test_a_file_that_grows_while_it_is_read_fails_the_transfer(root: Path, state: FileSyncState) -> None:
    (root / "log").write_bytes(bytes(64 * 1024 * 1024))

    async with receiving(source(root), state) as receiver:
        await receiver.list()
        await receiver.ask("log")
        await receiver.step()
        with (root / "log").open("ab") as log:
            log.write(b"one more line")
        with pytest.raises(GrpcError):
            await receiver.take()

    assert state.error
    assert "changed its size" in state.error.message


@contextmanager
def unprivileged(root: Path) -> Generator[None]:
    """Root may read everything: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    closed = {path: path.stat().st_mode for path in root.parents if path.stat().st_mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in closed.items():
            path.chmod(mode)


async def test_an_unreadable_file_is_named_when_the_daemon_wants_it(root: Path, state: FileSyncState) -> None:
    write(root, "secret.key")
    (root / "secret.key").chmod(0)

    with unprivileged(root), pytest.raises(GrpcError):
        await receive(source(root), state, ask=is_file)

    assert state.error
    assert state.error.message == f"{root}/secret.key cannot be read: Permission denied"
    assert ".dockerignore" in state.error.hint


async def test_an_unreadable_directory_is_named(root: Path, state: FileSyncState) -> None:
    write(root, "a", "private/x")
    (root / "private").chmod(0)

    with unprivileged(root), pytest.raises(GrpcError):
        await receive(source(root), state)

    assert state.error
    assert state.error.message == f"{root}/private cannot be read: Permission denied"


async def test_an_unreadable_directory_that_is_ignored_is_nobodys_business(root: Path, state: FileSyncState) -> None:
    write(root, "a", "private/x")
    (root / "private").chmod(0)
    ignored = (("exclude-patterns", "private"), ("exclude-patterns", "!**/y"))

    with unprivileged(root):
        receiver = await receive(source(root), state, metadata=ignored)

    assert receiver.paths == ["a"]


async def test_names_are_bytes_and_come_in_the_order_of_their_bytes(root: Path, state: FileSyncState) -> None:
    names = [b"a", b"caf\xe9", b"dir\xff", b"dir\xff/x", b"\xc3\xa9", b"\xef\xbf\xbf", b"\xf0\x9f\x98\x80", b"\xff"]
    for name in names:
        path = os.fsencode(root) + b"/" + name
        if name == b"dir\xff":
            os.mkdir(path)  # noqa: PTH102  pathlib knows no bytes
        else:
            os.symlink(name, path) if name == b"\xff" else write_bytes(path, name)  # noqa: PTH211  as above

    receiver = await receive(source(root), state, ask=is_file)

    assert [stat.path for stat in receiver.stats] == names
    assert receiver.stats[-1].linkname == b"\xff"
    assert receiver.contents["caf\udce9"] == b"caf\xe9"


async def test_names_of_one_file_are_links_to_the_first_that_is_sent(root: Path, state: FileSyncState) -> None:
    write(root, "a", "b/c")
    for name in ("b/d", "e", "f"):
        (root / name).hardlink_to(root / "a")

    receiver = await receive(source(root), state, metadata=(("exclude-patterns", "a"),), ask=lambda s: s.path == b"b/d")

    links = {stat.path: stat.linkname for stat in receiver.stats if is_file(stat)}
    assert links == {b"b/c": b"", b"b/d": b"", b"e": b"b/d", b"f": b"b/d"}
    assert receiver.contents == {"b/d": b"a"}


async def test_extended_attributes_are_sent_and_those_of_a_links_target_are_not(
    root: Path, state: FileSyncState
) -> None:
    write(root, "plain", "dir/marked")
    os.setxattr(root / "dir/marked", "user.a", b"1\0")
    os.setxattr(root / "dir", "user.b", b"")
    (root / "link").symlink_to("dir")

    receiver = await receive(source(root), state)

    assert {stat.path: dict(stat.xattrs) for stat in receiver.stats if stat.xattrs} == {
        b"dir": {"user.b": b""},
        b"dir/marked": {"user.a": b"1\0"},
    }


async def test_a_name_that_is_no_text_may_be_ignored(root: Path, state: FileSyncState) -> None:
    os.mknod(os.fsencode(root) + b"/caf\xe9")
    write(root, "a")

    receiver = await receive(source(root), state, metadata=(("exclude-patterns", "caf?"),))

    assert receiver.paths == ["a"]


async def test_control_characters_of_a_name_do_not_reach_the_terminal(root: Path, state: FileSyncState) -> None:
    write(root, "evil\x1b[2J\nname")

    async def remove() -> None:
        (root / "evil\x1b[2J\nname").unlink()

    with pytest.raises(GrpcError):
        await receive(source(root), state, ask=is_file, listed=remove)

    assert state.error
    assert state.error.message.isprintable()


@pytest.mark.parametrize(
    ("packets", "status"),
    [
        ([Packet(type=Packet.PACKET_REQ, id=7)], Status.INVALID_ARGUMENT),
        ([Packet(type=Packet.PACKET_REQ, id=1)], Status.INVALID_ARGUMENT),
        ([Packet(type=Packet.PACKET_REQ), Packet(type=Packet.PACKET_REQ)], Status.INVALID_ARGUMENT),
        ([Packet(type=Packet.PACKET_DATA)], Status.INVALID_ARGUMENT),
        ([Packet(type=Packet.PACKET_ERR, data=b"disk full")], Status.ABORTED),
    ],
    ids=["no such entry", "a directory", "twice", "not a receiver's", "its own error"],
)
async def test_what_a_receiver_may_not_say_ends_the_call_and_is_not_our_error(
    root: Path, state: FileSyncState, packets: list[Packet], status: Status
) -> None:
    write(root, "a", "dir/x")

    async with receiving(source(root), state) as receiver:
        await receiver.list()
        for packet in packets:
            await receiver.call.send(packet.SerializeToString())
        with pytest.raises(GrpcError) as caught:
            await receiver.finish()

    assert caught.value.status is status
    assert state.error is None


@given(st.binary(min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
async def test_any_bytes_of_a_receiver_end_in_an_answer(message: bytes) -> None:
    async with receiving((MemorySource(name="context", files={"a": b"1"}),), FileSyncState()) as receiver:
        await receiver.list()
        await receiver.call.send(message)
        await receiver.call.end()
        with suppress(GrpcError), anyio.fail_after(10):
            while True:
                await receiver.call.receive()
                if message == b"\x08\x03":
                    break


async def test_a_receiver_that_leaves_ends_the_transfer(root: Path, state: FileSyncState) -> None:
    for number in range(3000):
        os.mknod(root / f"{number:05}")

    with anyio.fail_after(10):
        async with receiving(source(root), state) as receiver:
            await receiver.step()

    assert state.error is None


async def test_a_malformed_pattern_fails_the_transfer_before_anything_is_listed(
    root: Path, state: FileSyncState
) -> None:
    write(root, "a")

    with pytest.raises(GrpcError):
        await receive(source(root), state, metadata=(("exclude-patterns", "a["),))

    assert state.error
    assert "'a['" in state.error.message
    assert state.entries == 0


@pytest.mark.parametrize("make", [Path.absolute, Path.touch], ids=["missing", "a file"])
def test_a_root_that_is_no_directory_is_found_before_the_build(
    tmp_path: Path, state: FileSyncState, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "app")

    with pytest.raises(ContextError) as caught:
        file_sync_handlers(source(tmp_path / "app"), state)

    assert str(tmp_path / "app") in caught.value.message


async def test_a_root_may_be_a_symlink(tmp_path: Path, root: Path, state: FileSyncState) -> None:
    write(root, "a")
    (tmp_path / "link").symlink_to(root)

    receiver = await receive(source(tmp_path / "link"), state, ask=is_file)

    assert receiver.contents == {"a": b"a"}


async def test_generated_files_arrive_with_their_directories(state: FileSyncState) -> None:
    files = {"Dockerfile": b"FROM scratch", "deep/er/file": b"x"}

    receiver = await receive((MemorySource(name="context", files=files),), state, ask=is_file)

    assert receiver.paths == ["Dockerfile", "deep", "deep/er", "deep/er/file"]
    assert receiver.contents == files


async def test_a_generated_file_has_another_time_when_it_has_another_content(state: FileSyncState) -> None:
    stats = [
        (await receive((MemorySource(name="context", files={"Dockerfile": content}),), state)).stats[0]
        for content in (b"FROM node:22", b"FROM node:24", b"FROM node:22")
    ]

    assert stats[0] == stats[2]
    assert (stats[0].size, stats[0].mode) == (stats[1].size, stats[1].mode)
    assert stats[0].mod_time != stats[1].mod_time


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", ".", ""])
def test_a_generated_file_stays_inside(path: str, state: FileSyncState) -> None:
    with pytest.raises(ContextError):
        file_sync_handlers((MemorySource(name="context", files={path: b""}),), state)


def test_a_generated_path_is_not_file_and_directory_at_once(state: FileSyncState) -> None:
    with pytest.raises(ContextError):
        file_sync_handlers((MemorySource(name="context", files={"a/b": b"", "a": b""}),), state)


async def test_no_descriptor_stays_open(root: Path, state: FileSyncState) -> None:
    write(root, *(f"{number % 7}/{number}" for number in range(100)))

    async def remove() -> None:
        (root / "3/10").unlink()

    await receive(source(root), state, ask=is_file)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  names are all there is
    await receive(source(root), state, ask=is_file)
    with pytest.raises(GrpcError):
        await receive(source(root), state, ask=is_file, listed=remove)

    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208  as above


@pytest.mark.parametrize("stored", [False, True], ids=["files", "links into a package manager's store"])
async def test_a_huge_list_needs_little_memory(
    root: Path,
    state: FileSyncState,
    stored: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    count = 10_000
    write_many(root, count, store=root.parent / "store" if stored else None)

    async with receiving(source(root), state) as receiver:
        await receiver.step()
        tracemalloc.start()
        try:
            for _ in range(count + 19):
                await receiver.call.receive()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert await receiver.call.receive() == b""
        await receiver.finish()

    assert state.entries == count + 20
    assert peak / count < 400


async def test_a_file_of_5_gibibytes_is_announced_whole_and_read_piece_by_piece(
    root: Path, state: FileSyncState
) -> None:
    size, wanted = 5 * 1024**3, 64 * 1024**2
    with (root / "disk.img").open("wb") as file:
        file.truncate(size)

    async with receiving(source(root), state) as receiver:
        await receiver.list()
        await receiver.send(Packet.PACKET_REQ)
        got = 0
        while got < wanted:
            got += len(Packet.FromString(await receiver.call.receive()).data)
        await receiver.send(Packet.PACKET_ERR, data=b"enough")
        with pytest.raises(GrpcError, match="enough"):
            async for _ in receiver.call:
                pass

    assert receiver.stats[0].size == size
    assert state.sent_bytes < 2 * wanted


async def test_a_huge_file_needs_little_memory(root: Path, state: FileSyncState) -> None:
    size = 128 * 1024 * 1024
    with (root / "disk.img").open("wb") as file:
        file.truncate(size)

    async with receiving(source(root), state) as receiver:
        await receiver.list()
        tracemalloc.start()
        try:
            await receiver.send(Packet.PACKET_REQ)
            got = 0
            while data := Packet.FromString(await receiver.call.receive()).data:
                got += len(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await receiver.finish()

    assert got == size
    assert peak < 16 * 1024 * 1024
