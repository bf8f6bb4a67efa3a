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
    "digest": (f"FROM a@sha256:{'0' * 64}\n", {}, (f"a@sha256:{'0' * 64}",), ()),
}


@pytest.mark.parametrize("case", _CASES)
def test_what_it_stands_on_is_found(case: str) -> None:
    text, args, names, unknown = _CASES[case]

    found = images(text, args)

    assert found == Images(names=names, unknown=unknown)


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
