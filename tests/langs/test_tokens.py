"""The tokenizer of build files that are programs: what is constant, what is comment, and that nothing is an error."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.syntaxes import ELIXIR, GROOVY, JAVASCRIPT, KOTLIN, RUBY, SCALA, Syntax
from langs.tokens import MAX_TOKENS, Kind, tokenize

_ALL = (GROOVY, KOTLIN, SCALA, RUBY, ELIXIR, JAVASCRIPT)
_PIECES = st.sampled_from(
    [
        *(
            "'",
            '"',
            '"""',
            "'''",
            "#{",
            "${",
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "/*",
            "*/",
            "//",
            "#",
            "<<~A\n",
            "A\n",
            "%w[",
        ),
        *(
            "~w(",
            "/",
            "\\",
            "\n",
            ";",
            " ",
            "do",
            "end",
            "fn",
            "if ",
            "=begin\n",
            "\n=end\n",
            "a",
            "9",
            ".",
            ",",
            "=",
            ":",
        ),
        *("'a", "?", "`", "$/", "/$", 's"', "é", "\u2028", "\0", "\r", "__END__\n", "x: ", "=>", "%", "\U0001f600"),
    ]
)


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        (GROOVY, "version '1.0'", "name:version string:1.0"),
        (GROOVY, 'version "$v"', "name:version template:$v"),
        (GROOVY, r'a "\$v"', "name:a string:$v"),
        (GROOVY, "group: 'a'", "key:group string:a"),
        (GROOVY, "a = ~/it's/", "name:a mark:= mark:~ template:/it's/"),
        (GROOVY, "a = b / c / d", "name:a mark:= name:b mark:/ name:c mark:/ name:d"),
        (GROOVY, "a = '''x\n'y'\n'''", "name:a mark:= string:x\n'y'\n"),
        (GROOVY, "a /* b */ c // d", "name:a name:c"),
        (GROOVY, "a /* /* */ c", "name:a name:c"),
        (GROOVY, "a = 'b\nc'", "name:a mark:= template:b end:\n name:c template:"),
        (KOTLIN, "/* /* */ a */ b", "name:b"),
        (KOTLIN, "`java-library`", "name:java-library"),
        (KOTLIN, """val c = '"'""", """name:val name:c mark:= template:'"'"""),
        (KOTLIN, 'a("""b\\n""")', "name:a mark:( string:b\\n mark:)"),
        (KOTLIN, 'a("${b("}")}")', 'name:a mark:( template:${b("}")} mark:)'),
        (SCALA, 'scalaVersion := "3.3.6"', "name:scalaVersion mark::= string:3.3.6"),
        (SCALA, '"a" %% "b" % "1"', "string:a mark:%% string:b mark:% string:1"),
        (SCALA, 's"$v" s"v" "$v"', "template:$v string:v string:$v"),
        (SCALA, "'compile", "symbol:compile"),
        (RUBY, 'ruby "~> 3.3"', "name:ruby string:~> 3.3"),
        (RUBY, "ruby '3.3' # gem 'a'", "name:ruby string:3.3"),
        (RUBY, 'gem "a", :path => "b"', "name:gem string:a mark:, symbol:path mark:=> string:b"),
        (RUBY, '{"a": 1}', "mark:{ key:a number:1 mark:}"),
        (RUBY, "%w[a b]", "mark:[ string:a mark:, string:b mark:]"),
        (RUBY, "%i(a)", "mark:[ symbol:a mark:]"),
        (RUBY, "x = %q{a {b}}", "name:x mark:= string:a {b}"),
        (RUBY, "n % [1]", "name:n mark:% mark:[ number:1 mark:]"),
        (RUBY, 'c = ?"\nd', 'name:c mark:= template:?" end:\n name:d'),
        (RUBY, "a <<~B, 1\n gem 'x'\n B\nc", "name:a template:<<~B mark:, number:1 end:\n name:c"),
        (RUBY, "a << :b", "name:a mark:< mark:< symbol:b"),
        (RUBY, "a if b =~ /'#/ && c", "name:a name:if name:b mark:= mark:~ template:/'#/ mark:&& name:c"),
        (RUBY, "=begin\ngem 'x'\n=end\na", "name:a"),
        (RUBY, "a\n__END__\nb", "name:a end:\n"),
        (RUBY, "A::B", "name:A mark::: name:B"),
        (ELIXIR, 'elixir: "~> 1.18"', "key:elixir string:~> 1.18"),
        (ELIXIR, '"assets.deploy": []', "key:assets.deploy mark:[ mark:]"),
        (ELIXIR, '{:a, :"b c"}', "mark:{ symbol:a mark:, symbol:b c mark:}"),
        (ELIXIR, "~w(a b)a", "mark:[ symbol:a mark:, symbol:b mark:]"),
        (ELIXIR, '~S"""\n"x\n"""', 'string:\n"x\n'),
        (ELIXIR, '[?", 1]', 'mark:[ template:?" mark:, number:1 mark:]'),
        (ELIXIR, '"a#{"}"}"', 'template:a#{"}"}'),
        (JAVASCRIPT, "/* a */ b: 'c', // d", "key:b string:c mark:,"),
        (JAVASCRIPT, "x = /['\"]/; `a${'}'}`", "name:x mark:= template:/['\"]/ end:; template:a${'}'}"),
    ],
)
def test_what_is_written_is_read_as_the_language_reads_it(syntax: Syntax, text: str, expected: str) -> None:
    tokens = tokenize(text, syntax)

    assert " ".join(f"{token.kind}:{token.text}" for token in tokens) == expected


