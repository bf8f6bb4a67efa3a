"""When to try again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry.backoff import Patience, delay, retry_after

NOW = 1_800_000_000.0
PATIENCE = Patience(attempts=5, total=60.0, first=1.0, longest=8.0)


@pytest.mark.parametrize(
    ("attempt", "elapsed", "asked", "jitter", "expected"),
    [
        (1, 0.0, None, 0.0, 0.5),
        (2, 0.0, None, 0.0, 1.0),
        (4, 0.0, None, 1.0, 8.0),
        (5, 0.0, None, 0.0, None),
        (1, 59.0, None, 0.0, 59.5 - 59.0),
        (1, 59.9, None, 0.0, None),
        (1, 0.0, 7.0, 0.0, 7.0),
        (1, 0.0, 0.0, 0.5, 0.5),
        (1, 0.0, 61.0, 0.0, None),
    ],
)
def test_pauses_grow_and_end(
    attempt: int, elapsed: float, asked: float | None, jitter: float, expected: float | None
) -> None:
    assert delay(PATIENCE, attempt=attempt, elapsed=elapsed, asked=asked, jitter=jitter) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("²", None),
        (format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(datetime.fromtimestamp(NOW, UTC) - timedelta(hours=1), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: float | None) -> None:
    assert retry_after(value, now=NOW) == expected


@given(st.text(max_size=40) | st.text("0123456789:, GMTJanMonUTC+-", max_size=40))
def test_any_retry_after_is_a_time_in_the_future_or_nothing(value: str) -> None:
    seconds = retry_after(value, now=NOW)

    assert seconds is None or seconds >= 0
