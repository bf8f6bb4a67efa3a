"""Statements, calls and assignments of build files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import phrases
from langs.syntaxes import ELIXIR, GROOVY, KOTLIN, RUBY, SCALA, Syntax
from langs.tokens import MAX_DEPTH, tokenize

_GEMFILE = """
source "https://rubygems.org"
ruby file: ".ruby-version"
gem "rails", "~> 8.0",
    require: false
group :development, :test do
  gem("debug") if ENV["X"]
end
if ENV["Y"]
  gem "y"
end
%w[a b].each do |name|
  gem name
end
gem "last"
"""
_WORDS = st.lists(
    st.sampled_from(
        [
            *(
                "do ",
                "end ",
                "{",
                "}",
                "(",
                ")",
                "[",
                "]",
                "if ",
                "while ",
                "fn ",
                "x ",
                "= ",
                ", ",
                ": ",
                "x: ",
                ".",
                "\n",
            ),
            *('"a" ', ":b ", "=> ", "in ", "set", ":= "),
        ]
    ),
    max_size=60,
)


def test_a_gemfile_is_a_tree_of_statements() -> None:
    tree = phrases.statements(tokenize(_GEMFILE, RUBY), RUBY)

    gems = [
        ([outer.head for outer in around], call.constant(), call.constant(1), [*call.keywords])
        for around, statement in phrases.walk(tree)
        if statement.head == "gem" and (call := phrases.call(statement))
    ]
    assert gems == [
        ([], "rails", "~> 8.0", ["require"]),
        (["group"], "debug", None, []),
        (["if"], "y", None, []),
        ([""], None, None, []),
        ([], "last", None, []),
    ]


@pytest.mark.parametrize(
    ("syntax", "text", "name", "expected"),
    [
        (GROOVY, "sourceCompatibility = '17'", "sourceCompatibility", "17"),
        (GROOVY, "sourceCompatibility 17", "sourceCompatibility", "17"),
        (GROOVY, "version '1'", "version", "1"),
        (GROOVY, "id 'x' version 'y' apply false", "version", "y"),
        (GROOVY, "def v = '3'\nversion = v", "version", "3"),
        (GROOVY, 'version "$v"', "version", None),
        (GROOVY, "// version '1'", "version", None),
        (KOTLIN, "jvmToolchain(21)", "jvmToolchain", "21"),
        (KOTLIN, "languageVersion.set(JavaLanguageVersion.of(17))", "of", "17"),
        (KOTLIN, 'kotlin("jvm") version "2.1.0"', "version", "2.1.0"),
        (SCALA, 'ThisBuild / scalaVersion := "3.3.6"', "scalaVersion", "3.3.6"),
        (SCALA, 'scalaVersion in ThisBuild := "2.13"', "scalaVersion", "2.13"),
        (SCALA, 'val v: String = "3"\nscalaVersion := Versions.v', "scalaVersion", "3"),
        (SCALA, 'project.settings(\n  name := "x",\n  scalaVersion := "3"\n)', "scalaVersion", "3"),
        (RUBY, 'gem "x", :path => "y"', "path", "y"),
        (ELIXIR, 'def project do\n [app: :a, elixir: "~> 1.18"]\nend', "elixir", "~> 1.18"),
        (ELIXIR, '@version "1"\n[version: @version]', "version", "1"),
        (SCALA, "a := b\nb := a", "a", None),
    ],
)
def test_an_assigned_constant_is_found(syntax: Syntax, text: str, name: str, expected: str | None) -> None:
    assert phrases.lookup(tokenize(text, syntax), name) == expected


def test_blocks_in_braces_say_where_a_statement_stands() -> None:
    text = "java {\n toolchain { languageVersion = of(21) }\n}\ninclude 'a',\n 'b'"

    found = [
        ([outer.head for outer in around], statement.head)
        for around, statement in phrases.walk(phrases.statements(tokenize(text, GROOVY), GROOVY))
    ]

    assert found == [
        ([], "java"),
        (["java"], "toolchain"),
        (["java", "toolchain"], "languageVersion"),
        ([], "include"),
    ]


def test_calls_are_found_with_arguments_and_keywords() -> None:
    tokens = tokenize("include('a', \"b\")\ninclude 'c'\nx group: 'd', name: 'e'", GROOVY)

    included = [[phrases.constant(piece) for piece in call.arguments] for call in phrases.calls(tokens, "include")]
    (keyed,) = phrases.calls(tokens, "x")

    assert included == [["a", "b"], ["c"]]
    assert (keyed.keyword("group"), keyed.keyword("name"), keyed.keyword("other")) == ("d", "e", None)


@pytest.mark.parametrize(("syntax", "opening"), [(GROOVY, "a {\n"), (RUBY, "a do\n"), (ELIXIR, "a do\n")])
def test_blocks_are_followed_to_a_bounded_depth(syntax: Syntax, opening: str) -> None:
    tree = phrases.statements(tokenize(opening * 5000, syntax), syntax)

    assert max(len(around) for around, _ in phrases.walk(tree)) < MAX_DEPTH


@pytest.mark.parametrize("syntax", [GROOVY, KOTLIN, SCALA, RUBY, ELIXIR])
@given(words=_WORDS)
def test_no_order_of_tokens_is_an_error(syntax: Syntax, words: list[str]) -> None:
    tokens = tokenize("".join(words), syntax)

    tree = phrases.statements(tokens, syntax)

    kept = sum(len(statement.tokens) for _, statement in phrases.walk(tree))
    assert kept <= len(tokens)
    assert all(piece for piece in phrases.assigned(tokens, "x", "b"))
    assert all(call.name.text == "x" for call in phrases.calls(tokens, "x"))
    phrases.lookup(tokens, "x", "b")
