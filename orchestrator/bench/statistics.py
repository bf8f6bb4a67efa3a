"""What a few runs allow to say, and what they do not.

Disturbances of a build multiply: a busy disk makes a long build longer by more seconds than a short one. So all is
computed on logarithms, where that is symmetrical, and by Student's t, because builds are too dear to be measured often:
two runs say something of a difference of ten times, and nothing of one of a tenth. One run has no interval at all.

Two kinds of intervals, and they answer two questions:

- A `Spread`'s: where the median of another such measurement will lie (95 %). It is wider than the one in which the true
  median lies, because the other measurement errs, too.
- A `Ratio`'s: how many times as much one thing takes as another (90 %), from pairs of the same round, in which a slow
  minute of the machine slows both.
"""

import math
import statistics
from collections.abc import Sequence

import msgspec

SPREAD_CONFIDENCE = 0.95
RATIO_CONFIDENCE = 0.90

_FEWEST = 2
"""Values that have a spread."""
_LEAST_SPREAD = math.log(1.03)
"""However alike runs of one minute are: those of another day, of the same build on the same machine, are not."""
_MEDIAN = math.sqrt(math.pi / 2)
"""How much wider medians of normal values are spread than their means."""
_TINY, _HUGE = 1e-300, 700.0
"""A value below which none is measured; the largest exponent that is still a number."""

_STUDENT = {
    1: (6.314, 12.706),
    2: (2.920, 4.303),
    3: (2.353, 3.182),
    4: (2.132, 2.776),
    5: (2.015, 2.571),
    6: (1.943, 2.447),
    7: (1.895, 2.365),
    8: (1.860, 2.306),
    9: (1.833, 2.262),
    10: (1.812, 2.228),
    12: (1.782, 2.179),
    15: (1.753, 2.131),
    20: (1.725, 2.086),
    30: (1.697, 2.042),
    60: (1.671, 2.000),
}
"""Degrees of freedom -> Student's t at which 90 %, and 95 %, lie between minus t and t."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one thing."""

    median: float
    interval: tuple[float, float] | None
    """Where the median of another such measurement will lie; None: one run tells nothing of that."""
    count: int

    def holds(self, value: float) -> bool:
        """Whether a repeat's median is as expected."""
        return self.interval is not None and self.interval[0] <= value <= self.interval[1]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How many times as much one thing takes as another."""

    value: float
    interval: tuple[float, float] | None
    """None: too few pairs for one."""
    pairs: int
    """Rounds that both were measured in; of measurements apart, the fewer runs."""

    @property
    def decided(self) -> bool:
        """Whether anything may be concluded: never when the interval is wider than the difference.

        Both as ratios: of a difference of 3 times, the interval's upper end is at most 3 times its lower one.
        """
        if self.interval is None:
            return False
        low, high = self.interval
        return _log(high) - _log(low) <= abs(_log(self.value)) and (low > 1 or high < 1)

    @property
    def inverted(self) -> "Ratio":
        """The same, told of the other one."""
        turned = None if self.interval is None else (_exp(-_log(self.interval[1])), _exp(-_log(self.interval[0])))
        return Ratio(value=_exp(-_log(self.value)), interval=turned, pairs=self.pairs)


def spread(values: Sequence[float]) -> Spread:
    """The median of runs, and where that of a repeat with as many runs will lie.

    Args:
        values: at least one, all of them positive.
    """
    middle, count = statistics.median(values), len(values)
    if count < _FEWEST:
        return Spread(median=middle, interval=None, count=count)
    deviation = statistics.stdev(map(_log, values))
    # Two medians differ, each of which errs.
    error = _MEDIAN * deviation * math.sqrt(2 / count)
    reach = max(_student(count - 1, SPREAD_CONFIDENCE) * error, _LEAST_SPREAD)
    return Spread(median=middle, interval=_around(middle, reach), count=count)


def paired_ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The second of each pair as a multiple of the first: the geometric mean over the pairs.

    Args:
        pairs: at least one, of positive values that were measured in the same round.
    """
    return ratio_of_logs([_log(second) - _log(first) for first, second in pairs])


def ratio_of_logs(logs: Sequence[float]) -> Ratio:
    """The ratio whose logarithm was measured once in each round; at least one round."""
    mean, count = statistics.fmean(logs), len(logs)
    if count < _FEWEST:
        return Ratio(value=_exp(mean), interval=None, pairs=count)
    reach = _student(count - 1, RATIO_CONFIDENCE) * statistics.stdev(logs) / math.sqrt(count)
    return Ratio(value=_exp(mean), interval=_around(_exp(mean), reach), pairs=count)


def apart_ratio(before: Sequence[float], after: Sequence[float]) -> Ratio:
    """The second measurement as a multiple of the first, made at another time (Welch's interval).

    Args:
        before: at least one, all of them positive.
        after: as above.
    """
    logs = [_log(value) for value in before], [_log(value) for value in after]
    value = _exp(statistics.fmean(logs[1]) - statistics.fmean(logs[0]))
    fewest = min(map(len, logs))
    if fewest < _FEWEST:
        return Ratio(value=value, interval=None, pairs=fewest)
    variances = [statistics.variance(each) / len(each) for each in logs]
    error = sum(variances)
    below = sum(each**2 / (len(those) - 1) for each, those in zip(variances, logs, strict=True))
    freedom = error**2 / below if below else fewest - 1
    reach = _student(int(max(freedom, 1)), RATIO_CONFIDENCE) * math.sqrt(error)
    return Ratio(value=value, interval=_around(value, reach), pairs=fewest)


def _student(freedom: int, confidence: float) -> float:
    """Student's t; between the rows of its table that of fewer degrees of freedom, which is wider."""
    row = _STUDENT[max(known for known in _STUDENT if known <= freedom)]
    return row[0] if confidence == RATIO_CONFIDENCE else row[1]


def _around(middle: float, reach: float) -> tuple[float, float]:
    # Rounding must not push the middle out.
    return min(middle, _exp(_log(middle) - reach)), max(middle, _exp(_log(middle) + reach))


def _log(value: float) -> float:
    return math.log(max(value, _TINY))


def _exp(value: float) -> float:
    return math.exp(max(-_HUGE, min(_HUGE, value)))
