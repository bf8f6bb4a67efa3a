"""The table of what is reproducible is made from what was seen, and never by hand."""

import pytest
from msgspec.structs import replace

from tests.e2e import reproduced
from tests.e2e.languages import cases
from tests.e2e.reproduced import Reproduced

SEEN = Reproduced(date="2026-11-23", commit="0" * 12, digest="sha256:1")


def test_the_document_says_what_was_seen() -> None:
    assert reproduced.DOCUMENT.read_text(encoding="utf-8") == reproduced.document()


def test_what_is_not_the_same_is_known_to_be_so_with_its_reason() -> None:
    seen = reproduced.read()

    assert set(seen) <= {case.name for case in cases()}
    assert {case for case, found in seen.items() if not found.digest} == set(reproduced.NOT_YET)


def test_an_image_of_an_earlier_day_and_one_that_is_not_the_same_are_told_apart() -> None:
    one, other, *_ = cases()
    unlike = replace(SEEN, digest="", differs=("app/1", "app/2", "app/3", "app/4"))

    rows = reproduced.table({one.name: replace(SEEN, before="2026-11-22"), other.name: unlike}, (one, other))

    told, untold = rows.splitlines()[2:]
    assert told.endswith("| yes, 2026-11-23; and as on 2026-11-22 |")
    assert untold.endswith("| **no**: nobody has looked yet (`app/1`, `app/2`, `app/3` and 1 more) |")


@pytest.mark.parametrize(
    ("known", "before"),
    [
        (None, ""),
        (SEEN, ""),
        (replace(SEEN, date="2026-11-22"), "2026-11-22"),
        (replace(SEEN, date="2026-11-22", before="2026-11-20"), "2026-11-20"),
        (replace(SEEN, before="2026-11-20"), "2026-11-20"),
        (replace(SEEN, date="2026-11-22", digest="sha256:2"), ""),
        (replace(SEEN, date="2026-11-22", digest=""), ""),
    ],
)
def test_the_first_day_on_which_an_image_was_the_same_is_kept(known: Reproduced | None, before: str) -> None:
    assert reproduced.since(SEEN, known).before == before


def test_what_is_not_the_same_was_so_on_no_day() -> None:
    assert not reproduced.since(replace(SEEN, digest=""), replace(SEEN, digest="", date="2026-11-22")).before
