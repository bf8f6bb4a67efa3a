"""What a hostile daemon may say: everything but the way out of the destination."""

import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.treewriter import Directory, TreeWriter, finish_directory
from orchestrator.errors import OutputError, ProtocolError

DIRECTORY, SYMLINK, DEVICE, PIPE, SOCKET, SETUID, SETGID, STICKY, CHAR, IRREGULAR = (
    1 << bit for bit in (31, 27, 26, 25, 24, 23, 22, 20, 21, 19)
)


def listed(path: str | bytes, mode: int = 0o644, size: int = 0, **more: object) -> bytes:
    name = path.encode() if isinstance(path, str) else path
    return Packet(type=Packet.PACKET_STAT, stat=Stat(path=name, mode=mode, size=size, **more)).SerializeToString()  # type: ignore[arg-type]  # fields by name


def data(number: int, content: bytes = b"") -> bytes:
    return Packet(type=Packet.PACKET_DATA, id=number, data=content).SerializeToString()


END = Packet(type=Packet.PACKET_STAT).SerializeToString()
FIN = Packet(type=Packet.PACKET_FIN).SerializeToString()


class Tree:
    """A destination, and what surrounds it."""

    def __init__(self, around: Path) -> None:
        self.around = around
        self.path = around / "tree"
        self.path.mkdir()
        (around / "secret").write_text("untouched")
        self.directories: list[Directory] = []
        self.root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self.writer = TreeWriter(self.root, self.directories)

    def feed(self, *messages: bytes) -> list[Packet]:
        return [Packet.FromString(reply) for reply in self.writer.feed(messages)]

    def is_intact(self) -> bool:
        names = {path.name for path in self.around.iterdir()}
        return names == {"tree", "secret"} and (self.around / "secret").read_text() == "untouched"


@contextmanager
def opened(around: Path) -> Generator[Tree]:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- counted, not looked at
    tree = Tree(around)
    try:
        yield tree
    finally:
        tree.writer.close()
        os.close(tree.root)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 -- as above


@pytest.fixture
def tree(tmp_path: Path) -> Generator[Tree]:
    with opened(tmp_path) as tree:
        yield tree


def test_a_tree_is_asked_for_and_written(tree: Tree) -> None:
    first = tree.feed(listed("a", size=5), listed("d", DIRECTORY | 0o750), listed("d/b", SETUID | 0o755, size=1))
    second = tree.feed(data(2, b"b"), data(0, b"he"), data(0, b"llo"), END, data(0), data(2))
    third = tree.feed(FIN)

    assert [(reply.type, reply.id) for reply in first] == [(Packet.PACKET_REQ, 0), (Packet.PACKET_REQ, 2)]
    assert [reply.type for reply in second] == [Packet.PACKET_FIN]
    assert third == []
    assert tree.writer.finished
    assert (tree.path / "a").read_bytes() == b"hello"
    assert stat.S_IMODE((tree.path / "d/b").stat().st_mode) == 0o755
    assert tree.directories == [Directory(path=b"d", mode=0o750, mtime=0)]


def test_files_are_asked_for_a_few_at_a_time_and_all_in_the_end(tree: Tree) -> None:
    asked = tree.feed(*(listed(f"{number:03}", size=1) for number in range(100)), END)
    most = len(asked)
    answered: list[int] = []

    while asked[0].type == Packet.PACKET_REQ:
        first = asked.pop(0)
        answered.append(first.id)
        asked += tree.feed(data(first.id, b"x"), data(first.id))

    assert most < 50
    assert answered == list(range(100))


def test_what_is_so_deep_that_it_could_not_be_deleted_is_refused(tree: Tree) -> None:
    paths = ["/".join("d" * depth) for depth in range(1, 302)]

    tree.feed(*(listed(path, DIRECTORY | 0o755) for path in paths[:300]))
    with pytest.raises(OutputError, match="more than 300 directories"):
        tree.feed(listed(paths[300], DIRECTORY | 0o755))


def test_an_empty_file_is_not_asked_for(tree: Tree) -> None:
    replies = tree.feed(listed("none", 0o600, mod_time=1_500_000_000), END)

    assert [reply.type for reply in replies] == [Packet.PACKET_FIN]
    status = (tree.path / "none").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o600, 1_500_000_000)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/secret", "../secret", "..", ".", "./a", "a/../../secret", "a//b", "a/", "a/./b", "\0", "a\0b", "d/.."],
)
@pytest.mark.parametrize("mode", [0o644, DIRECTORY | 0o755, SYMLINK | 0o777, PIPE | 0o644])
def test_a_path_that_is_not_clean_is_refused(tree: Tree, path: str, mode: int) -> None:
    tree.feed(listed("d", DIRECTORY | 0o755))

    with pytest.raises(ProtocolError, match="no clean path"):
        tree.feed(listed(path, mode, linkname=b"x"))

    assert tree.is_intact()


@pytest.mark.parametrize("target", ["..", "/", "../secret", ".", "d"])
@pytest.mark.parametrize(
    "then",
    [
        listed("l/x", size=1),
        listed("l/x", DIRECTORY | 0o755),
        listed("l/x", SYMLINK | 0o777, linkname=b"y"),
        listed("l/x", PIPE | 0o644),
        listed("l/x", linkname=b"first"),
        listed("z", linkname=b"l/secret"),
        listed("l", size=1),
        listed("l", DIRECTORY | 0o755),
    ],
)
def test_no_link_that_the_daemon_made_leads_it_anywhere(tree: Tree, target: str, then: bytes) -> None:
    tree.feed(listed("d", DIRECTORY | 0o755), listed("first"), listed("l", SYMLINK | 0o777, linkname=target.encode()))

    with pytest.raises(ProtocolError):
        tree.feed(then)

    assert tree.is_intact()
    assert (tree.path / "l").readlink() == Path(target)
    assert list((tree.path / "d").iterdir()) == []


