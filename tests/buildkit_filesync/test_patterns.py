r"""Ignore patterns. The tables were recorded from moby/patternmatcher v0.6.1 (`MatchesOrParentMatches`)."""

import time
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.buildkit.session import gopath
from orchestrator.buildkit.session.patterns import TOP, Filter, PatternList
from orchestrator.buildkit.session.subject import Subject
from orchestrator.errors import ContextError

TABLE: list[tuple[list[str], list[str], list[str]]] = [
    (["foo"], ["foo", "foo/bar"], ["foobar", "a/foo"]),
    (["/foo"], [], ["foo"]),
    (["foo/"], ["foo", "foo/bar"], []),
    (["./foo/../bar"], ["bar"], ["foo"]),
    ([" foo "], ["foo"], []),
    (["*.go"], ["a.go", ".go"], ["a/b.go"]),
    (["*"], ["a", "a/b", ".a"], []),
    (["*/*"], ["a/b", "a/b/c"], ["a"]),
    (["a?c"], ["abc"], ["a/c", "ac"]),
    (["**"], ["a", "a/b"], []),
    (["**/foo"], ["foo", "a/foo", "a/b/foo/c"], ["afoo"]),
    (["**foo"], ["foo", "afoo", "a/bfoo"], []),
    (["foo/**"], ["foo/a"], ["foo", "foobar"]),
    (["foo**"], ["foo", "foobar", "foo/a"], []),
    (["a/**/b"], ["a/b", "a/x/b", "a/x/y/b"], ["axb", "ab"]),
    (["**/*.log"], ["a.log", "b/a.log"], ["a.logx"]),
    (["a**/b"], ["ab", "a/b", "axx/b"], ["axxb"]),
    (["**/node_modules", "!**/keep"], ["node_modules", "x/node_modules/y"], ["x/node_modules/keep", "keep"]),
    (["*", "!a"], ["b"], ["a", "a/b"]),
    (["!a", "*"], ["a"], []),
    (["a", "!a/b", "a/b/c"], ["a/x", "a/b/c"], ["a/b", "a/b/d"]),
    (["*", "!a/*.py"], ["a", "a/x.c"], ["a/x.py"]),
    (["docs", "!docs/*.md"], ["docs", "docs/a/b.md"], ["docs/a.md"]),
    (["[a-c]"], ["a", "c"], ["d"]),
    (["[^a-c]"], ["d", "/"], ["a"]),
    (["[a-c]*/x"], ["a/x", "bcd/x"], ["d/x"]),
    (["\\*"], ["*"], ["a"]),
    (["a\\?b"], ["a?b"], ["axb"]),
    (["\\!a"], ["!a"], ["a"]),
    (["\\#a"], ["#a"], []),
    (["\\d"], ["1"], ["d"]),
    (["[[:alpha:]]x"], ["ax"], [":x", "1x"]),
    (["[*]"], ["[/]", "[[[]", "]"], ["*"]),
    (["a.b"], ["a.b"], ["axb"]),
    (["a.b*"], ["a.bc"], ["axbc"]),
    (["a+(b)*"], ["a+(b)c"], ["aabc"]),
    (["*.{js,ts}"], ["x.{js,ts}"], ["x.js"]),
    (["*a{2}"], ["baa"], ["a{2}"]),
    (["*x|y"], ["ax", "zy", "axb"], []),
    (["^a*"], ["ab"], ["^ab"]),
    (["a$*"], ["a$b"], ["a"]),
    (["é*"], ["éa"], ["e"]),
    (["?"], ["é", "日"], []),
    (["a b"], ["a b"], []),
    (["a\tb*"], ["a\tbc"], []),
    (["", "  "], [], ["a"]),
    (["."], [], ["a"]),
    ([".."], [], ["a"]),
    (["../a"], [], ["a"]),
    (["a//b"], ["a/b"], []),
    (["!../a", "b"], ["b"], []),
]
MALFORMED = ["[]a]", "[a", "[b-a]*", "a\\", "!", "[a-", "[^", "*{2}", "\\o", "[[:nope:]]", "a\\pL"]


def matches(patterns: list[str], path: str) -> bool:
    """As a walk does it: parents first."""
    rules = PatternList(patterns, role="exclude")
    matched, inherited = False, 0
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        matched, inherited = rules.match(Subject("/".join(parts[:number])), inherited)
    return matched


@pytest.mark.parametrize(("patterns", "matching", "others"), TABLE)
def test_patterns_match_what_patternmatcher_matches(
    patterns: list[str], matching: list[str], others: list[str]
) -> None:
    found = [path for path in matching + others if matches(patterns, path)]

    assert found == matching


@pytest.mark.parametrize("pattern", MALFORMED)
def test_a_malformed_pattern_is_named_in_a_clear_error(pattern: str) -> None:
    with pytest.raises(ContextError) as caught:
        matches(["fine", pattern], "other")

    assert repr(pattern) in caught.value.message
    assert ".dockerignore" in caught.value.hint


