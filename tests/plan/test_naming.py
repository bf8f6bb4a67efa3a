"""Where images go, as a table; and that whatever is filled in is legal."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config import Image
from orchestrator.errors import UsageError
from orchestrator.model import App
from orchestrator.plan.naming import Facts, legal_tag, name_all, needs_revision
from orchestrator.registry import reference

_FACTS = Facts(root_name="Shop", branch="feature/Login", revision="0123456789abcdef0123456789abcdef01234567")
_SHA = "0123456789ab"


def _image(template: str) -> Image:
    return Image(template=template, source="--image", given=True)


@pytest.mark.parametrize(
    ("template", "paths", "names"),
    [
        ("r.example/x", ["a"], ["r.example/x:latest"]),
        ("r.example/x", ["."], ["r.example/x:latest"]),
        ("r.example/x", ["s/a", "s/b"], ["r.example/x/a:latest", "r.example/x/b:latest"]),
        ("r.example/x:v1", ["s/a", "s/b"], ["r.example/x/a:v1", "r.example/x/b:v1"]),
        ("r.example:5000/x:{sha}", ["s/a", "s/b"], [f"r.example:5000/x/a:{_SHA}", f"r.example:5000/x/b:{_SHA}"]),
        ("r.example/{app}", ["s/a", "s/b"], ["r.example/a:latest", "r.example/b:latest"]),
        ("r.example/team-{app}:{branch}-{sha}", ["s/a"], [f"r.example/team-a:feature-Login-{_SHA}"]),
        ("r.example/x:{app}", ["s/a", "s/b"], ["r.example/x:a", "r.example/x:b"]),
        ("r.example/x/{path}", ["s/My App"], ["r.example/x/s/my-app:latest"]),
        ("r.example/x:{path}", ["s/My App", "b"], ["r.example/x:s-My-App", "r.example/x:b"]),
        ("r.example/{path}", ["."], ["r.example/shop:latest"]),
        ("r.example/{branch}/{app}", ["a"], ["r.example/feature-login/a:latest"]),
        ("team/{app}", ["a"], ["docker.io/team/a:latest"]),
        ("x", ["a", "b"], ["docker.io/x/a:latest", "docker.io/x/b:latest"]),
        ("localhost:5000/x", ["a"], ["localhost:5000/x:latest"]),
    ],
)
def test_a_template_names_every_app(
    make_app: Callable[..., App], template: str, paths: list[str], names: list[str]
) -> None:
    apps = [
        make_app(path, name="root" if path == "." else path.rpartition("/")[2].replace("My App", "my-app"))
        for path in paths
    ]

    named = name_all(apps, _image(template), _FACTS)

    assert [full for path in paths for full in named[path].references] == names


def test_without_a_word_names_are_derived_and_have_no_registry(make_app: Callable[..., App]) -> None:
    named = name_all([make_app(".", name="shop"), make_app("s/a")], None, _FACTS)

    assert [each.references for each in named.values()] == [("shop:latest",), ("shop/a:latest",)]


@pytest.mark.parametrize(
    ("template", "tags", "tag_latest", "result"),
    [
        ("r.example/x", (), False, ("latest",)),
        ("r.example/x", (), True, ("latest",)),
        ("r.example/x:v1", (), True, ("v1", "latest")),
        ("r.example/x", ("v1", "v2"), False, ("v1", "v2")),
        ("r.example/x:v1", ("v2", "{sha}"), True, ("v1", "v2", _SHA, "latest")),
        ("r.example/x:v1", ("v1",), False, ("v1",)),
        ("r.example/x", ("{branch}",), False, ("feature-Login",)),
    ],
)
def test_tags_come_from_the_template_then_flags_then_the_default(
    make_app: Callable[..., App], template: str, tags: tuple[str, ...], *, tag_latest: bool, result: tuple[str, ...]
) -> None:
    named = name_all([make_app("a")], _image(template), _FACTS, tags=tags, tag_latest=tag_latest)

    assert named["a"].tags == result


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("r.example/{ap}", "--image: unknown placeholder '{ap}'", "Did you mean {app}?"),
        ("r.example/{}", "--image: unknown placeholder '{}'", "Known: {app}"),
        ("r.example/{app", "--image: a brace without its partner", "look like {app}"),
        ("r.example/app}", "--image: a brace without its partner", "look like {app}"),
        ("r.example/{{app}}", "--image: a brace without its partner", "look like {app}"),
        ("r.example/Team/{app}", "--image: 'r.example/Team/a:latest' is not an image reference", "lower case"),
        ("r.example/x@sha256:" + "0" * 64, "--image: a digest cannot be asked for", "Leave out"),
        ("r.example/x:", "--image: ", "[:TAG]"),
        ("", "--image: ", "[:TAG]"),
        ("r.example/ x", "--image: ", "lower case"),
    ],
)
def test_a_template_that_cannot_be_is_an_error(
    make_app: Callable[..., App], template: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        name_all([make_app("a")], _image(template), _FACTS)

    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


@pytest.mark.parametrize("placeholder", ["{branch}", "{sha}"])
def test_a_placeholder_without_value_is_an_error(make_app: Callable[..., App], placeholder: str) -> None:
    with pytest.raises(UsageError, match="there is no value for"):
        name_all([make_app("a")], _image(f"r.example/x:{placeholder}"), Facts(root_name="shop"))


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("r.example/{path}", ["a/X", "a/x"]),
        ("r.example/x:{path}", ["a/b", "a-b"]),
    ],
)
def test_two_apps_with_one_image_are_an_error_that_names_both(
    make_app: Callable[..., App], template: str, paths: list[str]
) -> None:
    apps = [make_app(path, name=f"app{number}") for number, path in enumerate(paths)]

    with pytest.raises(UsageError) as caught:
        name_all(apps, _image(template), _FACTS)

    assert all(repr(path) in caught.value.message for path in paths)
    assert "{app}" in caught.value.hint


def test_apps_that_differ_only_in_the_tag_cannot_share_latest(make_app: Callable[..., App]) -> None:
    with pytest.raises(UsageError, match=r"r\.example/x:latest"):
        name_all([make_app("a"), make_app("b")], _image("r.example/x:{app}"), _FACTS, tag_latest=True)


def test_a_long_tag_is_cut_and_keeps_its_identity(make_app: Callable[..., App]) -> None:
    branches = ["x" * 200 + end for end in "ab"]

    tags = [
        name_all([make_app("a")], _image("r.example/x:{branch}"), Facts(root_name="s", branch=branch))["a"].tags[0]
        for branch in branches
    ]

    assert [len(tag) for tag in tags] == [128, 128]
    assert tags[0] != tags[1]


@pytest.mark.parametrize(
    ("template", "tags", "needed"),
    [("r.example/{app}", (), False), ("x:{sha}", (), True), ("x", ("{branch}",), True), (None, (), False)],
)
def test_git_is_asked_only_when_a_template_needs_it(
    template: str | None, tags: tuple[str, ...], *, needed: bool
) -> None:
    assert needs_revision(_image(template) if template else None, tags) == needed


_any = st.text(max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(_any.filter(lambda part: "/" not in part), min_size=1, max_size=3), branch=_any)
def test_whatever_is_filled_in_is_legal(make_app: Callable[..., App], path: list[str], branch: str) -> None:
    app = make_app("/".join(path), name="a")
    facts = Facts(root_name="shop", branch=branch, revision="f" * 40)

    named = name_all([app], _image("r.example/{path}/{app}:v-{branch}-{path}"), facts)[app.path]

    parsed = reference.parse(named.references[0])
    assert parsed.host == "r.example"
    assert parsed.tag == named.tags[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(template=st.text(st.characters(codec="utf-8"), max_size=30) | st.text("{}apthsr./:@-_", max_size=20))
def test_any_template_names_or_is_a_usage_error(make_app: Callable[..., App], template: str) -> None:
    try:
        named = name_all([make_app("a"), make_app("b")], _image(template), _FACTS)
    except UsageError:
        return

    assert all(reference.parse(full).tag for each in named.values() for full in each.references)


@given(_any)
def test_a_legal_tag_stays_as_it_is(text: str) -> None:
    tag = legal_tag(text)

    assert legal_tag(tag) == tag
