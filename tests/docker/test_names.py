import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.docker import names
from orchestrator.errors import UsageError
from orchestrator.registry.reference import InvalidReferenceError, parse

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker.io/library/node:22", ("docker.io", "docker.io/library/node", "22", None)),
        ("127.0.0.1:5000/a", ("127.0.0.1:5000", "127.0.0.1:5000/a", None, None)),
        ("localhost/a:b", ("localhost", "localhost/a", "b", None)),
        ("builder:5000/a:b", ("builder:5000", "builder:5000/a", "b", None)),
        ("[::1]:5000/a:b", ("[::1]:5000", "[::1]:5000/a", "b", None)),
        (f"r.example/a__b/c-d@{DIGEST}", ("r.example", "r.example/a__b/c-d", None, DIGEST)),
        (f"r.example/a:1@{DIGEST}", ("r.example", "r.example/a", "1", DIGEST)),
    ],
)
def test_a_reference_falls_into_its_parts(text: str, expected: tuple[str | None, ...]) -> None:
    name = names.split(text)

    assert (name.host, name.repository, name.tag, name.digest) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node",
        "node:22",
        "team/api:1",
        "r.example/a?x=1",
        "r.example/../containers",
        "r.example/a/../../b",
        "r.example/A",
        "r.example/a:",
        "r.example/a:b/c",
        "r.example/a%2f..",
        "r.example/a b",
        "r.example/a\n",
        "r.example/a@sha256:12",
        "http://r.example/a",
        "r.example//a",
    ],
)
def test_what_is_no_reference_reaches_no_url(text: str) -> None:
    with pytest.raises(UsageError):
        names.split(text)


@pytest.mark.parametrize("text", ["r.example/a", f"r.example/a:1@{DIGEST}"])
def test_a_name_to_be_given_has_a_tag_and_nothing_behind(text: str) -> None:
    with pytest.raises(UsageError, match="NAME:TAG"):
        names.tagged(text)


def test_an_image_may_be_named_by_its_id() -> None:
    assert names.image(DIGEST) == DIGEST
    with pytest.raises(UsageError):
        names.image("0a" * 32)


PARTS = st.text("abcAB019._-:/@[]?#% \n", max_size=12)


@given(st.builds("{}/{}{}".format, st.sampled_from(["r.example", "127.0.0.1:5000", "localhost", "r"]), PARTS, PARTS))
def test_what_is_taken_here_is_a_reference_of_the_registry_client_too(text: str) -> None:
    try:
        name = names.split(text)
    except UsageError:
        return

    try:
        reference = parse(text)
    except InvalidReferenceError as error:
        # The one thing that only the registry client counts.
        assert "port" in error.message or "longer" in error.message  # noqa: PT017 -- an accepted difference
        return
    assert (name.host, name.repository, name.tag, name.digest) == (
        reference.host,
        reference.repository,
        reference.tag,
        reference.digest,
    )
