"""Image references: the grammar's accepted and refused words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry.reference import InvalidReferenceError, Reference, parse

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("ubuntu", "docker.io/library/ubuntu"),
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu"),
        ("index.docker.io/ubuntu", "docker.io/library/ubuntu"),
        ("team/api", "docker.io/team/api"),
        ("localhost/api", "localhost/api"),
        ("localhost:5001/api:1", "localhost:5001/api:1"),
        ("registry:5001/api", "registry:5001/api"),
        ("registry.example/a/b/c", "registry.example/a/b/c"),
        ("Registry.Example/api", "registry.example/api"),
        ("[::1]:5001/api", "[::1]:5001/api"),
        (f"a.b/c:1@sha256:{HEX}", f"a.b/c:1@sha256:{HEX}"),
        (f"a.b/c@sha512:{HEX}{HEX}", f"a.b/c@sha512:{HEX}{HEX}"),
        ("a__b/c---d/e.f", "docker.io/a__b/c---d/e.f"),
        (f"a.b/c:{'t' * 128}", f"a.b/c:{'t' * 128}"),
        (f"a.b/{'p' * 255}", f"a.b/{'p' * 255}"),
    ],
)
def test_references_become_explicit(text: str, explicit: str) -> None:
    assert str(parse(text)) == explicit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("registry.example/", "empty"),
        (":tag", "empty"),
        ("Team/api", "lower case"),
        ("UBUNTU", "lower case"),
        (HEX, "image ID"),
        ("a//b", "each part"),
        ("a/b/", "each part"),
        ("a/../b", "each part"),
        ("a___b", "each part"),
        ("a..b", "each part"),
        ("a b", "each part"),
        ("a\n", "each part"),
        ("é", "each part"),
        ("a:", "a tag is"),
        ("a:b:c", "a tag is"),
        ("a:-b", "a tag is"),
        ("a:t\n", "a tag is"),
        (f"a:{'t' * 129}", "a tag is"),
        (f"a.b/{'p' * 256}", "longer than 255"),
        ("a@sha256:abc", "a digest is"),
        ("a@", "a digest is"),
        (f"a@md5:{HEX[:32]}", "a digest is"),
        (f"a@sha256:{HEX.upper()}", "a digest is"),
        ("host:99999/a", "the port"),
        ("host:0/a", "the port"),
        ("host:/a", "not a host"),
        ("user@host.example/a", "a digest is"),
        ("-a.b/c", "not a host"),
        (f"{'h' * 260}.example/c", "not a host"),
        ("https://registry.example/api", "not a host"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_part_that_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidReferenceError, match=reason):
        parse(text)


def test_a_long_wrong_text_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse("A" * 10_000)

    assert len(caught.value.message) < 300


_COMPONENT = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
_REFERENCES = st.builds(
    Reference,
    host=st.from_regex(r"[a-z0-9]{1,8}\.[a-z]{2,5}(:[1-9][0-9]{0,3})?", fullmatch=True),
    path=st.lists(_COMPONENT, min_size=1, max_size=4).map("/".join),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    digest=st.none() | st.from_regex(r"sha256:[a-f0-9]{64}", fullmatch=True),
).filter(lambda reference: reference.host not in {"docker.io", "index.docker.io"})


@given(_REFERENCES)
def test_a_written_reference_reads_as_itself(reference: Reference) -> None:
    assert parse(str(reference)) == reference


@given(st.text(max_size=60) | st.from_regex(r"[a-zA-Z0-9._:/@\[\]-]{0,60}", fullmatch=True))
def test_any_text_is_a_stable_reference_or_refused(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReferenceError:
        return
    assert parse(str(reference)) == reference


@given(_REFERENCES, st.text(max_size=140))
def test_a_tag_or_digest_cannot_smuggle_anything_into_a_reference(reference: Reference, word: str) -> None:
    for change in (reference.with_tag, reference.with_digest):
        try:
            changed = change(word)
        except InvalidReferenceError:
            continue
        assert parse(str(changed)) == changed
