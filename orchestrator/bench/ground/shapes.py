"""The raw figures, whoever measures them."""

from collections.abc import Mapping
from typing import Final, Literal

Scenario = Literal["raw/fsync", "raw/sequential-write", "raw/sequential-read", "raw/small-files"]
FSYNC: Final = "raw/fsync"
WRITE: Final = "raw/sequential-write"
READ: Final = "raw/sequential-read"
MANY: Final = "raw/small-files"
UNITS: Final[Mapping[Scenario, Literal["1/s", "B/s"]]] = {FSYNC: "1/s", WRITE: "B/s", READ: "B/s", MANY: "1/s"}
"""In the order in which they are measured: what is read was written before."""
OWN: Final = "own"
"""Who has measured, where fio has not."""
