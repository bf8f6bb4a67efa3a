"""Weighted rendezvous hashing (Thaler and Ravishankar, 1998) of many hosts in little time. Pure.

Every host has a number for every key, mixed from both, and the host with the smallest logarithm by weight is drawn.
The numbers of all hosts are mixed at once, in the lanes of one long integer, which costs a tenth of mixing one after
another; and a logarithm is only taken of those that may be the smallest.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Sequence

_BITS = 64
_MASK = (1 << _BITS) - 1
_LANE = 16
"""Bytes: a number of 64 bits times another fits in."""
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SHIFTS = (30, 27, 31)
_SLACK = 1e-9
"""Of what is compared: more than floating point loses."""


class Rendezvous:
    """Names among which is drawn.

    Args:
        names: all of them, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._ones = _joined([1] * len(names))
        self._seeds = _joined([_digest(name) for name in names])

    def drawn(self, key: str, among: Collection[str], weight: Callable[[str], float], *, most: float) -> str:
        """The name that is drawn for a key: each as often as is its share of the weights.

        Args:
            key: whoever draws for the same one draws the same name, whatever other names there are.
            among: some of the names, at least one.
            weight: of a name; above 0.
            most: no weight is above it.
        """
        pairs = list(zip(self._numbers(_digest(key)), self._names, strict=True))
        if len(among) < len(pairs):
            wanted = set(among)
            pairs = [pair for pair in pairs if pair[1] in wanted]
        number, name = max(pairs)
        least = _value(number, weight(name))
        # Whoever has a smaller number is behind even with the most weight.
        bound = int(math.exp(-least * most) * (1 - _SLACK) * _MASK)
        return min((_value(number, weight(name)), name) for number, name in pairs if number >= bound)[1]

    def _numbers(self, key: int) -> Sequence[int]:
        """A number of each name: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014), of both digests."""
        mixed = self._seeds ^ (self._ones * key)
        for shift, factor in zip(_SHIFTS, (_FIRST, _SECOND, 1), strict=True):
            # Without what the shift moves over from the next lane.
            mixed ^= mixed >> shift & self._ones * (_MASK >> shift)
            mixed = mixed * factor & self._ones * _MASK
        return memoryview(mixed.to_bytes(_LANE * len(self._names), "little")).cast("Q")[::2].tolist()


def _value(number: int, weight: float) -> float:
    return -math.log((number + 1) / (_MASK + 2)) / weight


def _joined(numbers: Sequence[int]) -> int:
    return int.from_bytes(b"".join(number.to_bytes(_LANE, "little") for number in numbers), "little")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest(), "big")
