"""References of layer caches."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cache.refs import Refs, keys, refs

_MAIN, _PULL_REQUEST = "refs/heads/main", "refs/pull/7/merge"
_NAME = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) <= 100)


_C = "r.example/c"
_ROWS: dict[str, tuple[str | None, tuple[str, ...], bool, str | None, tuple[str, ...]]] = {
    "nothing": (None, (), False, None, ()),
    "read only": (None, ("r.example/a:x", "r.example/{app}:x"), False, None, ("r.example/a:x", "r.example/api:x")),
    "alone": (f"{_C}:main", ("r.example/b",), True, f"{_C}:main", (f"{_C}:main", "r.example/b")),
    "alone, read twice": (_C, (_C,), True, _C, (_C,)),
    "a port is no tag": ("r.example:5000/c", (), False, "r.example:5000/c:cache-api", ("r.example:5000/c:cache-api",)),
    "several": (f"{_C}:v1", ("r.example/b",), False, f"{_C}:v1-api", (f"{_C}:v1-api", "r.example/b")),
    "a template": ("r.example/{app}:cache", (), True, "r.example/api:cache", ("r.example/api:cache",)),
}


@pytest.mark.parametrize("row", _ROWS)
def test_each_app_has_its_own_unless_it_is_alone(row: str) -> None:
    image, sources, alone, write, read = _ROWS[row]

    assert refs("api", image=image, sources=sources, scopes=("local",), alone=alone) == Refs(write=write, read=read)


def test_a_pull_request_reads_the_cache_of_its_branch_and_writes_its_own() -> None:
    main = refs("api", image="r.example/c", sources=(), scopes=(_MAIN,), alone=False)
    mine = refs("api", image="r.example/c", sources=(), scopes=(_PULL_REQUEST, _MAIN), alone=False)

    assert mine.read == (mine.write, main.write)
    assert mine.write != main.write
    assert main.read == (main.write,)


def test_a_pull_request_of_the_only_app_writes_beside_what_was_given() -> None:
    main = refs("api", image="r.example/c:main", sources=(), scopes=(_MAIN,), alone=True)
    mine = refs("api", image="r.example/c:main", sources=(), scopes=(_PULL_REQUEST, _MAIN), alone=True)

    assert (main.write, main.read) == ("r.example/c:main", ("r.example/c:main",))
    assert mine.write is not None
    assert mine.write.startswith("r.example/c:main-pull-7-merge-")
    assert mine.read == (mine.write, "r.example/c:main")


def test_branches_whose_names_look_alike_have_two_caches() -> None:
    written = {
        refs("api", image="r.example/c", sources=(), scopes=(f"refs/heads/{name}",), alone=False).write
        for name in ("a/b", "a-b", "a.b", "A/b", "a" * 200, "a" * 201, "\udcff", "")
    }

    assert len(written) == 8


@pytest.mark.parametrize("app", ["api", "a" * 100])
def test_a_branch_is_told_apart_by_more_than_can_be_tried(app: str) -> None:
    written = refs(app, image=f"r.example/c:{'t' * 20}", sources=(), scopes=(_MAIN,), alone=False).write
    [key] = keys(app, name=None, scopes=(_MAIN,), alone=False)

    # 128 bits, also where a tag would be too long.
    assert all(re.search(r"-[0-9a-f]{32}$", each or "") for each in (written, key))


@given(one=_NAME, other=_NAME, scope=st.text(max_size=200), templated=st.booleans())
def test_what_comes_out_is_a_legal_reference_and_no_two_apps_share_one(
    one: str,
    other: str,
    scope: str,
    templated: bool,  # noqa: FBT001 -- hypothesis gives it
) -> None:
    image = "r.example/{app}/c:v" if templated else "r.example/c:v"

    written = [refs(app, image=image, sources=(), scopes=(scope,), alone=False).write for app in (one, other)]

    assert (written[0] == written[1]) == (one == other)
    assert all(
        re.fullmatch(r"r\.example/[a-z0-9/-]+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", each or "") for each in written
    )
