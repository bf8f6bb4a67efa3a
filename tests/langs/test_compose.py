"""Compose files: which services are built, with what, and what is refused."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import compose
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Service, Settings
from tests.langs.conftest import Write

SCRATCH = "FROM scratch\n"


def services(root: Path, within: Path | None = None) -> tuple[Service, ...]:
    return compose.services(AppFiles(root, within), "compose.yaml")


def test_every_service_that_is_built_is_an_app_with_its_arguments_target_and_platforms(write: Write) -> None:
    root = write(
        {
            "compose.yaml": """
x-common: &common
  args: ["VERSION=${VERSION:-1.10}", GIVEN, NOT_GIVEN]
services:
  api:
    build:
      <<: *common
      context: ./services/api
      dockerfile: docker/Dockerfile
      target: production
      platforms: [linux/amd64, linux/arm64]
      labels: ["a=b"]
      secrets: [npm_token, {source: other, target: x}]
      ssh: [default]
  web:
    build: web
    platform: linux/arm64
  database:
    image: postgres
""",
            ".env": "GIVEN=1\n",
        }
    )

    found = services(root)

    assert found == (
        Service(
            name="api",
            file="compose.yaml",
            context="services/api",
            dockerfile="docker/Dockerfile",
            args={"VERSION": "1.10", "GIVEN": "1"},
            target="production",
            platforms=("linux/amd64", "linux/arm64"),
            labels={"a": "b"},
            secrets=("npm_token", "other"),
            ssh=("default",),
        ),
        Service(name="web", file="compose.yaml", context="web", dockerfile="Dockerfile", platforms=("linux/arm64",)),
    )


def test_a_service_that_cannot_be_built_is_left_out_and_told_where_nobody_asked_for_the_file(write: Write) -> None:
    text = json.dumps({"services": {"a": {"build": "."}, "b": {"build": {"network": "host"}}, "c": {"extends": "a"}}})
    root = write({"compose.yaml": text, "Dockerfile": SCRATCH})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert [service.name for service in detection.services] == ["a"]
    assert [warning.partition(":")[0] for warning in detection.warnings] == ["compose.yaml", "compose.yaml"]
    with pytest.raises(LangError, match="network"):
        langs.detect(root, Settings(compose_file="compose.yaml"))


def test_a_compose_file_of_which_nothing_can_be_built_is_no_app_and_says_why(write: Write) -> None:
    detection = langs.detect(write({"compose.yaml": "services:\n  a:\n    extends: b\n"}), Settings())

    assert detection is not None
    assert not detection.is_app
    assert "extends" in detection.evidence[0].reason


@pytest.mark.parametrize("file", compose.FILES)
def test_a_compose_file_that_builds_is_found_by_each_of_its_names(write: Write, file: str) -> None:
    detection = langs.detect(write({file: "services:\n  api:\n    build: .\n"}), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == ("compose", True)
    assert [service.name for service in detection.services] == ["api"]
    assert detection.evidence[0].file == file


def test_a_compose_file_that_only_runs_images_shows_nothing(write: Write) -> None:
    assert langs.detect(write({"compose.yaml": "services:\n  db:\n    image: postgres\n"}), Settings()) is None


def test_the_environment_of_whoever_builds_is_not_asked(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET", "secret")
    root = write({"compose.yaml": "services:\n  a:\n    build:\n      args: [AWS_SECRET, 'B=${AWS_SECRET}']\n"})

    assert services(root)[0].args == {"B": ""}


@pytest.mark.parametrize(
    ("build", "match"),
    [
        ("../outside", "outside of the repository"),
        ("/etc", "outside of the repository"),
        ("a/../../b", "outside of the repository"),
        ("https://github.com/a/b.git", "is elsewhere"),
        ("git@github.com:a/b.git", "is elsewhere"),
        ({"context": ".", "dockerfile": "../../Dockerfile"}, "the Dockerfile"),
        ({"context": ".", "dockerfile": "/etc/passwd"}, "outside of the repository"),
        ({"context": ["."]}, "another shape"),
        ({"args": [["a"]]}, "another shape"),
        ({"args": ["a b=c"]}, "no name of an argument"),
        ({"args": {"a": "b\u0007"}}, "control character"),
        ({"context": "a\nb"}, "outside of the repository"),
        ({"target": "a\nb"}, "control character"),
        ({"platforms": ["linux"]}, "is no platform"),
        ({"secrets": ["a,target=/x"]}, "not the name of a secret"),
        ({"ssh": ["x y"]}, "not the name of a secret"),
        ({"privileged": "true"}, "is not supported"),
        ({"network": "host"}, "is not supported"),
        ({"entitlements": ["security.insecure"]}, "is not supported"),
        ({"additional_contexts": {"a": "/etc"}}, "neither `service:` nor `docker-image://`"),
        ({"additional_contexts": ["a=oci-layout:///x"]}, "neither `service:` nor"),
        ({"additional_contexts": ["a=docker-image://x y"]}, "neither `service:` nor"),
        ({"additional_contexts": {"a": None}}, "neither `service:` nor"),
        ({"additional_contexts": {"A,b": "service:api"}}, "nothing that FROM can name"),
        ({"additional_contexts": {"a": "service:none"}}, "stands on 'none', which is no service that is built"),
        ({"context": "${NONE:?gone}"}, "NONE"),
        ({"context": "$(id)"}, "begins no variable"),
    ],
)
def test_what_would_leave_the_repository_or_decide_for_the_operator_is_an_error(
    write: Write, build: object, match: str
) -> None:
    root = write({"compose.yaml": json.dumps({"services": {"api": {"build": build}}})})

    with pytest.raises(LangError, match=match) as caught:
        services(root)

    assert caught.value.file == "compose.yaml"
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a b", "a\nb", "../a", "a#b", "", "a" * 101])
def test_a_service_has_a_plain_name(write: Write, name: str) -> None:
    root = write({"compose.yaml": json.dumps({"services": {name: {"build": "."}}})})

    with pytest.raises(LangError, match="name of a service"):
        services(root)


def test_a_context_around_the_file_may_be_named_as_far_as_the_repository_goes(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/compose.yaml").write_text("services:\n  a:\n    build: {context: .., dockerfile: deploy/D}\n")

    found = services(tmp_path / "deploy", tmp_path)

    assert (found[0].context, found[0].dockerfile) == ("..", "deploy/D")


def test_what_has_no_effect_is_a_warning_and_extends_an_error(write: Write) -> None:
    root = write({"compose.yaml": json.dumps({"services": {"a": {"build": {"context": ".", "cache_from": ["x"]}}}})})

    assert services(root)[0].warnings == ("compose.yaml: services.a.build.cache_from has no effect",)

    write({"compose.yaml": json.dumps({"services": {"a": {"extends": {"service": "b"}}}})})
    with pytest.raises(LangError, match="extends"):
        services(root)


@pytest.mark.parametrize(
    ("files", "service", "path", "ignore"),
    [
        pytest.param({"Dockerfile": SCRATCH}, {"dockerfile": "Dockerfile"}, "Dockerfile", None, id="in it"),
        pytest.param({"d/D": SCRATCH}, {"dockerfile": "d/D"}, "d/D", None, id="below it"),
        pytest.param({}, {"inline": SCRATCH}, None, None, id="in the file"),
        pytest.param(
            {"../docker/D": SCRATCH, "../docker/D.dockerignore": "x\n"},
            {"dockerfile": "../docker/D"},
            None,
            "x\n",
            id="around it",
        ),
    ],
)
def test_the_dockerfile_of_a_service_is_found(
    write: Write, files: Mapping[str, str], service: Mapping[str, str], path: str | None, ignore: str | None
) -> None:
    root = write(files)
    told = Service(name="api", file="compose.yaml", context=".", args={"A": "1"}, target="t")
    told = msgspec.structs.replace(told, **service)

    built = langs.build(root, Settings(service=told, env={"A": "0", "B": "2"}), within=root.parent)

    assert (built.language, built.dockerfile, built.dockerfile_path, built.dockerignore) == (
        "compose",
        SCRATCH,
        path,
        ignore,
    )
    assert (built.args, built.target) == ({"A": "1", "B": "2"}, "t")


def test_a_dockerfile_reached_by_a_link_out_of_the_repository_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "repository/api"
    root.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/D").write_text(SCRATCH)
    (tmp_path / "repository/link").symlink_to("../outside")
    told = Service(name="api", file="compose.yaml", context=".", dockerfile="../link/D")

    with pytest.raises(LangError, match="out of the repository"):
        langs.build(root, Settings(service=told), within=tmp_path / "repository")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["context", "dockerfile", "args", "target", "platforms", "labels", "secrets", "ssh"])
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_build_is_understood_or_an_error(build: object) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "compose.yaml").write_text(
            json.dumps({"services": {"api": {"build": build}}}), encoding="utf-8"
        )
        try:
            found = services(Path(directory))
        except LangError:
            return

    for service in found:
        assert not service.context.startswith(("..", "/"))
        assert all(
            character.isprintable() or character == "\t"
            for text in service.args.values()
            for character in text
            if ord(character) < 128
        )


def test_contexts_are_images_of_services_and_of_registries(write: Write) -> None:
    said = {"base": "service:base", "tools:1": "docker-image://registry.example/tools:1"}
    file = {"services": {"web": {"build": {"additional_contexts": said}}, "base": {"build": "."}}}
    root = write({"compose.yaml": json.dumps(file), "Dockerfile": "FROM base\n"})

    web, base = services(root)
    settings = Settings(service=web)
    build = langs.build(root, settings, detection=langs.detect(root, settings))

    assert (web.needs, base.needs) == ({"base": "base"}, {})
    assert build.contexts == {"tools:1": "docker-image://registry.example/tools:1"}


def test_what_stands_on_a_service_that_is_left_out_is_left_out_too(write: Write) -> None:
    needs = {"additional_contexts": {"x": "service:base"}}
    file = {
        "services": {
            "admin": {"build": {"additional_contexts": {"x": "service:web"}}},
            "web": {"build": needs},
            "base": {"build": {"privileged": True}},
            "other": {"build": "."},
        }
    }
    root = write({"compose.yaml": json.dumps(file), "Dockerfile": "FROM x\n"})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert [service.name for service in detection.services] == ["other"]
    assert len(detection.warnings) == 3
