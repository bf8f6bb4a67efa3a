"""Our Dockerfiles beside a peer's own: how these are had, which rounds count, what is told of them; and real builds."""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from benchmarks.images import cases, peer, rounds, telling
from benchmarks.images.building import BuildFailedError, Contestant, Daemon, Measured, registry_client
from benchmarks.images.rounds import Line, Pair, Round, Tried
from benchmarks.rest import spent
from orchestrator.bench.result import Report
from tests.buildkit.real import private_daemon
from tests.conftest import RealCount
from tests.e2e.languages import APPS
from tests.lab import Lab

_MAKES = """\
#!/usr/bin/env bash
mkdir "$TMPDIR/build"
printf '# syntax=docker/dockerfile:1\\nFROM python:3.11 AS builder\\nENV SAID="%s"\\nFROM python:3.11-slim\\n' \\
  "$RUN_COMMAND $CACHE_KEY$PLANTED" > "$TMPDIR/build/Dockerfile.runtime"
docker buildx build --progress=plain -f "$TMPDIR/build/Dockerfile.runtime" -t "$OUTPUT_IMAGE" --load "$SOURCE_DIR"
docker pull "$OUTPUT_IMAGE"
echo "what comes later" >> "$TMPDIR/build/Dockerfile.runtime"
"""
_REFUSES = "#!/usr/bin/env bash\necho nobody knows this language >&2\n"
_SAYS = """\
FROM python:3.11 AS builder
ENV SAID="./start bench"
FROM python:3.11-slim
"""


async def clone(folder: Path, build: str) -> Path:
    """A repository of a peer with this `bin/build`."""
    for name, text in {"bin/build": build, "lib/common.sh": ""}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    who = ["-c", "user.name=peer", "-c", "user.email=peer@example.invalid"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "made"]):
        await anyio.run_process(["git", "-C", str(folder), *who, *words])
    return folder


@pytest.mark.parametrize("bare", [False, True])
async def test_the_peers_dockerfile_is_what_its_own_script_gives_to_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, bare: bool
) -> None:
    checkout, work = await clone(tmp_path / "peer", _MAKES), tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("PLANTED", "must not become a part of the image")

    commit = await peer.scripts(checkout / ".git" if bare else checkout, tmp_path / "scripts")
    said = {"RUN_COMMAND": "./start"}
    made = await peer.generate(tmp_path / "scripts", tmp_path, work, key="bench", said=said)

    assert len(commit) == 12
    assert peer.replaced(made, {}) == _SAYS
    assert peer.bases(made) == ("python:3.11", "python:3.11-slim")


async def test_a_peer_that_makes_no_dockerfile_is_quoted(tmp_path: Path) -> None:
    checkout, work = await clone(tmp_path / "peer", _REFUSES), tmp_path / "work"
    work.mkdir()
    await peer.scripts(checkout, tmp_path / "scripts")

    with pytest.raises(LookupError, match="nobody knows this language"):
        await peer.generate(tmp_path / "scripts", tmp_path, work, key="bench", said={})
    with pytest.raises(SystemExit, match="git clone"):
        await peer.scripts(tmp_path / "nowhere", tmp_path / "more")


@pytest.mark.parametrize(
    ("theirs", "ours", "there", "expected"),
    [
        (("node:22", "node:22-slim"), ("node:22", "node:22-slim"), ("node:22", "node:22-slim"), {}),
        (
            ("denoland/deno:0.3.0", "denoland/deno:0.3.0"),
            ("denoland/deno:2.6.1", "denoland/deno:2.6.1"),
            (),
            {"denoland/deno:0.3.0": "denoland/deno:2.6.1"},
        ),
        (
            ("golang:1.24", "debian:bookworm-slim"),
            ("golang:1.25", "gcr.io/distroless/static"),
            ("debian:bookworm-slim",),
            {"golang:1.24": "golang:1.25"},
        ),
        (
            ("python:3", "python:3-slim"),
            ("python:4", "python:4-slim"),
            (),
            {"python:3": "python:4", "python:3-slim": "python:4-slim"},
        ),
    ],
)
def test_a_base_that_is_not_to_be_had_is_replaced_by_ours_of_its_repository_and_place(
    theirs: Sequence[str], ours: Sequence[str], there: Sequence[str], expected: Mapping[str, str]
) -> None:
    assert peer.replacements(theirs, ours, there) == expected