def test_tokens_know_their_lines() -> None:
    tokens = tokenize('a\n"b\nc"\n# d\n/e/\nx <<~F\n\nF\ng', RUBY)

    assert [(token.text, token.line) for token in tokens if token.kind is not Kind.END] == [
        ("a", 1),
        ("b\nc", 2),
        ("/e/", 5),
        ("x", 6),
        ("<<~F", 6),
        ("g", 9),
    ]


@pytest.mark.parametrize("syntax", _ALL)
@given(pieces=st.lists(_PIECES, max_size=60))
def test_no_text_is_an_error_and_no_token_comes_from_nowhere(syntax: Syntax, pieces: list[str]) -> None:
    text = "".join(pieces)

    tokens = tokenize(text, syntax)

    assert len(tokens) <= len(text) + 2 * text.count("%") + 2 * text.count("~")
    assert [token.line for token in tokens] == sorted(token.line for token in tokens)
    assert all(1 <= token.line <= text.count("\n") + 1 for token in tokens)


@pytest.mark.parametrize("syntax", _ALL)
@given(value=st.text(st.characters(exclude_characters="\\\"'#$\n", codec="utf-8")))
def test_a_plain_string_is_its_own_constant(syntax: Syntax, value: str) -> None:
    tokens = tokenize(f'name("{value}")', syntax)

    assert tokens[2].kind is Kind.STRING
    assert tokens[2].text == value
    assert tokens[3].text == ")"


@pytest.mark.parametrize("syntax", _ALL)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "'",
            '"',
            '"""',
            "#{",
            '"#{',
            '"${',
            "/*",
            "/",
            "= /\\",
            "<<~A\n",
            "%w[",
            "~w(",
            "a?",
            "'a",
            "`",
            "$/",
            's"${',
        ),
        *("=begin\n", "a", "\\", "\n"),
    ],
)
def test_much_of_anything_is_read_in_linear_time(syntax: Syntax, piece: str) -> None:
    text = piece * ((1 << 18) // len(piece))

    started = process_time()
    tokens = tokenize(text, syntax)

    # Quadratic time would be hours.
    assert process_time() - started < 20
    assert len(tokens) <= MAX_TOKENS
