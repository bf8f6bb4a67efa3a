"""XML into plain values: what a manifest means, and what no manifest may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import xml
from langs.errors import LangError

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><project>&j;</project>"
)


def test_names_lose_their_namespace_and_paths_lead_to_elements() -> None:
    root = xml.parse(
        '<project xmlns="http://maven.apache.org/POM/4.0.0" xmlns:x="u">\n'
        '  <modules><module> a </module><module x:id="1">b</module></modules>\n'
        "  <!-- <modules><module>c</module></modules> -->\n"
        "  <empty/>\n"
        "</project>",
        "pom.xml",
    )

    assert root.name == "project"
    assert [module.text for module in root.all("modules", "module")] == ["a", "b"]
    assert root.text_of("modules", "module") == "a"
    assert [module.attributes for module in root.all("modules", "module")] == [{}, {"id": "1"}]
    assert root.text_of("empty") is None
    assert root.first("absent") is None
    assert [child.line for child in root.children] == [2, 4]


def test_cdata_and_characters_by_number_are_text() -> None:
    root = xml.parse("<a><![CDATA[<b>]]> &amp; &#65;</a>", "a.csproj")

    assert root.text == "<b> & A"


def test_a_declared_encoding_does_not_speak_of_text_that_is_decoded_already() -> None:
    root = xml.parse('<?xml version="1.0" encoding="utf-16"?><a>é</a>', "a.csproj")

    assert root.text == "é"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "document type declaration"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type declaration"),
        ("<a>&unknown;</a>", "not valid XML"),
        ("<a>" * 101 + "</a>" * 101, "nested too deeply"),
        (f"<a>{'<b/>' * 50_000}</a>", "more than 50000 elements"),
        ("", "not valid XML"),
        ("<a>", "not valid XML"),
        ("<a/><b/>", "not valid XML"),
        ("{}", "not valid XML"),
    ],
)
def test_what_is_no_manifest_is_a_clear_error(text: str, message: str) -> None:
    with pytest.raises(LangError, match=message) as raised:
        xml.parse(text, "pom.xml")

    assert raised.value.file == "pom.xml"
    assert raised.value.hint


@given(text=st.one_of(st.text(), st.text("<>/ab&;!-[]'\"= \n")))
def test_whatever_the_text_there_is_an_element_or_a_clear_error(text: str) -> None:
    try:
        root = xml.parse(text, "x.xml")
    except LangError as error:
        refused = error
        assert refused.file == "x.xml"
    else:
        assert root.name


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert xml.parse(f"<a>{escaped}</a>", "x.xml").text == text.strip()
