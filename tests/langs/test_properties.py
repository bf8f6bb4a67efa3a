import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import properties


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a = b \n", {"a": "b"}),
        ("a:b\nc d", {"a": "b", "c": "d"}),
        ("a", {"a": ""}),
        ("# a=b\n  ! c=d\n\n", {}),
        ("a=b\\\n   c", {"a": "bc"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("a\\=b=c\\u0041\\t.", {"a=b": "cA\t."}),
        ("a=b\r\nc=d\re=f", {"a": "b", "c": "d", "e": "f"}),
        ("a=1\na=2", {"a": "2"}),
        (
            "distributionUrl=https\\://example.org/gradle-8.5-bin.zip",
            {"distributionUrl": "https://example.org/gradle-8.5-bin.zip"},
        ),
        ("a=#b", {"a": "#b"}),
        ("a=b\\", {"a": "b"}),
    ],
)
def test_properties_are_read_as_java_reads_them(text: str, expected: dict[str, str]) -> None:
    assert properties.parse(text) == expected


@given(st.one_of(st.text(), st.text("ab=: \t\\\n#!u0041")))
def test_every_text_is_a_properties_file(text: str) -> None:
    found = properties.parse(text)

    assert all(isinstance(value, str) for value in found.values())


@given(st.dictionaries(st.text("abc", min_size=1), st.text("xyz:=#! ", max_size=20).map(str.strip)))
def test_what_is_written_plainly_is_read_again(written: dict[str, str]) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in written.items() if not value.startswith(("=", ":")))

    found = properties.parse(text)

    assert found == {key: value for key, value in written.items() if not value.startswith(("=", ":"))}
