"""Dockerfiles that stand on other images than their authors wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.images import images
from orchestrator.plan.renaming import renamed

_M = "m.example/hub"
_CASES: dict[str, tuple[str, dict[str, str], str]] = {
    "a tag": ("FROM node:22 AS build\nRUN echo node:22\n", {"node:22": _M}, f"FROM {_M} AS build\nRUN echo node:22\n"),
    "a stage of the same name": (
        "FROM node AS node\nFROM scratch\nCOPY --from=node /a /a\n",
        {"node": _M},
        f"FROM {_M} AS node\nFROM scratch\nCOPY --from=node /a /a\n",
    ),
    "variables": (
        "ARG V=22\nFROM --platform=$BUILDPLATFORM node:${V}\n",
        {"node:22": _M},
        f"ARG V=22\nFROM --platform=$BUILDPLATFORM {_M}\n",
    ),
    "quotes": ('FROM "node:22"\n', {"node:22": _M}, f"FROM {_M}\n"),
    "copied and mounted": (
        "FROM scratch\nCOPY --from=tools:1 /a /tools:1\nRUN --mount=from=tools:1,target=/t --mount=from=b x\n",
        {"tools:1": _M, "b": "x/b"},
        f"FROM scratch\nCOPY --from={_M} /a /tools:1\nRUN --mount=from={_M},target=/t --mount=from=x/b x\n",
    ),
    "an id of the same name": (
        "FROM scratch\nRUN --mount=type=cache,id=go,from=go,target=/go go\n",
        {"go": _M},
        f"FROM scratch\nRUN --mount=type=cache,id=go,from={_M},target=/go go\n",
    ),
    "comments": (
        "# FROM node:22\nFROM \\\n# node:22\n  node:22\n",
        {"node:22": _M},
        f"# FROM node:22\nFROM \\\n# node:22\n  {_M}\n",
    ),
    "a frontend": ("#syntax = docker/dockerfile:1\nFROM a\n", {"docker/dockerfile:1": _M}, f"#syntax = {_M}\nFROM a\n"),
    "a here-document": (
        "FROM a\nRUN <<E\nFROM a\nE\nFROM a\n",
        {"a": _M},
        f"FROM {_M}\nRUN <<E\nFROM a\nE\nFROM {_M}\n",
    ),
    "ends of lines": ("FROM a\r\nRUN :\r\n", {"a": _M}, f"FROM {_M}\r\nRUN :\r\n"),
    "others": ("FROM b\n", {"a": _M}, "FROM b\n"),
}


@pytest.mark.parametrize("case", _CASES)
def test_names_are_replaced_where_they_name_an_image(case: str) -> None:
    text, names, expected = _CASES[case]

    assert renamed(text, names) == expected


_NAMES = st.sampled_from(["node", "node:22", "node:22-slim", "ghcr.io/a/b", "a"])
_LINES = st.one_of(
    st.builds("FROM {} AS s{}".format, _NAMES, st.integers(0, 9)),
    st.builds("COPY --from={} /a /b".format, _NAMES),
    st.builds("RUN --mount=type=bind,target=/a,from={} x".format, _NAMES),
    st.builds("RUN echo {}".format, _NAMES),
)


@given(st.lists(_LINES, max_size=8))
def test_what_stands_on_the_new_names_stands_on_them_alone(lines: list[str]) -> None:
    text = "\n".join(lines)
    names = {name: f"m.example/{number}" for number, name in enumerate(images(text).names)}

    assert images(renamed(text, names)).names == tuple(names.values())


@given(st.text(alphabet="FROMArunCOPY --from=,<${}:\\\n\t#'\"1aE"))
def test_no_text_is_too_odd_and_without_names_it_stays(text: str) -> None:
    assert renamed(text, {}) == text
    renamed(text, dict.fromkeys(images(text).names, _M))
