"""Drawing among many hosts at once gives what drawing one after another would."""

import hashlib
import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.rendezvous import Rendezvous

_MASK = (1 << 64) - 1


def _plainly(key: str, name: str) -> int:
    """SplitMix64's finalizer as it is written down."""
    first, second = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in (key, name))
    number = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


@given(
    st.dictionaries(st.text("abcdef", max_size=6), st.tuples(st.floats(0.01, 100), st.booleans()), min_size=1),
    st.text("xyz", max_size=6),
    st.floats(1, 10),
)
def test_the_one_with_the_smallest_logarithm_by_weight_is_drawn_of_those_that_are_asked_for(
    hosts: dict[str, tuple[float, bool]], key: str, spare: float
) -> None:
    weights = {name: weight for name, (weight, _) in hosts.items()}
    among = [name for name, (_, wanted) in hosts.items() if wanted] or list(hosts)

    drawn = Rendezvous(tuple(hosts)).drawn(key, among, weights.__getitem__, most=max(weights.values()) * spare)

    values = {name: -math.log((_plainly(key, name) + 1) / (_MASK + 2)) / weights[name] for name in among}
    assert (values[drawn], drawn in among) == (min(values.values()), True)
