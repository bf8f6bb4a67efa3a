"""What an image says of its source."""

import pytest

from langs.model import Service, Settings
from orchestrator.engine.origin import labels
from orchestrator.model import AppPlan, Attestations
from tests.planned import build_of, planned

_REVISION = "6e193e554ca6" + "0" * 28
_SERVICE = Service(name="api", file="compose.yaml", context=".", inline="FROM scratch\n")
_PLAN = planned("services/api", build_of())
_OWN = planned("services/api", build_of(dockerfile_path="Dockerfile"))
_OF_COMPOSE = planned("services/api", build_of(), settings=Settings(service=_SERVICE))
_REPRODUCIBLE = planned("services/api", build_of(args={"SOURCE_DATE_EPOCH": "0"}))


@pytest.mark.parametrize(
    ("revision", "source", "expected"),
    [
        (_REVISION, "https://git.example/shop.git", {"revision": _REVISION, "source": "https://git.example/shop.git"}),
        (f"{_REVISION}-dirty", None, {"revision": f"{_REVISION}-dirty"}),
        (_REVISION, "/home/alice/shop", {"revision": _REVISION}),
        (_REVISION, "git@git.example:shop.git", {"revision": _REVISION}),
        (None, "https://git.example/shop.git", {}),
    ],
    ids=["both", "no origin", "a directory of this machine", "no address of the web", "no revision"],
)
def test_an_image_says_the_revision_and_where_its_repository_is(
    revision: str | None, source: str | None, expected: dict[str, str]
) -> None:
    found = labels(_PLAN, Attestations(revision=revision, source=source))

    assert found == {f"org.opencontainers.image.{name}": value for name, value in expected.items()}


@pytest.mark.parametrize("plan", [_OWN, _OF_COMPOSE, _REPRODUCIBLE], ids=["a Dockerfile", "Compose", "reproducible"])
def test_what_somebody_wrote_and_what_must_be_the_same_has_no_such_label(plan: AppPlan) -> None:
    assert labels(plan, Attestations(revision=_REVISION, source="https://git.example/shop.git")) == {}
