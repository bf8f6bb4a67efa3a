"""A received directory takes unchanged files from an earlier one, and nothing else of it."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from orchestrator.buildkit.protos.fsutil_pb2 import Packet
from orchestrator.buildkit.session.base import Base
from orchestrator.buildkit.session.treewriter import Directory, TreeWriter
from orchestrator.errors import OutputError, ProtocolError
from tests.buildkit_filesend.test_tree_writer import DIRECTORY, END, SETUID, SYMLINK, data, listed

_TIME = 1_700_000_000_123_456_789


class Receiver:
    """A transfer into `new` that knows `old`."""

    def __init__(self, root: Path, *, limit: int | None = None) -> None:
        self.old, self.new = root / "old", root / "new"
        self.old.mkdir()
        self.new.mkdir()
        self.descriptor = os.open(self.new, os.O_RDONLY | os.O_DIRECTORY)
        self.directories: list[Directory] = []
        self.base = Base(self.old)
        self.writer = TreeWriter(self.descriptor, self.directories, base=self.base, limit=limit)

    def had(self, path: str, text: str, *, mode: int = 0o644, mtime: int = _TIME) -> Path:
        place = self.old / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        os.utime(place, ns=(mtime, mtime))
        return place

    def feed(self, *messages: bytes) -> list[int]:
        """Returns the numbers of the files that are asked for."""
        replies = [Packet.FromString(reply) for reply in self.writer.feed(messages)]
        return [reply.id for reply in replies if reply.type == Packet.PACKET_REQ]


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.writer.close()
    made.base.close()
    os.close(made.descriptor)


def test_what_is_unchanged_is_a_link_and_is_not_asked_for(receiver: Receiver) -> None:
    same, deep = receiver.had("a", "same"), receiver.had("d/e/b", "deep", mode=0o755)

    asked = receiver.feed(
        listed("a", size=4, mod_time=_TIME),
        listed("d", DIRECTORY | 0o755),
        listed("d/e", DIRECTORY | 0o755),
        listed("d/e/b", 0o755, size=4, mod_time=_TIME),
        listed("d/e/new", size=1, mod_time=_TIME),
        END,
    )
    receiver.feed(data(4, b"n"), data(4))

    assert asked == [4]
    assert receiver.writer.finished
    assert (receiver.new / "a").samefile(same)
    assert (receiver.new / "d/e/b").samefile(deep)
    assert (receiver.new / "d/e/new").read_text() == "n"


@pytest.mark.parametrize(
    ("mode", "size", "mtime"),
    [(0o600, 4, _TIME), (0o644, 5, _TIME), (0o644, 4, _TIME + 1), (0o644, 4, 0)],
    ids=["mode", "size", "a nanosecond", "no time"],
)
def test_what_has_changed_is_asked_for_and_the_old_one_stays(
    receiver: Receiver, mode: int, size: int, mtime: int
) -> None:
    old = receiver.had("a", "same")

    asked = receiver.feed(listed("a", mode, size=size, mod_time=mtime), END)
    receiver.feed(data(0, b"12345"[:size]), data(0))

    assert asked == [0]
    assert (receiver.new / "a").read_text() == "12345"[:size]
    assert old.read_text() == "same"


def test_a_set_user_id_bit_is_not_taken_over_from_either(receiver: Receiver) -> None:
    receiver.had("tool", "same", mode=0o4755)

    asked = receiver.feed(listed("tool", SETUID | 0o755, size=4, mod_time=_TIME), END)
    receiver.feed(data(0, b"sent"), data(0))

    assert asked == [0]
    assert (receiver.new / "tool").stat().st_mode & 0o7777 == 0o755


def test_no_link_in_the_earlier_directory_leads_anywhere(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a").write_text("same")
    os.utime(tmp_path / "secret/a", ns=(_TIME, _TIME))
    (receiver.old / "d").symlink_to(tmp_path / "secret")
    (receiver.old / "l").symlink_to(tmp_path / "secret/a")

    asked = receiver.feed(
        listed("d", DIRECTORY | 0o755),
        listed("d/a", size=4, mod_time=_TIME),
        listed("l", size=4, mod_time=_TIME),
        END,
    )

    assert asked == [1, 2]


def test_links_within_what_is_sent_may_lead_to_what_was_taken(receiver: Receiver) -> None:
    old = receiver.had("a", "same")

    asked = receiver.feed(
        listed("a", size=4, mod_time=_TIME),
        listed("b", size=4, linkname=b"a"),
        listed("s", SYMLINK, linkname=b"x"),
        END,
    )

    assert asked == []
    assert (receiver.new / "b").samefile(old)


def test_a_file_that_is_sent_twice_is_refused_as_ever(receiver: Receiver) -> None:
    receiver.had("a", "same")

    with pytest.raises(ProtocolError, match="twice"):
        receiver.feed(listed("a", size=4, mod_time=_TIME), listed("a", size=4, mod_time=_TIME))


def test_files_may_have_no_more_bytes_than_there_is_room_for(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, limit=10)
    try:
        receiver.had("kept", "12345", mtime=_TIME)
        receiver.feed(listed("kept", size=5, mod_time=_TIME), listed("new", size=5))
        with pytest.raises(OutputError, match="more than there may be"):
            receiver.feed(listed("one", size=1))
    finally:
        receiver.writer.close()
        receiver.base.close()
        os.close(receiver.descriptor)
