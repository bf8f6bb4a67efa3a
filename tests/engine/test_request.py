"""From a plan to a solve."""

from pathlib import Path

import msgspec
import pytest

from langs.model import Settings
from orchestrator.buildkit import DirectorySource, Exporter, MemorySource, SolveRequest
from orchestrator.buildkit.capabilities import TABLE, Kind
from orchestrator.engine.request import at_one_time, filters, solve_request
from orchestrator.model import AppPlan
from tests.planned import build_of, planned

_BUILD = build_of(dockerignore=".git\n")
_PLAN = planned("services/api", _BUILD, root=Path("/mono"), settings=Settings(env={"MODE": "fast"}))
_OWN = msgspec.structs.replace(
    _PLAN,
    build=msgspec.structs.replace(
        _BUILD, dockerfile_path="deploy/Dockerfile", dockerignore=None, args={"MODE": "fast"}, labels={"team": "shop"}
    ),
)


def request_of(
    plan: AppPlan,
    *,
    builder: Kind = "buildkitd",
    push: bool = True,
    insecure: bool = False,
    no_cache: bool = False,
    outputs: tuple[Exporter, ...] = (),
) -> SolveRequest:
    return solve_request(
        plan,
        can=TABLE[builder],
        ref="ref",
        shared_key="key",
        push=push,
        insecure=insecure,
        no_cache=no_cache,
        secrets={},
        tokens=None,
        registries=("registry.example",),
        outputs=outputs,
    )


def test_a_generated_dockerfile_travels_in_memory_with_its_own_ignore_file() -> None:
    request = request_of(_PLAN)

    context, dockerfile = request.sources
    assert context == DirectorySource(name="context", root=Path("/mono/services/api"))
    assert isinstance(dockerfile, MemorySource)
    assert dockerfile.files == {"Dockerfile": b"FROM scratch\n", "Dockerfile.dockerignore": b".git\n"}
    assert request.attrs == {"filename": "Dockerfile"}


def test_a_users_dockerfile_is_read_where_it_lies_and_gets_variables_as_build_arguments() -> None:
    request = request_of(_OWN)

    assert [type(source) for source in request.sources] == [DirectorySource, DirectorySource]
    assert request.attrs == {"filename": "deploy/Dockerfile", "build-arg:MODE": "fast", "label:team": "shop"}


def test_a_builder_pushes_by_digest_and_never_a_tag() -> None:
    exporter = request_of(_PLAN, insecure=True).exporter

    assert exporter is not None
    assert exporter.attrs["name"] == "registry.example/api"
    assert exporter.attrs["push-by-digest"] == "true"
    assert exporter.attrs["registry.insecure"] == "true"


def test_without_push_no_name_and_no_registry_is_mentioned() -> None:
    exporter = request_of(_PLAN, push=False, insecure=True).exporter

    assert exporter is not None
    assert exporter.attrs == {"oci-mediatypes": "true"}


def test_no_cache_is_the_frontends_attribute() -> None:
    assert request_of(_PLAN, no_cache=True).attrs["no-cache"] == ""


@pytest.mark.parametrize(
    "other", [_OWN, msgspec.structs.replace(_PLAN, build=msgspec.structs.replace(_BUILD, dockerignore=""))]
)
def test_other_filters_mean_another_copy_on_the_daemon(other: AppPlan) -> None:
    assert filters(_PLAN) != filters(other)


def test_an_engine_with_a_graph_driver_makes_an_image_without_a_name_and_pushes_later() -> None:
    request = request_of(_PLAN, builder="engine, graph driver", insecure=True)

    assert request.exporter == Exporter(type="moby", attrs={})


@pytest.mark.parametrize("push", [True, False])
def test_what_such_an_engine_loads_is_the_image_that_it_pushes(push: bool) -> None:  # noqa: FBT001 -- a parameter
    loaded = Exporter(type="moby", attrs={"name": "registry.example/team/api:v1"})

    request = request_of(_PLAN, builder="engine, graph driver", push=push, outputs=(loaded,))

    assert request.exporters == (loaded,)


def test_a_service_is_built_with_its_arguments_labels_target_and_platforms() -> None:
    build = msgspec.structs.replace(_OWN.build, target="web", platforms=("linux/amd64", "linux/arm64"))

    attrs = request_of(msgspec.structs.replace(_OWN, build=build)).attrs

    assert attrs["build-arg:MODE"] == "fast"
    assert attrs["label:team"] == "shop"
    assert (attrs["target"], attrs["platform"]) == ("web", "linux/amd64,linux/arm64")


def test_the_version_of_secrets_is_a_build_argument_where_there_is_one() -> None:
    versioned = msgspec.structs.replace(_OWN, secrets_version="0f")

    attrs = request_of(versioned).attrs

    assert attrs == {**request_of(_OWN).attrs, "build-arg:FLEETPACKS_SECRETS_VERSION": "0f"}


def test_named_contexts_are_asked_of_a_frontend_that_knows_them() -> None:
    place = "docker-image://registry.example/base@sha256:" + "0" * 64
    standing = msgspec.structs.replace(_OWN, build=msgspec.structs.replace(_OWN.build, contexts={"base": place}))

    attrs = request_of(standing).attrs

    assert attrs["context:base"] == place
    assert attrs["frontend.caps"] == "moby.buildkit.frontend.contexts+forward"
    assert "frontend.caps" not in request_of(_OWN).attrs


@pytest.mark.parametrize("kind", ["oci", "docker", "local", "tar"])
def test_no_file_of_a_layer_is_younger_than_the_epoch_where_that_is_said(kind: str) -> None:
    other = Exporter(type=kind, attrs={"name": "a:b"})

    request = at_one_time(request_of(_PLAN, outputs=(other,)))

    assert request.exporter is not None
    assert request.exporter.attrs["rewrite-timestamp"] == "true"
    assert request.exporter.attrs["push-by-digest"] == "true"
    [made] = request.outputs
    layers = {"rewrite-timestamp": "true"} if kind in {"oci", "docker"} else {}
    assert made.attrs == {"name": "a:b", **layers}


def test_a_solve_without_an_image_has_nothing_to_tell_of_times() -> None:
    request = request_of(_PLAN, push=False, outputs=(Exporter(type="local", attrs={}),))

    assert at_one_time(request) == request
