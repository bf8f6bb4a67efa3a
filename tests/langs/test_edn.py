"""EDN and Clojure as data: every text is read in one pass or refused with its line."""

import time
from contextlib import suppress
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import depsedn, edn, leiningen
from langs.edn import Form, Keyword, Other, Symbol
from langs.errors import LangError

MARKS = ["(", ")", "[", "]", "{", "}", "#{", "#(", '"', '#"', "\\", "\\(", "#_", "^", "#^", "'", "`", "~@", "#?", "@"]
WORDS = [";", "\n", " ", ",", ":a", "a/b", "1", "nil", "#:a", "##", "#inst", "defproject", ":main", ":deps", ":aliases"]
PIECES = st.sampled_from([*MARKS, *WORDS])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", ()),
        ("; nothing\n#! neither", ()),
        ('"a\\n\\u0041\\"" :b c/d 1 nil', ('a\nA"', Keyword("b"), Symbol("c/d"), Other("1"), Other("nil"))),
        ("#_ a b", (Symbol("b"),)),
        ("#_ #_ a b c", (Symbol("c"),)),
        ("[#_ a]", (Form("[", ()),)),
        ("^:x a", (Symbol("a", ("x",)),)),
        ("^{:x true :y false} ^:z a", (Symbol("a", ("x", "z")),)),
        ("^:replace [1]", (Form("[", (Other("1"),), ("replace",)),)),
        ("^:x 1", (Other("1"),)),
        ("'a `b ~c ~@d @e #'f", tuple(Symbol(name) for name in "abcdef")),
        ("#?(:clj 1)", (Form("(", (Keyword("clj"), Other("1"))),)),
        ("#:a{:b 1} #::{:c 2}", (Form("{", (Keyword("b"), Other("1"))), Form("{", (Keyword("c"), Other("2"))))),
        ('#"a\\"b" \\( \\newline', (Other('#"a\\"b"'), Other("\\("), Other("\\newline"))),
        ("#{1} #(a)", (Form("#{", (Other("1"),)), Form("#(", (Symbol("a"),)))),
        ('#inst "2026" #foo [a]', ("2026", Form("[", (Symbol("a"),)))),
        ("a' ->b *c* d#", tuple(Symbol(name) for name in ("a'", "->b", "*c*", "d#"))),
    ],
)
def test_a_text_is_read_as_clojure_reads_it(text: str, values: tuple[edn.Value, ...]) -> None:
    assert edn.parse(text, "x.edn") == values


@pytest.mark.parametrize(
    ("text", "line", "match"),
    [
        ("{\n:a [1\n", 2, "`\\[` is never closed"),
        ("(]", 1, "`\\]` closes nothing"),
        ("a\n)", 2, "closes nothing"),
        ('a\n"b', 2, "cannot be read"),
        ("[" * 200, 1, "nested deeper"),
        ("1 " * edn.MAX_TOKENS, 1, "more than"),
    ],
)
def test_what_is_broken_is_named_with_its_line(text: str, line: int, match: str) -> None:
    with pytest.raises(LangError, match=match) as caught:
        edn.parse(text, "x.edn")

    assert (caught.value.file, caught.value.line or 1) == ("x.edn", line)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("^:a " * 40_000 + "x", id="metadata"),
        pytest.param("#_ " * 40_000 + "x", id="discards"),
        pytest.param('"' + "\\" * 1_000_000, id="escapes"),
        pytest.param("#:a" + " " * 1_000_000, id="blanks"),
        pytest.param("#:a " * 40_000, id="namespaces"),
        pytest.param("(defproject " + ":a " * 90_000 + ")", id="keywords"),
        pytest.param("{:aliases {" + " ".join(f":a{number} {{}}" for number in range(20_000)) + "}}", id="aliases"),
    ],
)
def test_no_text_makes_the_readers_slow(text: str) -> None:
    begun = time.process_time()

    for parse in (leiningen.parse, depsedn.parse, depsedn.parse_build):
        with suppress(LangError):
            parse(text)

    # A megabyte takes a tenth of a second; what would take minutes is told from it on any machine.
    assert time.process_time() - begun < 10


@given(st.one_of(st.text(), st.lists(PIECES).map("".join), st.lists(PIECES).map(" ".join)))
def test_any_text_is_read_or_an_error(text: str) -> None:
    for parse in (leiningen.parse, depsedn.parse, depsedn.parse_build):
        with suppress(LangError):
            parse(text)


Nested: TypeAlias = "str | tuple[Nested, ...]"


def written(value: Nested) -> str:
    return f'"{value}"' if isinstance(value, str) else f"[{','.join(map(written, value))}]"


def plain(value: edn.Value) -> object:
    return tuple(map(plain, value.items)) if isinstance(value, Form) else value


@given(
    st.recursive(
        st.text().filter(lambda text: "\\" not in text and '"' not in text),
        lambda inner: st.lists(inner, max_size=4).map(tuple),
        max_leaves=20,
    )
)
def test_vectors_of_strings_come_back(value: Nested) -> None:
    assert [plain(each) for each in edn.parse(written(value), "x.edn")] == [value]


def test_a_project_says_what_leiningen_would_build() -> None:
    project = leiningen.parse(
        """
        (def v "1.0")
        (defproject com.example/web-app "0.1.0"
          :dependencies [[org.clojure/clojure "1.12.0" :exclusions [a/b]] [ring "1.9"]]
          :plugins [[lein-ring "0.12.6"]]
          :source-paths ["src/clj"]
          :ring {:handler web.core/app}
          #_ :main #_ not.this
          :profiles {:dev {:dependencies [[x "1"]]}
                     :uberjar {:aot :all :main ^:skip-aot web.main :uberjar-name "web.jar"}})
        """
    )

    assert project == leiningen.Project(
        name="web-app",
        clojure="1.12.0",
        main="web.main",
        uberjar_name="web.jar",
        source_paths=("src/clj",),
        profiles=frozenset({"dev", "uberjar"}),
        ring=True,
    )


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('(defproject a "1")', False),
        ('(defproject a ~(slurp "VERSION"))', True),
        ('(defproject a "1" :repositories {"local" "file:repo"})', True),
        ('(defproject a "1" :repositories [["x" {:url "https://x"}]])', False),
    ],
)
def test_a_project_that_reads_other_files_is_told(text: str, *, reads: bool) -> None:
    assert leiningen.parse(text).reads_sources is reads


def test_deps_say_what_the_cli_would_run() -> None:
    deps = depsedn.parse(
        """
        {:paths ["src" "resources"]
         :deps {org.clojure/clojure {:mvn/version "1.12.0"} my/lib {:local/root "lib"}}
         :aliases {:run {:jvm-opts ["-Xss2m"] :extra-paths ["env"] :main-opts ["-e" "1" "-m" "a.b"]}
                   :build {:replace-deps {io.github.clojure/tools.build {:mvn/version "0.10.10"}}}}}
        """
    )

    assert (deps.clojure, deps.paths, deps.local_roots) == ("1.12.0", ("src", "resources"), ("lib",))
    assert deps.aliases["run"].main == "a.b"
    assert (deps.aliases["run"].paths, deps.aliases["run"].jvm_options) == (("env",), ("-Xss2m",))
    assert deps.aliases["build"].build


def test_deps_that_are_no_map_are_an_error() -> None:
    with pytest.raises(LangError, match="no map"):
        depsedn.parse("[1]")
