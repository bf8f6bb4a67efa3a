"""What configurations in JavaScript state, without being run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import jsconfig
from langs.files import AppFiles
from tests.langs.conftest import Write


@pytest.mark.parametrize(
    "text",
    [
        'export default { output: "standalone" };',
        "module.exports = {\n  output: 'standalone',\n}",
        'const config: NextConfig = {\n  "output" : "standalone" as const\n}',
        "nextConfig.output = 'standalone'\nexport default nextConfig",
        "/** `output: 'export'` would make files. */\nexport default withPlugins({output: 'standalone'})",
        "export default { test: /['\"]/, output: `standalone` }",
    ],
)
def test_a_key_with_a_constant_value_is_stated(text: str) -> None:
    assert jsconfig.stated(text, "output", "standalone")
    assert not jsconfig.stated(text, "output", "export")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "output",
        "output:",
        "// output: 'standalone'",
        "/*\noutput: 'standalone'\n*/",
        "const said = \"output: 'standalone'\"",
        "export default { output: docker ? 'standalone' : undefined }",
        "export default { output: 'standalone' + suffix }",
        "export default { outputs: 'standalone', output: undefined }",
        "export default { output: `${kind}standalone` }",
        "if (output === 'standalone') {}",
    ],
)
def test_what_is_commented_computed_or_quoted_is_not_stated(text: str) -> None:
    assert not jsconfig.stated(text, "output", "standalone")


def test_words_of_the_language_are_constants_too() -> None:
    assert jsconfig.stated("export default { ssr: false } satisfies Config", "ssr", "false")
    assert not jsconfig.stated("export default { ssr: true }", "ssr", "false")


def test_the_first_configuration_counts_and_one_that_cannot_be_read_says_nothing(write: Write) -> None:
    root = write({"b.js": "x = { a: 'b' }", "c.js": "x = { a: 'c' }"})
    (root / "d.js").write_bytes(b"\xff\xfe")

    files = AppFiles(root)

    assert jsconfig.states(files, ("a.js", "b.js", "c.js"), "a", "b")
    assert not jsconfig.states(files, ("a.js", "b.js", "c.js"), "a", "c")
    assert not jsconfig.states(files, ("d.js",), "a", "b")
    assert not jsconfig.states(files, ("a.js",), "a", "b")


@given(text=st.text(), key=st.text(), value=st.text())
def test_no_text_is_an_error(text: str, key: str, value: str) -> None:
    assert jsconfig.stated(text, key, value) in {True, False}


@given(pieces=st.lists(st.sampled_from(["a", ":", "'b'", '"b"', "=", ",", "\n", "/*", "*/", "//", "`", "{", "}", " "])))
def test_nothing_is_stated_that_is_not_there(pieces: list[str]) -> None:
    text = "".join(pieces)

    if jsconfig.stated(text, "a", "b"):
        assert text.find("a") < text.rfind("b")
