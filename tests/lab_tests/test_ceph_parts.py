"""What of the lab's Ceph can be told without one."""

import base64
import math
import os
import re
import secrets
import struct
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.__main__ import lab as command_line
from tests.lab.ceph import clean, known, mount, record, settings, shape
from tests.lab.ceph.asok import ask
from tests.lab.ceph.programs import Programs
from tests.lab.ceph.record import Record
from tests.lab.ceph.shape import Shape
from tests.lab.mounts import mounted_from
from tests.lab.process import identify
from tests.lab.state import Layout


@pytest.mark.parametrize(
    ("text", "bits"),
    [("1gbit", 10**9), ("2.5mbit", 2_500_000), ("100MBIT", 10**8), ("1500kbit", 1_500_000), ("none", 0)],
)
def test_a_rate_is_read_as_tc_has_it(text: str, bits: int) -> None:
    assert shape.rate(text) == bits


@pytest.mark.parametrize("text", ["", "1", "1gb", "1 gbit", "-1gbit", "1gbit ", "fast", "1e3mbit", "999kbit", "٣mbit"])
def test_what_is_no_rate_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"1gbit|1mbit"):
        shape.rate(text)


@pytest.mark.parametrize(
    ("text", "microseconds"), [("2ms", 2000), ("500us", 500), ("0.5ms", 500), ("1s", 10**6), ("None", 0)]
)
def test_a_delay_is_read(text: str, microseconds: int) -> None:
    assert shape.delay(text) == microseconds


@pytest.mark.parametrize("text", ["", "2", "2 ms", "-2ms", "2min", "1.1s", "later"])
def test_what_is_no_delay_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"2ms|1s"):
        shape.delay(text)


@given(st.integers(min_value=10**6, max_value=10**12))
def test_every_rate_that_is_written_is_read_back(bits: int) -> None:
    assert shape.rate(shape.rate_text(bits)) == bits


@given(st.integers(min_value=1, max_value=10**6))
def test_every_delay_that_is_written_is_read_back(microseconds: int) -> None:
    assert shape.delay(shape.delay_text(microseconds)) == microseconds


@given(st.text())
def test_any_text_is_a_rate_and_a_delay_or_refused(text: str) -> None:
    for read in (shape.rate, shape.delay):
        try:
            amount = read(text)
        except ValueError:
            continue
        assert math.isfinite(amount)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--ceph-rate", "fast"], "fast is not a rate such as 1gbit"),
        (["--ceph-delay", "2"], "2 is not a delay such as"),
    ],
)
def test_a_wrong_rate_or_delay_is_refused_before_anything_is_started(words: list[str], complaint: str) -> None:
    done = CliRunner().invoke(command_line, ["up", *words])

    assert done.exit_code == 2
    assert complaint in done.output


async def test_what_a_killed_down_left_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "ceph-trash" / "osd").mkdir(parents=True)

    there_was_one = await clean(Layout(root=tmp_path))

    assert not there_was_one
    assert not (tmp_path / "ceph-trash").exists()


def test_a_shape_is_said_in_words() -> None:
    assert str(Shape()) == "link unlimited, no delay"
    assert str(Shape(rate=10**9, delay=1500)) == "link 1gbit, 1.5ms delay"


def test_a_key_has_kind_time_and_length_before_its_secret() -> None:
    secret = secrets.token_bytes(16)

    made = base64.b64decode(settings.key(secret, now=1_700_000_000))

    assert struct.unpack("<HIIH16s", made) == (1, 1_700_000_000, 0, 16, secret)


