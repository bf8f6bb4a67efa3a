"""What builders cannot do is said, or refused; the documentation says the same."""

import pytest

from orchestrator.buildkit import Worker
from orchestrator.buildkit.capabilities import TABLE, Kind, recognise
from orchestrator.engine.shortfalls import ROWS, asked_for, documented, message, shortfalls
from orchestrator.errors import UsageError
from tests.docs.console import ROOT

GRAPH: Kind = "engine, graph driver"


def found(kind: Kind, *, version: str | None = "v0.30.0", **asked: object) -> list[str]:
    workers = {
        "buildkitd": {"org.mobyproject.buildkit.worker.snapshotter": "overlayfs"},
        "engine, containerd's image store": {
            "org.mobyproject.buildkit.worker.snapshotter": "overlayfs",
            "org.mobyproject.buildkit.worker.containerd.namespace": "moby",
        },
        GRAPH: {},
    }
    can = recognise([Worker(id="w", platforms=(), labels=workers[kind])], version=version)
    words = {"push": False, "insecure": False, "load": False, "outputs": (), "contexts": False, "cache": False, **asked}
    rows = shortfalls(can, asked_for(can, **words), address="docker:///s")  # type: ignore[arg-type]  # a table's words
    return [message(row, address="docker:///s") for row in rows]


@pytest.mark.parametrize("kind", [kind for kind in TABLE if kind != GRAPH])
def test_a_builder_that_keeps_manifests_lacks_nothing(kind: Kind) -> None:
    said = found(
        kind,
        push=True,
        insecure=True,
        load=True,
        outputs=("oci", "docker", "tar", "local"),
        contexts=True,
        cache=True,
        cache_read=True,
        cache_insecure=True,
        platforms=True,
        reproducible=True,
    )

    assert said == []


def test_an_engine_with_a_graph_driver_says_how_it_pushes() -> None:
    [pushes, trusts, caches] = found(GRAPH, version=None, push=True, insecure=True, load=True, cache=True)

    assert "inline" in caches
    assert pushes.startswith("docker:///s: --push: the engine itself pushes")
    assert "insecure-registries" in trusts


def test_registries_that_such_an_engine_reads_caches_from_are_its_own_matter() -> None:
    [said] = found(GRAPH, version="v0.25.0", insecure=True)

    assert "insecure-registries" in said


@pytest.mark.parametrize(("version", "lines"), [(None, 2), ("v0.12.5", 2), ("v0.13.2", 0)])
def test_what_an_older_engine_reads_of_caches_is_said(version: str | None, lines: int) -> None:
    said = found(GRAPH, version=version, cache_read=True, cache_insecure=True)

    assert [line.partition(": CACHE_")[1] for line in said] == [": CACHE_"] * lines


@pytest.mark.parametrize("asked", [{"load": True}, {"outputs": ("local",)}, {"outputs": ("tar",)}])
def test_what_it_can_do_is_not_spoken_of(asked: dict[str, object]) -> None:
    assert found(GRAPH, version=None, **asked) == []


@pytest.mark.parametrize(
    ("kind", "version", "asked"),
    [
        (GRAPH, "v0.30.0", {"outputs": ("oci",)}),
        (GRAPH, "v0.30.0", {"outputs": ("local", "docker")}),
        (GRAPH, None, {"push": True, "outputs": ("local",)}),
        (GRAPH, None, {"outputs": ("tar", "local")}),
        ("buildkitd", "v0.12.5", {"push": True, "load": True}),
        ("buildkitd", "v0.12.5", {"outputs": ("tar", "local")}),
        ("buildkitd", "v0.10.6", {"contexts": True}),
        (GRAPH, None, {"push": True, "contexts": True}),
        (GRAPH, "v0.30.0", {"push": True, "platforms": True}),
        (GRAPH, "v0.30.0", {"reproducible": True}),
        ("buildkitd", "v0.12.5", {"reproducible": True}),
        ("engine, containerd's image store", "v0.12.5", {"reproducible": True}),
        ("buildkitd", "v0.30.0", {"load": True, "platforms": True, "archives": True}),
        ("engine, containerd's image store", "v0.30.0", {"outputs": ("docker",), "archives": True}),
    ],
)
def test_what_nothing_is_near_to_is_an_error(kind: Kind, version: str | None, asked: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        found(kind, version=version, **asked)

    assert caught.value.message.startswith("docker:///s: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("version", "several"),
    [
        (None, False),
        ("v0.12.5", False),
        ("v0.13.0", True),
        ("v0.30.0-rc1", True),
        ("v1.0.0", True),
        ("1a2b3c", True),
        # Debian's Engine 28.5, which has v0.25.
        ("v0.0.0+unknown", True),
    ],
)
def test_a_version_tells_whether_a_build_may_have_several_results(version: str | None, *, several: bool) -> None:
    assert recognise([], version=version).several_exporters is several


def test_the_documents_table_is_that_of_the_rows() -> None:
    text = (ROOT / "docs/builders.md").read_text(encoding="utf-8")

    table = text.partition("<!-- shortfalls: begin -->\n")[2].partition("<!-- shortfalls: end -->")[0]

    assert table == documented()
    assert all(row.asked in table for row in ROWS)