def test_a_base_that_nothing_of_ours_stands_for_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"gradle:jdk21"):
        peer.replacements(("gradle:jdk21", "eclipse-temurin:21-jre"), ("maven:3", "eclipse-temurin:21-jre"), ())


def test_a_dockerfile_is_put_on_other_bases_and_asks_for_no_frontend() -> None:
    text = "# syntax=docker/dockerfile:1\nFROM a:1 AS b\nRUN echo FROM a:1\nCOPY --from=b /a:1 .\nFROM a:1\n"

    assert peer.replaced(text, {"a:1": "a:2"}) == ("FROM a:2 AS b\nRUN echo FROM a:1\nCOPY --from=b /a:1 .\nFROM a:2\n")


def test_every_app_that_is_compared_is_one_that_is_really_built() -> None:
    apps = cases.chosen(())

    assert all((APPS / case.name / "real.json").exists() and cases.real(case).app == "." for _, case in apps)
    assert [case.name for _, case in cases.chosen(("rust-axum", "go-ledger"))] == ["go-ledger", "rust-axum"]
    with pytest.raises(SystemExit, match="no such app: nothing"):
        cases.chosen(("nothing",))


def measured(seconds: float, *, size: int = 50_000_000, pushed: int = 1_000_000) -> Measured:
    return Measured(seconds=seconds, processor=seconds / 2, executed=4, cached=6, size=size, pushed=pushed)


def tried(app: str = "a", dockerfiles: tuple[str, str] = ("o", "t"), *, problem: str = "") -> Tried:
    return Tried(
        app=app,
        dockerfiles=dockerfiles,
        peer="123456789abc",
        date="2026-11-22",
        commit="c",
        on=("debian", "debian"),
        problem=problem,
    )


def made(
    ours: float = 1, theirs: float = 2, *, app: str = "a", load: float = 0.5, dockerfiles: tuple[str, str] = ("o", "t")
) -> Round:
    source = Pair(ours=measured(ours), theirs=measured(theirs, size=100_000_000), load=load)
    return Round(app=app, dockerfiles=dockerfiles, date="2026-11-22", commit="c", source=source)


def test_rounds_are_read_as_they_were_written_and_count_for_the_dockerfiles_of_the_last_try(tmp_path: Path) -> None:
    file = tmp_path / "rounds.jsonl"
    lines: list[Line] = [tried(), made(), made(3), tried(dockerfiles=("new", "t")), made(dockerfiles=("new", "t"))]

    for line in lines:
        rounds.append(file, line)

    assert rounds.read(file) == lines
    assert rounds.read(tmp_path / "none") == []
    assert rounds.counted(lines[:3]) == {"a": (lines[1], lines[2])}
    assert rounds.counted(lines) == {"a": (lines[4],)}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "a"),
        ([tried(), made()], "b"),
        ([tried(), made(), tried("b"), made(app="b")], "a"),
        ([tried(), made(), tried("b", problem="no answer")], "a"),
        ([tried(), made(), made(), tried("b", problem="no answer")], None),
        ([tried(), made(), made(), tried("b"), made(app="b"), made(app="b")], None),
        ([tried(), made(), made(), tried(dockerfiles=("new", "t")), tried("b"), made(app="b")], "a"),
    ],
)
def test_a_round_is_due_of_the_app_with_the_fewest_that_can_be_compared(
    lines: Sequence[Line], expected: str | None
) -> None:
    assert rounds.due(lines, ("a", "b"), 2) == expected


