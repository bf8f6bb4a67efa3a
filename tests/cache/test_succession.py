"""Which generation follows which: what somebody may be reading stays, and all else goes."""

from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cache.succession import Current, Found, Size, following, over, waiting, without_current
from orchestrator.model import MOUNTS_SECONDS

_DAY = 86_400.0
_KEPT = 2 * MOUNTS_SECONDS
_SIZE = Size(entries=1, size=1)


def found(name: str, *, done: float | None, age: float = 0.0, gone: bool = False) -> Found:
    return Found(name=name, done=done, age=age, gone=gone)


def next_of(current: Current | None, name: str, now: float, seen: Mapping[str, int] | None = None) -> Current:
    return following(current, name, _SIZE, seen=seen or {}, cold=None, now=now)


def test_what_is_over() -> None:
    current = Current(generation="now", before={"lately": 1000.0 - _KEPT + 1, "long ago": 1000.0 - _KEPT})
    table = {
        "now": found("now", done=_DAY, age=_DAY),
        "lately": found("lately", done=_DAY, age=_DAY),
        "long ago": found("long ago", done=_DAY, age=_DAY),
        "completed by another": found("completed by another", done=_KEPT - 1),
        "completed by another long ago": found("completed by another long ago", done=_KEPT),
        "written": found("written", done=None, age=_KEPT - 1),
        "killed": found("killed", done=None, gone=True),
        "elsewhere": found("elsewhere", done=None, age=_KEPT),
    }

    gone = over(table.values(), current, now=1000.0)

    assert gone == ("long ago", "completed by another long ago", "killed", "elsewhere")


def test_what_is_deleted_may_still_be_read_for_a_while() -> None:
    current = next_of(None, "one", 0.0)

    deleted = without_current(current, now=5.0)

    assert deleted.generation is None
    assert over([found("one", done=_DAY)], deleted, now=5.0 + _KEPT - 1) == ()
    assert over([found("one", done=_DAY)], deleted, now=5.0 + _KEPT) == ("one",)


def test_what_was_seen_of_other_builders_is_remembered_for_a_while() -> None:
    current = next_of(None, "one", 0.0, {"a": 1})
    current = next_of(current, "two", 1.0, {"b": 1})
    current = next_of(current, "three", 2.0, {"a": 4})
    assert current.seen == {"b": 1, "a": 4}

    for number in range(100):
        current = next_of(current, f"more-{number}", 3.0, {f"c{number}": 1})

    assert len(current.seen) == 64
    assert "a" not in current.seen


def test_what_steps_took_without_a_cache_is_remembered_until_it_is_known_anew() -> None:
    first = following(None, "one", _SIZE, seen={}, cold=9.0, now=0.0)

    second = following(first, "two", _SIZE, seen={}, cold=None, now=1.0)
    third = following(second, "three", _SIZE, seen={}, cold=4.0, now=2.0)

    assert (second.cold, third.cold) == (9.0, 4.0)


def test_no_more_than_a_few_generations_wait_for_their_readers() -> None:
    current: Current | None = None
    number = 0
    while not waiting(current, now=1.0).are_many:
        current = next_of(current, f"g{number}", 1.0)
        number += 1

    assert number == 9
    assert not waiting(current, now=1.0 + _KEPT).are_many
    assert waiting(None, now=1.0).generations == 0


_files = st.frozensets(st.integers(0, 9))


@given(news=st.lists(st.tuples(_files, _files, st.booleans(), st.integers(0, 3)), min_size=1, max_size=8))
def test_what_waits_for_its_readers_is_as_much_as_a_disk_has_beside_what_is_current(
    news: list[tuple[frozenset[int], frozenset[int], bool, int]],
) -> None:
    """Each writer keeps some files of what was current when it began, has some new ones, or is a deletion."""
    generations: list[frozenset[tuple[int, int]]] = []
    current: Current | None = None

    for number, (kept, new, deletes, late) in enumerate(news):
        if deletes and current is not None:
            current = without_current(current, now=0.0)
            generations.append(frozenset())
            continue
        # Somebody else may have been faster meanwhile.
        base = generations[-1 - late] if late < len(generations) else frozenset[tuple[int, int]]()
        own = {(number, file) for file in new}
        files = frozenset(own | {file for file in base if file[1] in kept})
        size = Size(entries=len(files), size=len(files), own=len(own))
        current = following(current, f"g{number}", size, seen={}, cold=None, now=0.0)
        generations.append(files)

    assert current is not None
    on_disk = frozenset[tuple[int, int]]().union(*generations)
    assert waiting(current, now=1.0).size == len(on_disk - generations[-1])
    assert waiting(current, now=_KEPT).size == 0


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """A writer that completes a generation and makes it the current one some time later."""

    at: float
    stalls: float
    """Between its look at what is current and its own word, in which others may be faster."""


_deeds = st.lists(
    st.builds(Deed, at=st.floats(0, 5 * _KEPT), stalls=st.floats(0, MOUNTS_SECONDS / 2)), min_size=1, max_size=12
)


@given(deeds=_deeds, reads=st.lists(st.floats(0, 6 * _KEPT), max_size=6))
def test_nothing_is_deleted_while_a_reader_that_found_it_current_has_time_left(
    deeds: list[Deed], reads: list[float]
) -> None:
    looks = [(deed.at, 0, number) for number, deed in enumerate(deeds)]
    words = [(deed.at + deed.stalls, 1, number) for number, deed in enumerate(deeds)]
    moments = sorted([*looks, *words, *((at, 2, -1) for at in reads)])
    current: Current | None = None
    looked: dict[int, Current | None] = {}
    there: dict[str, float] = {}
    reading: dict[str, float] = {}

    for now, kind, number in moments:
        if kind == 0:
            looked[number] = current
            there[f"g{number}"] = now
        elif kind == 1:
            # By what it saw, which may have been replaced since.
            current = next_of(looked[number], f"g{number}", now)
        elif current is not None and current.generation is not None:
            assert current.generation in there
            reading[current.generation] = now
        swept = over([found(name, done=now - done) for name, done in there.items()], current, now=now)
        for name in swept:
            assert now - reading.get(name, -2 * MOUNTS_SECONDS) > MOUNTS_SECONDS
            del there[name]

    # Later, nothing is left but what is current.
    assert current is not None
    last = moments[-1][0] + 2 * _KEPT
    left = set(there) - set(over([found(name, done=last - done) for name, done in there.items()], current, now=last))
    assert left == {current.generation}
