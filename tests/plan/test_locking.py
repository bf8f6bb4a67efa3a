"""What a lock file lacks of a plan, and what becomes of it."""

import msgspec
import pytest

from langs.model import Choice
from orchestrator.config.lock import Lock
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import AppPlan
from orchestrator.plan import locking, relocking
from orchestrator.plan.relocking import Named, PinnedImage, PinnedVersion
from tests.planned import build_of, planned

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def app(path: str, dockerfile: str, *chosen: Choice, name: str = "", language: str = "nodejs") -> AppPlan:
    plan = planned(path, build_of(dockerfile, language=language, chosen=chosen))
    return msgspec.structs.replace(plan, app=msgspec.structs.replace(plan.app, name=name)) if name else plan


def chose(value: str, *, locked: bool = False, tool: str = "nodejs") -> Choice:
    return Choice(tool=tool, value=value, source="package.json engines.node", locked=locked)


WEB = app("apps/web", "FROM node:20\nFROM node:20-slim\n", chose("20.1.0"))


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (
            Lock(),
            [
                "fleetpacks.lock does not have nodejs, of which 20.1.0 is taken: run `fleetpacks lock`",
                "fleetpacks.lock does not have node:20: run `fleetpacks lock`",
            ],
        ),
        (
            Lock(versions={"apps/web": {"nodejs": "18.0.0"}}, images={"node:20": ONE}),
            [
                (
                    "fleetpacks.lock has nodejs 18.0.0, which package.json engines.node does not allow, so that 20.1.0 "
                    "is taken: run `fleetpacks lock`"
                ),
                "fleetpacks.lock does not have node:20: run `fleetpacks lock`",
            ],
        ),
        # It is said once, for all apps.
        (Lock(versions=None), ["fleetpacks.lock does not have node:20: run `fleetpacks lock`"]),
    ],
)
def test_each_choice_that_the_file_does_not_have_is_said(lock: Lock, said: list[str]) -> None:
    built = app("apps/web", "FROM node:20\n", chose("20.1.0")).build

    assert list(locking.warnings(lock, "apps/web", built)) == said


