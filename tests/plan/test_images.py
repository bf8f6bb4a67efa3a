"""Which images a Dockerfile stands on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.images import Images, images

_Words = tuple[str, ...]
_CASES: dict[str, tuple[str, dict[str, str], _Words, _Words]] = {
    "one": ("FROM node:22-slim\n", {}, ("node:22-slim",), ()),
    "small letters, tabs, a platform": ("from\t--platform=$BUILDPLATFORM\tnode:22\n", {}, ("node:22",), ()),
    "stages are no images": (
        "FROM golang:1.25 AS Build\nFROM debian:trixie\nCOPY --from=build /a /a\nCOPY --from=0 /b /b\n",
        {},
        ("golang:1.25", "debian:trixie"),
        (),
    ),
    "scratch is nothing": ("FROM scratch\n", {}, (), ()),
    "copied from an image": (
        "FROM scratch\nCOPY --chown=1:1 --from=ghcr.io/astral-sh/uv:0.5 /uv /uv\n",
        {},
        ("ghcr.io/astral-sh/uv:0.5",),
        (),
    ),
    "mounted from an image": (
        "FROM a\nRUN --mount=type=cache,target=/x --mount=type=bind,from=tools,target=/t x --from=no\n",
        {},
        ("a", "tools"),
        (),
    ),
    "defaults": ("ARG V=22\nARG I=node:$V\nFROM ${I}-slim\n", {}, ("node:22-slim",), ()),
    "what is said goes before a default": ("ARG V=22\nFROM node:${V}\n", {"V": "24"}, ("node:24",), ()),
    "an alternative": ("ARG V\nFROM node:${V:-20}${S:+-$S}\n", {}, ("node:20",), ()),
    "no value": ("ARG V\nFROM node:$V\n", {}, (), ("node:$V",)),
    "the daemon's own variables": ("FROM img-$TARGETARCH\n", {}, (), ("img-$TARGETARCH",)),
    "an argument after FROM does not count": ("FROM a\nARG V=1\nFROM b:$V\n", {}, ("a",), ("b:$V",)),
    "a variable in --from": ("FROM a\nCOPY --from=$X / /\n", {}, ("a",), ("$X",)),
    "continued lines and comments within": (
        "FROM \\\n# not here: FROM x\n\n  node:22 \\\n  AS a\nFROM a\n",
        {},
        ("node:22",),
        (),
    ),
    "here-documents": ("FROM a\nRUN <<EOF cat <<-'B'\nFROM x\nEOF\nFROM y\n\tB\nFROM z\n", {}, ("a", "z"), ()),
    "another escape": ("# escape=`\nFROM `\n  win:1\nRUN dir c:\\\nFROM z\n", {}, ("win:1", "z"), ()),
    "a frontend": ("# syntax=docker/dockerfile:1.7-labs\nFROM a\n", {}, ("docker/dockerfile:1.7-labs", "a"), ()),
    "a comment ends directives": ("# hello\n# syntax=x/y\nFROM a\n", {}, ("a",), ()),
    "a mark of UTF-8, and CRLF": ("\ufeffFROM a\r\nCOPY --from=b / /\r\n", {}, ("a", "b"), ()),
    "quotes": ('FROM "node:22" AS x\n', {}, ("node:22",), ()),
    "a quoted word is no here-document": (
        "FROM a\nRUN sh -c \"cat <<EOF >x\"\nFROM b\nRUN echo '<<A'\nFROM c\n",
        {},
        ("a", "b", "c"),
        (),
    ),
    "a here-document of another name": ("FROM a\nRUN <<END-OF\nFROM x\nEND-OF\nFROM b\n", {}, ("a", "b"), ()),
    "a here-document without an end": ("FROM a\nRUN x <<EOF\nFROM b\n", {}, ("a", "b"), ()),
    "tabs before the last line": ("FROM a\nRUN <<EOF\n\tEOF\nFROM x\nEOF\nFROM b\n", {}, ("a", "b"), ()),
    "ends of lines that are none for the daemon": ("# a\u2028RUN <<X\nFROM b\x0cc\n", {}, ("b",), ()),
    "what is fetched": (
        "FROM a\nADD --chown=1:1 https://u:p@h.example/x?t=s /x\nADD git@h.example:a/b.git $D/x /\nADD ['https://h.example/y']",
        {},
        ("a",),
        ("https://h.example/x", "git@h.example:a/b.git", "$D/x", "https://h.example/y"),
    ),
    "what is fetched by its digest": ("FROM a\nADD --checksum=sha256:00 https://h.example/x /x\n", {}, ("a",), ()),
    "added from the context": ("FROM a\nADD x.tar.gz http/ /x\n", {}, ("a",), ()),
    "a frontend that is said": ("# syntax=x/y\nFROM a\n", {"BUILDKIT_SYNTAX": "x/z:1"}, ("x/z:1", "a"), ()),
    "digits that are no index": ("FROM a\nCOPY --from=\u00b2 / /\n", {}, ("a", "\u00b2"), ()),
    "digest": (f"FROM a@sha256:{'0' * 64}\n", {}, (f"a@sha256:{'0' * 64}",), ()),
}


@pytest.mark.parametrize("case", _CASES)
def test_what_it_stands_on_is_found(case: str) -> None:
    text, args, names, unknown = _CASES[case]

    found = images(text, args)

    assert (found.names, found.unknown) == (names, unknown)


def test_an_image_is_the_builders_own_where_nothing_else_uses_it() -> None:
    native = "FROM --platform=$BUILDPLATFORM golang:1.25 AS a\nFROM --platform=${BUILDPLATFORM} debian AS b\n"

    alone = images(f"{native}FROM scratch\n")
    shared = images(f"{native}FROM debian\nCOPY --from=busybox /a /a\n")

    assert alone.native == {"golang:1.25", "debian"}
    assert shared.native == {"golang:1.25"}


def test_a_named_context_is_no_image() -> None:
    found = images("FROM base\nCOPY --from=assets / /\nFROM other\n", contexts=("Base", "assets"))

    assert found.names == ("other",)


@given(st.text(alphabet="FROMArunCOPY --from=,<${}:\\\n\t#'\"1aE"), st.dictionaries(st.text(max_size=3), st.text()))
def test_no_text_is_too_odd(text: str, args: dict[str, str]) -> None:
    found = images(text, args)

    assert all((*found.names, *found.unknown))


def test_a_variable_that_names_itself_ends() -> None:
    found = images("ARG A=$A$A\nFROM $A\n", {"A": "$A$A"})

    assert found == Images(names=(), unknown=("$A",))


_LONG: dict[str, str] = {
    "digits": f"FROM a\nCOPY --from={'9' * 5000} / /\n",
    "an argument that doubles itself": "ARG A=xxxxxxxxxx\n" + "ARG A=$A$A\n" * 60 + "FROM $A\n",
    "a directive's spaces": f"#a=x{' ' * 200_000}x\nFROM a\n",
    "flags": f"FROM a\nRUN {'--a=b ' * 100_000}x\n",
}


@pytest.mark.parametrize("case", _LONG)
def test_what_is_long_is_read_in_time_and_memory(case: str) -> None:
    found = images(_LONG[case])

    assert len(repr(found)) < 10_000
