"""`--output`: words to places."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.plan.outputs import KINDS, Output, Placed, parse, place


@pytest.mark.parametrize(
    ("words", "load", "expected"),
    [
        ([], False, ()),
        ([], True, (Output(kind="docker", place=None),)),
        (["type=docker"], False, (Output(kind="docker", place=None),)),
        (["type=docker"], True, (Output(kind="docker", place=None),)),
        (["dest=a.tar,type=oci"], False, (Output(kind="oci", place="a.tar"),)),
        (['type=tar,"dest=a,b=c.tar"'], False, (Output(kind="tar", place="a,b=c.tar"),)),
        (
            ["type=local,dest=out/{app}", "type=docker,dest=x"],
            True,
            (
                Output(kind="local", place="out/{app}"),
                Output(kind="docker", place="x"),
                Output(kind="docker", place=None),
            ),
        ),
    ],
)
def test_words_become_outputs(
    words: list[str],
    load: bool,  # noqa: FBT001 -- a parameter of the test
    expected: tuple[Output, ...],
) -> None:
    assert parse(words, load=load) == expected


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("", "expected a type out of", "As in"),
        ("out", "unknown key 'out'", "As in"),
        ("type=oci", "dest is missing", "As in"),
        ("dest=a", "expected a type out of oci, docker, tar, local", "As in"),
        ("type=OCI,dest=a", "got 'OCI'", "As in"),
        ("type=image,push=true", "unknown key 'push'", "As in"),
        ("type=registry", "got 'registry'", "--push"),
        ("type=tar,dst=a", "unknown key 'dst'", "Did you mean 'dest'?"),
        ("type=tar,dest=", "dest has no value", "As in"),
        ("type=tar,dest", "dest has no value", "As in"),
        ("type=tar,dest=a\0b", "dest has no value", "As in"),
        ("type=tar,dest=a,dest=b", "a key twice", "Repeat"),
        ("type=tar,dest={name}.tar", "unknown placeholder in dest", "{app}"),
        ("type=tar,dest=-", "standard output is no place", "Name a file"),
        ('type=tar,"dest=a', "expected key=value", "As in"),
        ("type=tar\ndest=a", "expected key=value", "As in"),
    ],
)
def test_a_mistake_is_named_and_mended_by_a_hint(word: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([word])

    assert message in caught.value.message
    assert hint in caught.value.hint


@given(st.text())
def test_any_text_is_an_output_or_a_usage_error(word: str) -> None:
    try:
        outputs = parse([word])
    except UsageError:
        return

    assert all(output.kind in KINDS for output in outputs)


@pytest.mark.parametrize(
    ("word", "apps", "paths"),
    [
        ("type=oci,dest=x.tar", ["api"], ["x.tar"]),
        ("type=oci,dest=new/", ["api"], ["new/api.tar"]),
        ("type=oci,dest=there", ["api"], ["there/api.tar"]),
        ("type=oci,dest=o/{app}-{app}", ["api", "web"], ["o/api-api", "o/web-web"]),
        ("type=local,dest=there", ["api"], ["there"]),
        ("type=local,dest=there/", ["api", "web"], ["there/api", "there/web"]),
    ],
)
def test_each_app_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, apps: list[str], paths: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()

    placed = place(parse([word]), apps, root=tmp_path)

    assert {app: tuple(map(str, (each.path for each in places))) for app, places in placed.items()} == {
        app: (path,) for app, path in zip(apps, paths, strict=True)
    }


def test_what_is_loaded_has_no_place(tmp_path: Path) -> None:
    assert place(parse([], load=True), ["api"], root=tmp_path) == {"api": ()}


@pytest.mark.parametrize(
    ("words", "apps"),
    [
        (["type=oci,dest=x.tar"], ["api", "web"]),
        (["type=local,dest=x"], ["api", "web"]),
        (["type=oci,dest=x", "type=tar,dest=./y/../x"], ["api"]),
    ],
)
def test_one_place_for_two_is_an_error(tmp_path: Path, words: list[str], apps: list[str]) -> None:
    with pytest.raises(UsageError, match="would both be written to"):
        place(parse(words), apps, root=tmp_path)


def test_a_symlink_of_the_source_leads_no_output_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()
    (source / "out").symlink_to(elsewhere)
    (source / "in").symlink_to("real")
    (tmp_path / "link").symlink_to(elsewhere)
    monkeypatch.chdir(source)

    with pytest.raises(UsageError, match="leads out of the source"):
        place(parse(["type=local,dest=out/{app}"]), ["api"], root=source)
    inside = place(parse(["type=local,dest=in/x"]), ["api"], root=source)
    beyond = place(parse(["type=local,dest=../link"]), ["api"], root=source)

    assert inside == {"api": (Placed(kind="local", path=Path("in/x")),)}
    assert beyond == {"api": (Placed(kind="local", path=Path("../link")),)}
