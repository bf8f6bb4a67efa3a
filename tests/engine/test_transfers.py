"""Statuses of transfers, and which of them are told."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import StatusUpdate, Vertex, VertexStatus
from orchestrator.engine.progress import Progress
from orchestrator.engine.transfers import Transfers
from orchestrator.events import StepProgress

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def status(name: str, current: int = 0, total: int = 0, *, completed: bool = False, vertex: str = "v") -> VertexStatus:
    return VertexStatus(vertex=vertex, id=name, current=current, total=total, completed=completed)


def tell(transfers: Transfers, said: VertexStatus, *, running: bool = False) -> StepProgress | None:
    transfers.take(said)
    return transfers.tell(said.vertex, name="[1/2] FROM x", running=running)


def test_the_transfers_of_a_step_are_one_sum() -> None:
    transfers = Transfers("api", clock=Clock())
    transfers.take(status("sha256:a", 3 * MIB, 4 * MIB))

    told = tell(transfers, status("sha256:b", MIB, 6 * MIB))

    assert told is not None
    assert (told.app, told.step, told.activity) == ("api", "v", "sha256:b")
    assert (told.current, told.total) == (4 * MIB, 10 * MIB)


def test_a_total_that_is_not_known_of_all_is_not_known() -> None:
    transfers = Transfers("api", clock=Clock())
    transfers.take(status("sha256:a", 3 * MIB, 4 * MIB))

    told = tell(transfers, status("transferring context:", MIB))

    assert told is not None
    assert told.total == 0


def test_bytes_alone_are_told_four_times_a_second_at_most() -> None:
    clock = Clock()
    transfers = Transfers("api", clock=clock)
    told = 0

    for number in range(1, 1001):
        told += tell(transfers, status("transferring context:", number * MIB)) is not None
        clock.now += 0.01

    assert 38 <= told <= 41


def test_a_build_that_finds_everything_in_the_cache_tells_nothing() -> None:
    transfers = Transfers("api", clock=Clock())
    said = [
        status("transferring context:", 2000),
        status("transferring context:", 2000, completed=True),
        status("exporting layers"),
        status("exporting layers", completed=True),
        status("pushing layers"),
        status("pushing manifest for r.example/api", completed=True),
    ]

    told = [tell(transfers, each) for each in said]

    assert told == [None] * len(said)
    assert transfers.end("v", name="exporting to image") is None


def test_each_activity_of_a_build_that_runs_something_is_told_at_once() -> None:
    transfers = Transfers("api", clock=Clock())

    told = [
        tell(transfers, status(name, completed=completed), running=True)
        for name in ("exporting layers", "pushing layers")
        for completed in (False, True)
    ]

    assert [each.activity for each in told if each] == ["exporting layers", "pushing layers"]


def test_a_steps_end_tells_the_bytes_that_were_held_back() -> None:
    transfers = Transfers("api", clock=Clock())
    tell(transfers, status("sha256:a", 2 * MIB, 4 * MIB))
    held = tell(transfers, status("sha256:a", 4 * MIB, 4 * MIB, completed=True))

    end = transfers.end("v", name="[1/2] FROM x")

    assert held is None
    assert end is not None
    assert (end.current, end.total, end.activity) == (4 * MIB, 4 * MIB, "")
    assert transfers.end("v", name="[1/2] FROM x") is None


def test_a_status_that_comes_with_its_steps_end_counts() -> None:
    progress = Progress("api")
    started = Vertex(digest="v", name="FROM x", inputs=(), started=1.0, completed=None, cached=False, error=None)
    ended = Vertex(digest="v", name="FROM x", inputs=(), started=1.0, completed=2.0, cached=False, error=None)
    list(progress.feed(StatusUpdate(vertexes=(started,), statuses=(status("sha256:a", 2 * MIB, 9 * MIB),))))

    events = list(progress.feed(StatusUpdate(vertexes=(ended,), statuses=(status("sha256:a", 9 * MIB, 9 * MIB),))))
    late = list(progress.feed(StatusUpdate(statuses=(status("sha256:a", 9 * MIB, 9 * MIB),))))

    assert isinstance(events[0], StepProgress)
    assert events[0].current == 9 * MIB
    assert len(events) == 2
    assert late == []


@given(
    st.lists(
        st.builds(
            status,
            st.sampled_from(["a", "b", "c"]),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            completed=st.booleans(),
            vertex=st.sampled_from(["v", "w"]),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_a_daemon_says_bytes_are_never_negative(said: list[VertexStatus], running: bool) -> None:  # noqa: FBT001 -- drawn
    transfers = Transfers("api", clock=Clock())

    told = [tell(transfers, each, running=running) for each in said]

    assert all(each.current >= 0 and each.total >= 0 for each in told if each)
