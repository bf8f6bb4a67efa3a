"""Where the wall time of a benchmark goes: what is not said to be something else is the harness's own."""

import time
from collections.abc import Generator
from contextlib import contextmanager


class Clock:
    """Counts from when it is made.

    Attributes:
        seconds: by activity.
        processor: processor seconds of this process, by activity.
    """

    def __init__(self) -> None:
        self._began, self._processor = time.perf_counter(), time.process_time()
        self.seconds: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    @contextmanager
    def of(self, activity: str) -> Generator[None]:
        """What the block takes is this activity's. Not within another one's."""
        began, processor = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[activity] = self.seconds.get(activity, 0.0) + time.perf_counter() - began
            used = time.process_time() - processor
            self.processor[activity] = self.processor.get(activity, 0.0) + used

    @property
    def wall(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began

    @property
    def own(self) -> float:
        """Seconds in none of the activities: gaps between them."""
        return self.wall - sum(self.seconds.values())

    @property
    def own_processor(self) -> float:
        """Processor seconds in none of them."""
        return time.process_time() - self._processor - sum(self.processor.values())