def test_an_app_has_a_row_that_says_what_is_met_what_is_open_and_what_is_missed() -> None:
    lines: list[Line] = [tried(), tried("b"), tried("d", problem="Its image does not answer: no"), tried("e")]
    lines += [made(ours) for ours in (0.9, 1, 1.1)]
    lines += [made(ours, app="b") for ours in (1.8, 2.1, 2.4)]
    lines += [made(ours, app="e") for ours in (3, 4, 5)]
    apps = ("a", "b", "c", "d", "e")

    results, notes = telling.results(lines, apps), telling.notes(lines, apps)
    report = Report(benchmark="images", date="2026-11-22", commit="c", machine="m", results=results, notes=notes)
    rows = telling.table(report).splitlines()

    assert not report.met
    assert len({row.count("|") for row in rows if row.startswith("|")}) == 1
    assert [row.partition(" | ")[0] for row in rows[2:5]] == ["| `a`", "| `b`", "| `e`"]
    assert rows[2].startswith(
        "| `a` | 50.0 / 100 MB: 0.50 | 1.00 / 1.00 MB: 1.00 | 1.00 / 2.00 s: 0.50 (0.45 to 0.55) |"
    )
    assert "2.10 / 2.00 s: 1.05 (0.90 to 1.20), open" in rows[3]
    assert "4.00 / 2.00 s: 2.00 (1.50 to 2.50), MISSED" in rows[4]
    assert rows[-1] == "- `d`: not compared. Its image does not answer: no"


def test_times_of_a_busy_machine_count_only_where_there_are_no_others() -> None:
    lines: list[Line] = [tried(), made(4, load=3), made(1, load=0.9), made(5, load=2)]

    one, both = (
        {each.name: each for each in telling.results(some, ("a",))} for some in (lines, [lines[0], lines[1], lines[3]])
    )

    assert (one["a: source change"].rounds, one["a: source change"].void, one["a: source change"].ratio) == (1, 2, 0.5)
    assert one["a: image"].rounds == 3
    assert (both["a: source change"].rounds, both["a: source change"].load) == (2, (2, 3))


async def test_processor_time_of_what_was_started_counts_when_it_has_ended() -> None:
    before = spent(os.getpid())

    await anyio.run_process([sys.executable, "-I", "-S", "-c", "sum(range(4_000_000))"])

    assert spent(os.getpid()) > before


@pytest.mark.real
@pytest.mark.apart
async def test_a_change_pushes_the_layers_that_are_new_and_what_fails_is_quoted(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    # A socket's path must be short.
    folder = tmp_path_factory.mktemp("i")
    source, files = folder / "source", folder / "files"
    for each in (source, files):
        each.mkdir()
    (files / "Dockerfile").write_text("FROM scratch\nCOPY large /\nCOPY small /\n")
    (source / "large").write_bytes(secrets.token_bytes(200_000))
    (source / "small").write_text("first")
    image = f"{lab.registry}/bench/test-{secrets.token_hex(6)}:latest"

    (folder / "daemon").mkdir()
    async with private_daemon(lab, folder / "daemon") as (process, socket), registry_client(lab) as client:
        daemon = Daemon(socket=socket, process=process.pid)
        side = Contestant(lab.buildctl, daemon, client, source=source, files=files, image=image)
        first = await side.build()
        (source / "small").write_text("second")
        second = await side.build()
        same = await side.build()
        (source / "small").unlink()
        with pytest.raises(BuildFailedError, match="small"):
            await side.build()
    real_count.record("build", times=3)

    assert first.pushed == first.size > 200_000
    assert (second.executed, second.cached) == (1, 1)
    assert 0 < second.pushed < 20_000
    # The manifest alone.
    assert same.executed == 0
    assert 0 < same.pushed < second.pushed
    assert msgspec.to_builtins(second)["size"] > 200_000
