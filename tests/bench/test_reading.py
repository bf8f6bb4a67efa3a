"""Reports as files: what was written is read, what was damaged is an error that names the file."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.reading import decode, encode, read
from orchestrator.errors import UsageError
from tests.bench.made import drawn, rate, report, series

_REPORT = drawn({"local": 2, "cephfs": 6}, rounds=3, noise=0.1)
_WHOLE = encode(_REPORT)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "storage.json"
    file.write_bytes(_WHOLE)

    assert read(file) == _REPORT


def test_fields_of_later_releases_are_passed_over() -> None:
    assert (
        decode(_WHOLE.replace(b'"seed": "7"', b'"seed": "7"\n  },\n  "later": {\n    "a": 1', 1), name="a") == _REPORT
    )


@given(st.binary(max_size=200))
def test_anything_is_a_report_or_an_error_with_the_files_name(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        decode(data, name="some.json")

    assert caught.value.message.startswith("some.json: ")
    assert caught.value.hint


@given(st.integers(0, len(_WHOLE) - 3), st.binary(min_size=1, max_size=4))
def test_a_report_with_bytes_replaced_is_a_report_or_an_error(at: int, other: bytes) -> None:
    damaged = _WHOLE[:at] + other + _WHOLE[at + len(other) :]

    said = "some.json: it is a report"
    try:
        decode(damaged, name="some.json")
    except UsageError as error:
        said = error.message

    assert said.startswith("some.json: ")


@given(st.integers(0, len(_WHOLE) - 3))
def test_a_report_that_was_cut_off_is_an_error(at: int) -> None:
    with pytest.raises(UsageError, match=r"some\.json: no report of a benchmark") as caught:
        decode(_WHOLE[:at], name="some.json")

    assert "Measure anew" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 2}, "a report of format 2, and this release knows 1"),
        ({"format": "1"}, "Expected `int`, got `str`"),
        ({"machine": 7}, r"Expected `str`, got `int` - at `\$\.machine`"),
        ({"series": ["pull"]}, "Expected `object`, got `str`"),
        ({"series": 2 * [msgspec.to_builtins(series("pull", "local", [1]))]}, "pull on local is there twice"),
        (
            {
                "series": [
                    msgspec.to_builtins(series("raw/fsync", "local", [1])),
                    msgspec.to_builtins(rate("cephfs", 1)),
                ]
            },
            "raw/fsync is measured in more than one unit",
        ),
        ({"series": [msgspec.to_builtins(series("pull", "local", [0]))]}, "Expected `float` > 0"),
    ],
)
def test_what_is_wrong_is_told(change: dict[str, Any], complaint: str) -> None:
    damaged = msgspec.json.encode({**msgspec.to_builtins(report()), **change})

    with pytest.raises(UsageError, match=complaint) as caught:
        decode(damaged, name="some.json")

    assert caught.value.message.startswith("some.json: ")
    assert caught.value.hint


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_nested_without_end_is_an_error(nested: bytes) -> None:
    with pytest.raises(UsageError, match="no report of a benchmark"):
        decode(nested, name="some.json")


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    place = Path(os.devnull) if kind == "device" else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(place)

    with pytest.raises(UsageError, match=f"{place}: is no regular file") as caught:
        read(place)

    assert "Save the report in a file" in caught.value.hint


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: cannot be read: No such file") as caught:
        read(tmp_path / "none.json")

    assert caught.value.exit_code == 2
