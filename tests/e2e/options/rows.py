"""All options that a builder has a part in, in the order of the table."""

from tests.e2e.options import building, caching, own, publishing
from tests.e2e.options.model import Option

ROWS: tuple[Option, ...] = (*publishing.ROWS, *caching.ROWS, *building.ROWS, *own.ROWS)
