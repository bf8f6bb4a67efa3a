"""Every option has a place: in the table of options and builders, or among those that no builder is told of."""

from collections import Counter

import msgspec

from langs import compose
from tests.e2e.options import named, table
from tests.e2e.options.ours import OURS
from tests.e2e.options.places import COLUMNS
from tests.e2e.options.rows import ROWS


def test_every_flag_key_and_variable_is_in_the_table_or_is_said_to_be_no_builders_business() -> None:
    placed = Counter(name for names in (*(row.of for row in ROWS), *OURS.values()) for name in names)

    assert {name: times for name, times in placed.items() if times > 1} == {}
    assert set(placed) == named.everything()


def test_the_known_keys_of_compose_files_are_those_of_their_reader() -> None:
    [build] = [found for name, found in vars(compose).items() if name == "_Build"]

    assert {f"build.{field.encode_name}" for field in msgspec.structs.fields(build)} == named.compose()


def test_every_row_was_seen_on_every_builder_that_it_concerns() -> None:
    cells = table.read().cells

    assert {row.name: {column for column in COLUMNS if row.concerns(column)} for row in ROWS} == {
        name: set(by) for name, by in cells.items()
    }
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_buildkitd_does_all_that_is_not_about_others() -> None:
    cells = table.read().cells

    assert {row.name: cells[row.name][COLUMNS[0]].kind for row in ROWS if row.concerns(COLUMNS[0])} == {
        row.name: "same" for row in ROWS if row.concerns(COLUMNS[0])
    }
    assert [row.name for row in ROWS if all(cell.kind != "same" for cell in cells[row.name].values())] == []


def test_the_document_says_what_was_seen() -> None:
    seen = table.read()

    assert table.DOCUMENT.read_text(encoding="utf-8") == table.document(seen)