def test_a_pattern_with_a_fault_that_is_never_asked_harms_nobody() -> None:
    # As in patternmatcher, which makes the expression when it needs it: `*` has matched before.
    assert matches(["*", "\\1"], "a")


def reference(pattern: str, path: str) -> bool:
    """The documented part of the syntax, read off the text from left to right."""

    @cache
    def at(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(path)
        if pattern.startswith("**", i):
            # A last `**` takes everything, another one ends behind a slash or takes nothing.
            ends = [j, *(k + 1 for k in range(j, len(path)) if path[k] == "/")]
            return i + 2 == len(pattern) or any(at(i + 3, end) for end in ends)
        if pattern[i] == "*":
            return at(i + 1, j) or (j < len(path) and path[j] != "/" and at(i, j + 1))
        allowed, following = one(i)
        return j < len(path) and path[j] in allowed and at(following, j + 1)

    def one(i: int) -> tuple[str, int]:
        match pattern[i]:
            case "?":
                return path.replace("/", ""), i + 1
            case "[":
                end = pattern.index("]", i)
                return pattern[i + 1 : end], end + 1
            case "\\":
                return pattern[i + 1], i + 2
            case char:
                return char, i + 1

    return at(0, 0)


PARTS = st.lists(st.sampled_from(["a", "b", "é", ".", "*", "?", "[ab]", "\\*", "\\.", "a*"]), min_size=1, max_size=4)
# The reference knows `**` as a whole part only.
PART = PARTS.map("".join).filter(lambda part: "**" not in part)
PATTERNS = st.lists(st.just("**") | PART, min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.text("abé.*", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@given(st.lists(st.tuples(st.booleans(), PATTERNS), min_size=1, max_size=4), PATHS)
@example([(False, "a/**"), (True, "a/b")], "a/b/c")
def test_a_list_of_patterns_agrees_with_the_reference(rules: list[tuple[bool, str]], path: str) -> None:
    cleaned = [(exception, gopath.clean(pattern)) for exception, pattern in rules]
    parents = ["/".join(path.split("/")[:number]) for number in range(1, path.count("/") + 2)]
    expected = False
    for exception, pattern in cleaned:
        if any(reference(pattern, parent) for parent in parents):
            expected = not exception

    found = matches([f"{'!' if exception else ''}{pattern}" for exception, pattern in cleaned], path)

    assert found == expected


@given(st.lists(st.text("ab*?[]!^/\\-.{}|$1 d:", max_size=8), max_size=3), PATHS)
def test_any_text_is_a_pattern_or_a_clear_error(patterns: list[str], path: str) -> None:
    # No other exception than this one may come out of an ignore file.
    with suppress(ContextError):
        matches(patterns, path)


@pytest.mark.parametrize(
    "pattern", ["*a" * 60 + "b*c", "**/a" * 60 + "/b", "[a]*" * 60 + "b", "a**" * 60 + "b", "*a{0,99}" * 9]
)
def test_a_hostile_pattern_costs_no_more_than_a_long_one(pattern: str) -> None:
    path = "/".join(["a" * 250] * 15)
    started = time.process_time()

    matches([pattern], path)

    # A backtracking engine would not be done in a year.
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("include", "exclude", "path", "send", "descend"),
    [
        ([], [], "a", True, True),
        ([], ["a"], "a", False, False),
        ([], ["a", "!a/b"], "a", False, True),
        ([], ["a", "!b/c"], "a", False, False),
        ([], ["a", "!**/c"], "a", False, True),
        ([], ["*", "!a/b/**"], "a", False, True),
        (["a/b"], [], "a", False, True),
        (["a/b"], [], "b", False, False),
        (["a/b/*"], [], "a", False, True),
        (["**/c"], [], "a", False, True),
        (["a"], ["a/b"], "a", True, True),
        ([""], [], "a", False, False),
    ],
)
def test_a_directory_is_entered_when_something_below_may_be_sent(
    include: list[str], exclude: list[str], path: str, *, send: bool, descend: bool
) -> None:
    verdict = Filter(include=include, exclude=exclude).decide(path, TOP)

    assert (verdict.send, verdict.descend) == (send, descend)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a", True),
        ("*", "a/b", False),
        ("a*c*e", "abcde", True),
        ("a*c", "abcd", False),
        ("[^a]?", "bc", True),
        ("[a-c]", "b", True),
        ("\\*", "*", True),
        ("a*[", "b", False),
        ("", "", True),
    ],
)
def test_globs_match_as_in_go(pattern: str, name: str, *, expected: bool) -> None:
    assert gopath.match(pattern, name) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("", "."), ("//a//b/", "/a/b"), ("a/../../b", "../b"), ("/../a", "/a"), ("./a", "a")]
)
def test_paths_are_cleaned_as_in_go(path: str, expected: str) -> None:
    assert gopath.clean(path) == expected