@pytest.mark.parametrize("link", ["../secret", "/secret", "missing", "d/missing", "d", "", "a/..", "a\0"])
def test_a_hard_link_leads_only_to_what_was_sent(tree: Tree, link: str) -> None:
    tree.feed(listed("d", DIRECTORY | 0o755), listed("a"))

    with pytest.raises((ProtocolError, OutputError)):
        tree.feed(listed("z", linkname=link.encode() or b"/"), END)

    assert tree.is_intact()
    assert (tree.around / "secret").stat().st_nlink == 1


def test_a_hard_link_shares_the_content_that_comes_later(tree: Tree) -> None:
    tree.feed(listed("d", DIRECTORY | 0o755), listed("d/a", size=1), listed("z", linkname=b"d/a"), END)
    tree.feed(data(1, b"x"), data(1))

    assert (tree.path / "z").read_bytes() == b"x"
    assert (tree.path / "z").samefile(tree.path / "d/a")


@pytest.mark.parametrize("mode", [DEVICE, DEVICE | CHAR, SOCKET, IRREGULAR])
def test_a_device_is_left_out_and_told_of(tree: Tree, mode: int) -> None:
    replies = tree.feed(listed("\x1b[2Jnull", mode | 0o666, devmajor=1, devminor=3), END)

    assert [reply.type for reply in replies] == [Packet.PACKET_FIN]
    assert list(tree.path.iterdir()) == []
    assert tree.writer.left_out == ["'\\x1b[2Jnull'"]


def test_neither_setuid_bits_nor_attributes_are_taken_over(tree: Tree) -> None:
    tree.feed(
        listed("f", SETUID | SETGID | STICKY | 0o755, xattrs={"user.a": b"1", "security.capability": b"2"}),
        listed("g", DIRECTORY | SETGID | STICKY | 0o777),
        END,
    )
    finish_directory(tree.root, tree.directories[0])

    assert stat.S_IMODE((tree.path / "f").stat().st_mode) == 0o1755
    assert stat.S_IMODE((tree.path / "g").stat().st_mode) == 0o1777
    assert os.listxattr(tree.path / "f") == []


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([b"\xff"], "no fsutil packet"),
        ([data(0, b"x")], "not asked"),
        ([listed("a", size=1), data(7)], "not asked"),
        ([listed("a"), data(0)], "not asked"),
        ([listed("a", size=1), data(0, b"xy")], "another size"),
        ([listed("a", size=2), data(0, b"x"), data(0)], "another size"),
        ([listed("a", size=-1)], "cannot be"),
        ([listed("a", SYMLINK | 0o777, linkname=b"x\0y")], "cannot be"),
        ([END, listed("a")], "after the end"),
        ([listed("a"), listed("a")], "twice"),
        ([listed("a"), listed("a/b")], "before its directory"),
        ([listed("a/b")], "before its directory"),
        ([listed("a", size=1), FIN], "no place here"),
        ([Packet(type=Packet.PACKET_REQ).SerializeToString()], "no place here"),
        ([Packet(type=Packet.PACKET_ERR, data=b"disk\xff").SerializeToString()], "could not send the files: disk"),
    ],
)
def test_a_breach_of_the_protocol_is_named(tree: Tree, messages: list[bytes], complaint: str) -> None:
    *before, last = messages
    for message in before:
        tree.feed(message)

    with pytest.raises(ProtocolError, match=complaint):
        tree.feed(last)


def test_what_this_machine_refuses_is_its_own_error(tree: Tree) -> None:
    with pytest.raises(OutputError, match="cannot be written: File name too long"):
        tree.feed(listed("n" * 256))


_PARTS = st.sampled_from([b"a", b"b", b"..", b".", b"", b"\xff", b"secret", b"tree"])
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map(b"/".join)
_MODES = st.sampled_from([0, DIRECTORY, SYMLINK, PIPE, DEVICE]).map(lambda kind: kind | 0o755)
_LINKS = _PATHS | st.sampled_from([b"", b"/", b"..", b"../secret", b"a/b"])
_STATS = st.tuples(_PATHS, _MODES, st.sampled_from([0, 0, 1]), _LINKS).map(
    lambda said: listed(said[0], said[1], said[2], linkname=said[3])
)
_DATA = st.builds(data, st.integers(0, 5), st.sampled_from([b"", b"x"]))


@given(st.lists(st.lists(_STATS | _STATS | _DATA | st.just(END) | st.just(FIN) | st.binary(max_size=9), max_size=6)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_whatever_is_sent_nothing_outside_changes(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Sequence[bytes]]
) -> None:
    with opened(tmp_path_factory.mktemp("around")) as tree:
        try:
            for batch in batches:
                tree.writer.feed(batch)
        except (ProtocolError, OutputError):
            pass

        assert tree.is_intact()
        assert all(path.lstat().st_dev == tree.path.lstat().st_dev for path in tree.path.rglob("*"))
