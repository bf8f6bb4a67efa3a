"""What of a cache may go."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cache.sweep import ABANDONED, Found, Used, evicted, swept

_NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
_FOUND = st.builds(
    Found,
    name=_NAMES,
    done=st.booleans(),
    gone=st.booleans(),
    age=st.floats(min_value=-10, max_value=2 * ABANDONED),
)
_LISTING = st.lists(_FOUND, unique_by=lambda each: each.name)
_ALL = st.lists(
    st.builds(Used, key=_NAMES, size=st.integers(0, 100), age=st.floats(0, 1000)), unique_by=lambda each: each.key
)


@given(found=_LISTING, current=st.none() | _NAMES)
def test_the_current_one_and_what_is_at_work_stay_and_all_else_goes(found: list[Found], current: str | None) -> None:
    over = swept(found, current=current)

    for each in found:
        at_work = not each.done and not each.gone and each.age <= ABANDONED
        assert (each.name in over) == (each.name != current and not at_work)


@given(used=_ALL, budget=st.integers(0, 300))
def test_what_stays_fits_and_nothing_goes_that_was_used_later_than_what_stays(used: list[Used], budget: int) -> None:
    gone = evicted(used, budget=budget)

    stays = [each for each in used if each.key not in gone]
    assert sum(each.size for each in stays) <= budget
    for each in used:
        if each.key in gone and each.size <= budget:
            assert all(other.age <= each.age for other in stays)
    # Nothing goes without need.
    fitting = [each for each in used if each.size <= budget]
    if sum(each.size for each in fitting) <= budget:
        assert {each.key for each in fitting}.isdisjoint(gone)