def test_only_its_owner_reads_a_key_and_all_settings_name_the_final_folder(tmp_path: Path) -> None:
    fresh, final = tmp_path / "fresh", tmp_path / "ceph"
    fresh.mkdir()
    where = {name: tmp_path / name for name in ("root", "plugins", "erasure_code", "classes", "modules")}
    programs = Programs(environment={"PATH": "/bin", "LD_LIBRARY_PATH": "/a b"}, **where)

    settings.write(fresh, final=final, record=Record(fsid="f", osd="o", prefix="198.18.7"), programs=programs)

    configuration = (fresh / "ceph.conf").read_text()
    assert {oct(file.stat().st_mode & 0o777) for file in (fresh / "keys").iterdir()} == {"0o600"}
    assert "public addr = 198.18.7.2" in configuration
    assert str(fresh) not in configuration
    assert not re.findall(r"[{}]", configuration)
    assert "export LD_LIBRARY_PATH='/a b'" in (fresh / "ceph").read_text()
    assert (fresh / "keys" / "osd.0.keyring").read_text() in (fresh / "keys" / settings.FIRST_KEYS).read_text()


@pytest.mark.parametrize("size", [1, 3, 70_000])
async def test_a_daemons_answer_is_read_to_its_end_however_it_arrives(tmp_path: Path, size: int) -> None:
    answer = b'{"state": "active", "rest": "' + b"x" * 100_000 + b'"}'
    asked = bytearray()
    received: bytes | None = None

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            while not asked.endswith(b"\0"):
                asked.extend(await stream.receive())
            message = len(answer).to_bytes(4) + answer
            for start in range(0, 20 * size, size):
                await stream.send(message[start : start + size])
            await stream.send(message[20 * size :])

    async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        received = await ask(tmp_path / "s", "config set", var="x", val=["1"])
        tasks.cancel_scope.cancel()

    assert received == answer
    assert msgspec.json.decode(asked[:-1]) == {"prefix": "config set", "var": "x", "val": ["1"]}


async def test_a_daemon_that_is_not_there_or_hangs_up_answers_nothing(tmp_path: Path) -> None:
    async def hang_up(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b"\0\0")

    halved: bytes | None = b""
    absent = await ask(tmp_path / "absent", "status")
    async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hang_up)
        halved = await ask(tmp_path / "s", "status")
        tasks.cancel_scope.cancel()

    assert (absent, halved) == (None, None)


def test_a_daemon_that_has_ended_and_a_mount_that_is_gone_are_named(tmp_path: Path) -> None:
    place = Layout(root=tmp_path)
    record.folder_of(place).mkdir()
    me = identify(os.getpid())
    assert me is not None
    gone = msgspec.structs.replace(me, started=me.started - 1)
    daemons = dict.fromkeys(("mon.a", "mgr.a", "mds.a", "client"), me) | {"osd.0": gone}
    made = Record(fsid="f", osd="o", prefix="198.18.7", daemons=daemons, shape=Shape(rate=5), finished=True)

    nothing = known(place)
    record.write(record.folder_of(place), made)
    found = known(place)

    assert nothing is None
    assert found is not None
    assert (found.ended, found.mounted, found.whole, found.shape) == (("osd.0",), False, False, Shape(rate=5))
    assert record.current(place) is None


def test_a_devices_mounts_are_found_the_latest_first(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 7:3 / /a rw - ext4 /dev/loop3 rw\n"
        "2 0 7:30 / /b rw - ext4 /dev/loop30 rw\n"
        "3 0 7:3 /sub /c\\040d rw shared:1 master:2 - ext4 /dev/loop3 rw\n"
    )

    assert mounted_from("/dev/loop3", mountinfo=table) == (Path("/c d"), Path("/a"))


def test_loop_devices_are_those_whose_files_are_below(tmp_path: Path) -> None:
    files = {"loop1": "/x/mnt/a.img\n", "loop2": "/x/mnt/gone.img (deleted)\n", "loop3": "/x/mnt2/a.img\n", "loop4": ""}
    for name, backing in files.items():
        (tmp_path / name / "loop").mkdir(parents=True)
        if backing:
            (tmp_path / name / "loop" / "backing_file").write_text(backing)

    assert mount.loop_devices(Path("/x/mnt"), sysfs=tmp_path) == ["/dev/loop1", "/dev/loop2"]
