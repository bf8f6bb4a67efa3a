"""Every syntax of ranges: cases against a fixed table, and properties against a reading of its own."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from langs import specifiers, versions
from langs.errors import LangError
from langs.model import Releases, Settings
from langs.statements import Statement

Parse = Callable[..., Statement]

TAG = re.compile(r"[0-9]+(\.[0-9]+){0,3}([.-]?[A-Za-z]+[.-]?[0-9]+)?")
NUMBERS = tuple((major, minor, patch) for major in range(17, 27) for minor in (0, 5, 16) for patch in (0, 1, 7))
TABLE = Releases(read="9999-12-31", newest_first=tuple(sorted(NUMBERS, reverse=True)))
PARSERS: tuple[Parse, ...] = (
    versions.npm,
    versions.composer,
    versions.ruby,
    versions.elixir,
    versions.poetry,
    specifiers.pep440,
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text("0123456789.xX*^~<>=| -v,!@", max_size=40),
    st.from_regex(r"\A([\^~<>=!]{0,2} ?[0-9]{1,3}(\.[0-9]{1,2}){0,2}(, | \|\| | )?){1,4}\Z"),
    st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,4}[.-]?(rc|beta|b|preview)?[.-]?[0-9]{0,3}\Z"),
)
RELEASE = st.tuples(st.integers(17, 26), st.sampled_from([0, 3, 5, 16]), st.sampled_from([0, 1, 2, 7]))


def chosen(parse: Parse, text: str, *, default: str = "22.16.0", line: int = 1) -> str:
    settings = Settings(releases={"nodejs": TABLE})
    version, warnings = versions.resolve(
        [parse(text, source="x", file="package.json")], settings=settings, table="nodejs", default=default, line=line
    )
    assert version.source == "x"
    assert not warnings
    return version.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22.16.0", "22.16.0"),
        ("22.3.4", "22.3.4"),
        ("=22.3.4", "22.3.4"),
        ("22", "22"),
        ("v20.11.0", "20.11.0"),
        (" 20.11\n", "20.11"),
        (">=18", "26.16.7"),
        (">= 18", "26.16.7"),
        ("^20.1", "20.16.7"),
        ("^20.1 || 22", "22.16.7"),
        ("22 || ^20.1", "22.16.7"),
        ("^20.1||^18", "20.16.7"),
        (">=18 <21", "20.16.7"),
        (">=18, <21", "20.16.7"),
        (">=18.5.0 <18.5.7", "18.5.1"),
        ("20.x.x", "20.16.7"),
        ("20.X", "20.16.7"),
        ("20.5.x", "20.5.7"),
        ("20.*", "20.16.7"),
        ("*", "22.16.0"),
        ("x", "22.16.0"),
        ("", "22.16.0"),
        ("~20.5.1", "20.5.7"),
        ("~20", "20.16.7"),
        ("18 - 20", "20.16.7"),
        ("20 - 22", "22.16.7"),
        ("20.0.0 - 22.5.1", "22.5.1"),
        (">22", "26.16.7"),
        (">22 <24", "23.16.7"),
        ("<=24", "24.16.7"),
        ("<22", "21.16.7"),
        ("<22.0.0", "21.16.7"),
        (">=19.0.0-0 <20.0.0-0", "19.16.7"),
        ("node", "26.16.7"),
        ("latest", "26.16.7"),
        ("lts/iron", "20"),
        ("LTS/Iron", "20"),
        ("iron", "20"),
        # No known release lies inside: what is certain is the bound.
        (">=30", "30"),
        (">=30.0.0", "30"),
        ("^27.1", "27.1"),
        (">=27.0.0 <27.3.0", "27.0"),
        (">=27.1.2 <27.1.3", "27.1.2"),
        (">=27.3 <27.3.1", "27.3.0"),
        ("<5 || >=30", "30"),
    ],
)
def test_npm_ranges_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(versions.npm, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (">=22.5.0a1,<23", "22.16.7"),
        (">22.16.0rc1,<23", "22.16.7"),
        (">=20,<22.5.0b2", "22.0.7"),
        (">=20,<=22.5.0b2", "22.0.7"),
        (">=22.5,<23,!=22.16.7rc1", "22.16.7"),
        ("~=22.5.0a1", "22.5.7"),
        ("22.16.0", "22.16.0"),
        ("22.16", "22.16"),
        (">=20.5,<22.6", "22.5.7"),
        ("~=22.5", "22.16.7"),
        ("~=22.5.0", "22.5.7"),
        ("==21.5.*", "21.5.7"),
        ("==21.5.1", "21.5.1"),
        ("==21.5", "21.5.0"),
        ("===21.5", "21.5.0"),
        ("!=26.*", "25.16.7"),
        (">=20,<22,!=21.16.7", "21.16.1"),
        ("<=22.5", "22.5.0"),
        ("<22", "21.16.7"),
        ("*", "22.16.0"),
        ("==23.0.0rc1", "23.0.0rc1"),
    ],
)
def test_python_specifiers_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(specifiers.pep440, text, line=2) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("^22.5", "22.16.7"),
        ("~22.5", "22.5.7"),
        ("~22.5.1", "22.5.7"),
        ("22.5.*", "22.5.7"),
        ("^20.0 || ^22.0", "22.16.7"),
        (">=20,<22", "21.16.7"),
        ("22.5", "22.5"),
        ("*", "22.16.0"),
    ],
)
def test_poetrys_constraints_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(versions.poetry, text, line=2) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~> 22.5", "22.16.7"),
        ("~>22.5.0", "22.5.7"),
        ("~> 22", "22.16.7"),
        (">= 20.5, < 22", "21.16.7"),
        ("~> 22.5, != 22.16.7", "22.16.1"),
        ("22.5.1", "22.5.1"),
        ("= 22.5.1", "22.5.1"),
        ("= 22.5", "22.5.0"),
        ("22.5", "22.5"),
        ("ruby-22.5.1", "22.5.1"),
        ("22.5.1p53", "22.5.1"),
        ("ruby-22.5.1-p53", "22.5.1"),
        ("22.5.0-preview1", "22.5.0-preview1"),
    ],
)
def test_rubys_requirements_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(versions.ruby, text, line=2) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("^22.5|^23.0", "23.16.7"),
        ("^22.5 || ^23.0", "23.16.7"),
        (">=20.5 <22", "21.16.7"),
        (">=20.5, <22", "21.16.7"),
        ("~22.5", "22.16.7"),
        ("~22.5.0", "22.5.7"),
        ("22.5.*", "22.5.7"),
        ("20.5 - 22.5", "22.5.7"),
        ("<=22.5", "22.5.0"),
        (">=22.5@dev <23", "22.16.7"),
        (">=20 <>26.16.7", "26.16.1"),
        ("22.5", "22.5"),
        ("*", "22.16.0"),
    ],
)
def test_composers_constraints_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(versions.composer, text, line=2) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~> 22.5", "22.16.7"),
        ("~> 22.5.0", "22.5.7"),
        ("~> 20.5 or >= 22.0.0 and < 23.0.0", "22.16.7"),
        ("~> 22.0-dev", "22.16.7"),
        ("== 22.5.1", "22.5.1"),
        ("22.5.1", "22.5.1"),
        ("22.5.0-rc.0", "22.5.0-rc.0"),
        ("!= 26.16.7", "26.16.1"),
    ],
)
def test_elixirs_requirements_become_the_newest_release_inside(text: str, value: str) -> None:
    assert chosen(versions.elixir, text, line=2) == value


@pytest.mark.parametrize(
    ("text", "policy", "value"),
    [
        ("22.5.100", None, "22.5.107"),
        ("22.5.100", "latestPatch", "22.5.107"),
        ("22.5.100", "latestFeature", "22.5.201"),
        ("22.5.100", "latestMinor", "22.6.100"),
        ("22.5.100", "LatestMajor", "23.0.100"),
        ("22.5.101", "disable", "22.5.101"),
        ("22.5.101", "feature", "22.5.101"),
        ("22.5.108", "latestPatch", "22.5.108"),
    ],
)
def test_the_sdk_of_global_json_rolls_as_far_as_its_policy_lets_it(text: str, policy: str | None, value: str) -> None:
    known = ((22, 5, 100), (22, 5, 107), (22, 5, 201), (22, 6, 100), (23, 0, 100))
    settings = Settings(releases={"dotnet": Releases(read="9999-12-31", newest_first=known[::-1])})
    stated = versions.sdk(text, policy, source="x")

    version, _ = versions.resolve([stated], settings=settings, table="dotnet", default="8.0", line=2)

    assert version.value == value


@pytest.mark.parametrize(
    ("text", "policy"), [("8", None), ("8.0.x", None), ("8.0.100", "onward"), ("8.0.100; RUN x", None), ("", None)]
)
def test_what_is_no_sdk_of_global_json_is_an_error(text: str, policy: str | None) -> None:
    with pytest.raises(LangError, match=r"global\.json is not understood") as caught:
        versions.sdk(text, policy, source="global.json", file="global.json")

    assert caught.value.file == "global.json"
    assert "8.0.404" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *(
            "<3",
            ">=3 <2",
            "twenty",
            "22; rm -rf /",
            "22\nRUN x",
            "$(id)",
            "{{ 7*7 }}",
            ">=1 junk",
            "1.2.3.4",
            "٣",
            ">=",
        ),
        *("22-slim", "lts/foo", "lts/-99", "<*", "20.x-foo", "1" * 5000, ">=1 " * 500, "22||" * 500, "=" * 10_000),
    ],
)
def test_what_is_not_understood_names_file_and_text(text: str) -> None:
    with pytest.raises(LangError) as caught:
        chosen(versions.npm, text)

    assert caught.value.file == "package.json"
    assert repr(text.strip())[1:-1][:10] in caught.value.message
    assert len(caught.value.message) < 200
    assert caught.value.hint


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text", ["three", ">=1 junk", "$(id)", "1\nRUN x", "~", "1.2.3.4.5", ">=1,<", "(1)", "1" * 5000]
)
def test_every_parser_says_what_it_does_not_understand(parse: Parse, text: str) -> None:
    with pytest.raises(LangError, match="is not understood") as caught:
        chosen(parse, text)

    assert caught.value.file == "package.json"
    assert caught.value.hint


@pytest.mark.parametrize("parse", PARSERS)
@given(text=TEXTS)
def test_whatever_is_said_the_tag_is_legal_or_the_error_is_ours(parse: Parse, text: str) -> None:
    try:
        value = chosen(parse, text)
    except LangError:
        return

    assert TAG.fullmatch(value)


@given(
    text=st.lists(
        st.tuples(st.sampled_from([">=", ">", "<", "<=", "!=", "==", "~="]), RELEASE, st.booleans()),
        min_size=2,
        max_size=4,
    ).map(
        lambda parts: ",".join(
            f"{operator}{'.'.join(map(str, numbers[:2]))}.*"
            if wild and operator in {"!=", "=="}
            else f"{operator}{'.'.join(map(str, numbers))}"
            for operator, numbers, wild in parts
        )
    )
)
def test_the_chosen_python_is_the_newest_that_packaging_allows(text: str) -> None:
    allowed = [release for release in TABLE.newest_first if Version(".".join(map(str, release))) in SpecifierSet(text)]

    try:
        value = chosen(specifiers.pep440, text, line=2)
    except LangError:
        assert not allowed
        return

    if allowed:
        assert value == ".".join(map(str, allowed[0]))
    else:
        newest = value if value.count(".") == 2 else f"{value}.999999"
        assert Version(newest) in SpecifierSet(text)


@given(text=st.text("0123.*<>=!~, \n", max_size=16).map(">=".__add__))
def test_what_packaging_does_not_understand_is_refused(text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        with pytest.raises(LangError):
            specifiers.pep440(text, source="x")


def allows(operator: str, bound: tuple[int, ...], release: tuple[int, int, int]) -> bool:
    """A second reading of npm's comparators with partial versions, by prefixes and not by spans."""
    prefix = release[: len(bound)]
    rules = {
        ">=": prefix >= bound,
        ">": prefix > bound,
        "<": prefix < bound,
        "<=": prefix <= bound,
        "": prefix == bound,
        "^": release[0] == bound[0] and prefix >= bound,
        "~": release[: min(2, len(bound))] == bound[:2] and prefix >= bound,
    }
    return rules[operator]


@given(
    alternatives=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from([">=", ">", "<", "<=", "^", "~", ""]),
                RELEASE.flatmap(lambda release: st.sampled_from([release[:1], release[:2], release])),
            ),
            min_size=2,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_the_chosen_node_is_the_newest_that_npm_allows(
    alternatives: list[list[tuple[str, tuple[int, ...]]]],
) -> None:
    text = " || ".join(
        " ".join(f"{operator}{'.'.join(map(str, bound))}" for operator, bound in parts) for parts in alternatives
    )
    allowed = [
        release
        for release in TABLE.newest_first
        if any(
            all(allows(operator, bound, (release[0], release[1], release[2])) for operator, bound in parts)
            for parts in alternatives
        )
    ]

    try:
        value = chosen(versions.npm, text)
    except LangError:
        assert not allowed
        return

    if allowed:
        assert value == ".".join(map(str, allowed[0]))
