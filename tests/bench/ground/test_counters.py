"""What the kernel counts, out of its files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.ground import counters
from orchestrator.bench.ground.counters import Ticks

STAT = """\
cpu  100 10 50 800 40 1 2 7 0 0
cpu0 50 5 25 400 20 1 1 3 0 0
intr 12345 0 0
"""
DISKS = """\
   7       3 loop3 5 0 40 1 9 2 4096 6 0 8 7 0 0 0 0 0 0
 254       0 vda 1856137 237841 42735530 1617469 13252988 5404562 476890704 6878006 0 1214504 9254856
   8      16 sdb 1 2 3
"""


def test_work_and_waiting_are_told_apart() -> None:
    assert counters.ticks(STAT) == Ticks(busy=100 + 10 + 50 + 1 + 2, iowait=40, all=1010)


@pytest.mark.parametrize(
    ("after", "share"),
    [
        (Ticks(0, 140, 1210), 0.5),
        (Ticks(0, 40, 1210), 0.0),
        # The kernel counts it back, or more than there was.
        (Ticks(0, 30, 1210), 0.0),
        (Ticks(0, 999, 1210), 1.0),
        (Ticks(0, 40, 1010), None),
    ],
)
def test_waiting_is_a_share_of_all_time(after: Ticks, share: float | None) -> None:
    assert counters.waited(Ticks(0, 40, 1010), after) == share


@pytest.mark.parametrize(
    ("device", "count"), [("7:3", 4096 * 512), ("254:0", 476890704 * 512), ("8:16", None), ("9:9", None), ("", None)]
)
def test_a_device_is_found_by_its_numbers(device: str, count: int | None) -> None:
    assert counters.device_written(DISKS, device) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [("rchar: 9\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n", 8192), ("", 0), ("write_bytes: many", 0)],
)
def test_a_process_has_written_what_went_to_storage(text: str, count: int) -> None:
    assert counters.written(text) == count


@pytest.mark.parametrize(
    ("text", "parent"), [("42 (a) b) c (d) S 7 42 42 0", 7), ("42 (sh) S", None), ("", None), ("42 (sh) S x", None)]
)
def test_a_parent_is_found_behind_any_name(text: str, parent: int | None) -> None:
    assert counters.parent(text) == parent


@given(st.text())
def test_no_text_of_a_kernel_is_too_odd(text: str) -> None:
    assert isinstance(counters.ticks(text), Ticks | None)
    assert isinstance(counters.ticks(f"cpu {text}"), Ticks | None)
    assert isinstance(counters.device_written(text, "8:1"), int | None)
    assert isinstance(counters.parent(text), int | None)
    assert counters.written(text) >= 0


@given(st.dictionaries(st.integers(1, 30), st.integers(0, 30)), st.integers(1, 30))
def test_those_below_a_process_are_those_whose_ancestors_lead_to_it(parents: dict[int, int], root: int) -> None:
    found = counters.descendants(parents, root)

    assert found == {pid for pid in {root, *parents} if _leads(parents, pid, root)}


def _leads(parents: dict[int, int], pid: int, root: int) -> bool:
    seen: set[int] = set()
    while pid != root and pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
    return pid == root