def test_what_is_pinned_or_a_dockerfile_of_the_users_lacks_nothing() -> None:
    pinned = app("web", f"FROM node:20@{ONE}\n", chose("20.1.0", locked=True))
    own = app("own", "FROM busybox\n", language="dockerfile")
    lock = Lock(versions={"web": {"nodejs": "20.1.0"}})

    locking.require(lock, [pinned, own])

    assert [locking.warnings(lock, each.app.path, each.build) for each in (pinned, own)] == [(), ()]


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (None, ["fleetpacks.lock: there is none"]),
        (Lock(), ["does not have nodejs, of which 20.1.0 is taken (apps/web)", "does not have node:20 (apps/web)"]),
        (Lock(versions=None), ["its format had no versions"]),
    ],
)
def test_with_locked_it_is_an_error_that_names_the_file_and_what_is_missing(
    lock: Lock | None, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        locking.require(lock, [WEB])

    assert caught.value.exit_code == 2
    assert caught.value.message.startswith("fleetpacks.lock: ")
    assert [word for word in words if word not in caught.value.message] == []
    assert "fleetpacks lock" in caught.value.hint


def test_of_much_that_is_missing_the_first_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\(app4\); and 15 more$"):
        locking.require(Lock(), [app(f"app{number}", "FROM node:20\n") for number in range(20)])


@pytest.mark.parametrize(
    ("words", "apps", "images"),
    [
        (["apps/web"], {"apps/web"}, set[str]()),
        (["./apps/web/"], {"apps/web"}, set[str]()),
        (["apps"], {"apps/web", "apps/api"}, set[str]()),
        (["."], {"apps/web", "apps/api"}, set[str]()),
        (["shop"], {"apps/api"}, set[str]()),
        (["node:20"], set[str](), {"node:20"}),
        (["node"], set[str](), {"node:20", "node:20-slim", "node:18"}),
        (["r.example:5000/a/go"], set[str](), {"r.example:5000/a/go:1"}),
        (["shop", "node:18"], {"apps/api"}, {"node:18"}),
    ],
)
def test_apps_are_named_by_path_and_name_and_images_with_and_without_their_tag(
    words: list[str], apps: set[str], images: set[str]
) -> None:
    planned = [WEB, app("apps/api", "FROM r.example:5000/a/go:1\n", name="shop")]

    found = relocking.named(words, planned, Lock(images={"node:18": ONE}))

    assert found == Named(apps=frozenset(apps), images=frozenset(images))


@pytest.mark.parametrize("word", ["web2", "apps/we", "20-slim", "nod", "../apps/web", "/apps"])
def test_a_name_that_means_nothing_is_an_error(word: str) -> None:
    with pytest.raises(UsageError, match="no app, and no image") as caught:
        relocking.named([word], [WEB], Lock())

    assert "fleetpacks apps" in caught.value.hint


@pytest.mark.parametrize(
    ("anew", "asked"),
    [
        (Named(), ["node:20-slim"]),
        (None, ["golang:1", "node:20", "node:20-slim"]),
        (Named(images=frozenset({"golang:1"})), ["golang:1", "node:20-slim"]),
        (Named(apps=frozenset({"apps/web"})), ["node:20", "node:20-slim"]),
        (Named(apps=frozenset({"apps/api"})), ["golang:1", "node:20-slim"]),
    ],
)
def test_registries_are_asked_for_what_is_missing_or_forgotten(anew: Named | None, asked: list[str]) -> None:
    planned = [WEB, app("apps/api", "FROM golang:1\n"), app("own", "FROM busybox\n", language="dockerfile")]
    lock = Lock(images={"golang:1": ONE, "node:20": ONE, "php:8": ONE})

    needed, questions = relocking.asked_for(planned, lock, anew)

    assert list(needed) == ["golang:1", "node:20", "node:20-slim"]
    assert list(questions) == asked


def test_what_is_forgotten_of_an_app_is_its_versions_and_all_digests() -> None:
    lock = Lock(images={"node:20": ONE}, versions={"a": {"go": "1"}, "b": {"go": "2"}})

    assert relocking.forgetting(lock, {"a"}) == Lock(versions={"b": {"go": "2"}})
    assert relocking.forgetting(Lock(versions=None), ()) == Lock()


def test_old_and_new_stand_beside_each_other() -> None:
    before = Lock(
        images={"node:20": ONE, "node:20-slim": ONE, "php:8": ONE},
        versions={"apps/web": {"nodejs": "20.0.0", "pnpm": "9.1.0"}, "gone": {"go": "1.25"}},
    )
    chosen = relocking.versions([WEB, app("own", "FROM busybox\n", chose("3"), language="dockerfile")])

    images, versions = relocking.compared(
        before, ("node:20", "node:20-slim", "new:1"), {"node:20": TWO, "node:20-slim": ONE}, chosen
    )

    assert images == (
        PinnedImage(name="new:1", digest=None, before=None),
        PinnedImage(name="node:20", digest=TWO, before=ONE),
        PinnedImage(name="node:20-slim", digest=ONE, before=ONE),
        PinnedImage(name="php:8", digest=None, before=ONE, needed=False),
    )
    assert [each.changed for each in images] == [True, True, False, True]
    source = "package.json engines.node"
    assert versions == (
        PinnedVersion(app="apps/web", tool="nodejs", version="20.1.0", before="20.0.0", source=source),
        PinnedVersion(app="apps/web", tool="pnpm", version=None, before="9.1.0", source=None),
        PinnedVersion(app="gone", tool="go", version=None, before="1.25", source=None),
    )
    assert all(each.changed for each in versions)


def test_a_path_that_is_no_text_is_not_written() -> None:
    assert relocking.versions([app("apps/\udcff", "FROM node:20\n", chose("20.1.0"))]) == {}
