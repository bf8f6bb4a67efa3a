"""The table that ships, and the form in which tables are written and read."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import releases, statements
from langs.errors import LangError
from langs.releases import Tool

NUMBER = st.integers(0, 40)


def read(text: str) -> None:
    for tool in releases.parse(text, "releases.toml").values():
        releases.expanded(tool, "releases.toml")


@pytest.mark.parametrize("name", sorted(releases.tools()))
def test_every_shipped_table_says_where_and_when_it_was_read(name: str) -> None:
    tool = releases.tools()[name]

    assert dt.date.fromisoformat(tool.read) <= dt.date(2026, 11, 21)
    assert tool.source
    assert releases.shipped(name).newest_first


@pytest.mark.parametrize("name", sorted(releases.tools()))
def test_every_shipped_release_becomes_a_tag_of_itself(name: str) -> None:
    for release in releases.shipped(name).newest_first:
        text = ".".join(map(str, release))

        assert statements.exact(text, source="x", hint="").exact == text


@given(st.sets(st.tuples(NUMBER, NUMBER, NUMBER), max_size=60), st.integers(1, 2))
def test_a_table_that_is_written_reads_as_the_same_releases(found: set[tuple[int, int, int]], width: int) -> None:
    tool = Tool(source='a "quoted"\n source', read="2026-11-21", lines=releases.compact(found, width))

    written = releases.write({"dotnet-sdk": tool})
    read = releases.expanded(releases.parse(written, "releases.toml")["dotnet-sdk"])

    assert read.newest_first == tuple(sorted(found, reverse=True))
    assert read.read == "2026-11-21"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "nodejs = 1",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\n",
        "[nodejs]\nsource = 'x'\nread = 'today'\nlines = {}\n",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\nlines = { a = '1' }\n",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\nlines = { '1' = 'b' }\n",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\nlines = { '1' = '0-999999999' }\n",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\nlines = { '1' = '1.2.3.4.5' }\n",
        "[nodejs]\nsource = 'x'\nread = '2026-11-21'\ncode = 1\nlines = {}\n",
    ],
)
def test_a_table_in_another_form_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(LangError) as caught:
        read(text)

    assert caught.value.file == "releases.toml"
    assert caught.value.hint


@given(st.text())
def test_no_text_breaks_the_reader_of_tables(text: str) -> None:
    refused: LangError | None = None
    try:
        read(text)
    except LangError as error:
        refused = error

    assert refused is None or refused.file == "releases.toml"


def test_the_tags_of_a_registry_become_the_releases_that_it_has() -> None:
    shipped = releases.tools()["nodejs"]
    tags = ["22", "22.16.0", "22.16.0-slim", "latest", "23.1.0", "23.1.0-rc.1", "v9.9.9", "1.2.3.4", "9999999999.0.0"]

    tool = releases.of_tags(shipped, tags, source="127.0.0.1:5001/library/node", read="2026-11-21")

    assert tool is not None
    assert (tool.source, tool.read, tool.image) == ("127.0.0.1:5001/library/node", "2026-11-21", "node")
    assert releases.expanded(tool).newest_first == ((23, 1, 0), (22, 16, 0))
    assert releases.expanded(tool).names == releases.shipped("nodejs").names


def test_tags_without_a_whole_release_say_nothing() -> None:
    tool = releases.of_tags(releases.tools()["nodejs"], ["22", "lts", "22-slim"], source="x", read="2026-11-21")

    assert tool is None


@given(st.lists(st.text(max_size=30)))
def test_no_tag_breaks_a_refresh(tags: list[str]) -> None:
    for shipped in releases.tools().values():
        tool = releases.of_tags(shipped, [*tags, shipped.tag.replace("{}", "1.2.3")], source="x", read="2026-11-21")

        assert tool is None or releases.parse(releases.write({"a": tool}), "x")["a"].lines == tool.lines
