"""Our Dockerfiles beside a peer's own: how these are had, which rounds count, what is told of them; and real builds."""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from benchmarks.images import cases, migetpacks, nixpacks, peer, reasons, rounds, tables, telling
from benchmarks.images.building import BuildFailedError, Contestant, Daemon, Measured, registry_client
from benchmarks.images.cases import Compared, Nix
from benchmarks.images.preparing import Place, Rival, Standing
from benchmarks.images.rounds import Line, Pair, Round, Tried
from benchmarks.images.running import begin, go_round
from benchmarks.rest import spent
from orchestrator.bench.result import Report
from tests.buildkit.real import ROOT, private_daemon, shell_root
from tests.conftest import RealCount
from tests.e2e.languages import APPS, Real
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
_PLANS = """\
case $1 in
  --version) echo nixpacks 1.41.0 ;;
  plan) echo '{"variables": {"CI": "true"}, "phases": {}}' ;;
  build)
    mkdir "$6/.nixpacks"
    printf 'FROM ghcr.io/railwayapp/nixpacks:ubuntu-1\\nENV SAID="%s"\\nFROM ubuntu:noble\\n' "$4 $8$PLANTED" \\
      > "$6/.nixpacks/Dockerfile" ;;
esac
"""
_HAS_NO_PLAN = """\
if [ $1 = --version ]; then echo nixpacks 1.41.0; exit; fi
echo 'a table'
printf 'Error: No start command could be found\\n\\nStack backtrace:\\n' >&2
exit 1
"""
_REAL = Real(source="main", append_source="%s", build="COPY", answer="none is asked for", tier="run")
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

    found = await migetpacks.unpacked(checkout / ".git" if bare else checkout, tmp_path / "scripts")
    app = Compared(name="app", migetpacks={"RUN_COMMAND": "./start"})
    made = (await found.make(app, tmp_path, work, key="bench", ours="")).dockerfile

    assert (found.name, len(found.version)) == (rounds.FIRST, 12)
    assert peer.replaced(made, {}) == _SAYS
    assert peer.bases(made) == ("python:3.11", "python:3.11-slim")


async def test_what_reaches_nothing_here_is_replaced_and_told(tmp_path: Path) -> None:
    found = await migetpacks.unpacked(await clone(tmp_path / "peer", _MAKES), tmp_path / "scripts")
    app = Compared(name="app", migetpacks={"RUN_COMMAND": "./start"}, spared={"./start bench": "true"})
    (tmp_path / "work").mkdir()
    (tmp_path / "again").mkdir()

    made = await found.make(app, tmp_path, tmp_path / "work", key="bench", ours="")

    assert made.dockerfile.splitlines()[2] == 'ENV SAID="true"'
    assert telling.notes([msgspec.structs.replace(tried(), spared=made.spared)], ["a"]) == (
        "migetpacks: `a`: `./start bench` in migetpacks's Dockerfile reaches nothing here, and is `true` instead.",
    )
    changed = msgspec.structs.replace(app, spared={"what it once fetched": "true"})
    with pytest.raises(LookupError, match="what it once fetched"):
        await found.make(changed, tmp_path, tmp_path / "again", key="bench", ours="")


async def test_a_peer_that_makes_no_dockerfile_is_quoted(tmp_path: Path) -> None:
    checkout, work = await clone(tmp_path / "peer", _REFUSES), tmp_path / "work"
    work.mkdir()
    found = await migetpacks.unpacked(checkout, tmp_path / "scripts")

    with pytest.raises(LookupError, match="nobody knows this language"):
        await found.make(Compared(name="app"), tmp_path, work, key="bench", ours="")
    with pytest.raises(SystemExit, match="git clone"):
        await migetpacks.unpacked(tmp_path / "nowhere", tmp_path / "more")


def program(folder: Path, text: str) -> str:
    """A peer that is a program."""
    file = folder / "nixpacks"
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(0o755)
    return str(file)


async def test_nixpacks_dockerfile_begins_with_the_image_on_which_our_builder_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    for folder in (source, work):
        folder.mkdir()
    monkeypatch.setenv("PLANTED", "must not become a part of the image")
    ours = "FROM node:22 AS install\nFROM install AS builder\nFROM node:22-slim AS runtime\n"
    app = Compared(name="app", nixpacks={"NIXPACKS_START_CMD": "a b=$PORT"}, nix=Nix(lines=("RUN more",)))

    found = await nixpacks.found(program(tmp_path, _PLANS))
    made = await found.make(app, source, work, key="bench", ours=ours)

    assert (found.name, found.version) == ("nixpacks", "1.41.0")
    assert made.dockerfile.endswith('ENV SAID="NIXPACKS_START_CMD=a b=$PORT bench"\nFROM ubuntu:noble\n')
    assert made.arguments == {"CI": "true"}
    assert made.became == {"ubuntu:noble": "debian:bookworm-slim"}
    assert made.stand_in is not None
    assert made.stand_in.base == "ghcr.io/railwayapp/nixpacks:ubuntu-1"
    assert made.stand_in.dockerfile.startswith("FROM node:22\nUSER 0\nRUN more\n")
    assert made.stand_in.image.startswith("stand-in/node-22:")
    other = nixpacks.stand_in(made.stand_in.base, "node:22", Nix(files={"cargo": "#!/bin/sh\n"}))
    assert other is not None
    assert other.image != made.stand_in.image


async def test_an_app_that_nixpacks_has_no_plan_for_is_told_in_its_own_words(tmp_path: Path) -> None:
    found = await nixpacks.found(program(tmp_path, _HAS_NO_PLAN))

    with pytest.raises(LookupError, match=r"^nixpacks makes no Dockerfile of it: No start command could be found$"):
        await found.make(Compared(name="app"), tmp_path, tmp_path, key="bench", ours="FROM a:1 AS builder\n")
    with pytest.raises(SystemExit, match="cargo install nixpacks"):
        await nixpacks.found(str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match="/bin/true is no nixpacks"):
        await nixpacks.found("/bin/true")


def test_a_stage_stands_on_what_the_stages_before_it_stand_on() -> None:
    text = "FROM a:1 AS x\nFROM x as y\nFROM y AS builder\nFROM b:1\n"

    assert peer.stands_on(text, "builder") == "a:1"
    with pytest.raises(LookupError, match="no stage install"):
        peer.stands_on(text, "install")


def test_no_image_is_made_for_a_dockerfile_that_begins_elsewhere() -> None:
    assert nixpacks.stand_in("alpine:3", "node:22", Nix()) is None


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


def tried(
    app: str = "a", dockerfiles: tuple[str, str] = ("o", "t"), *, problem: str = "", against: str = rounds.FIRST
) -> Tried:
    return Tried(
        app=app,
        against=against,
        dockerfiles=dockerfiles,
        peer="123456789abc",
        date="2026-11-22",
        commit="c",
        on=("debian", "debian"),
        problem=problem,
    )


def made(
    ours: float = 1,
    theirs: float = 2,
    *,
    app: str = "a",
    load: float = 0.5,
    dockerfiles: tuple[str, str] = ("o", "t"),
    against: str = rounds.FIRST,
) -> Round:
    source = Pair(ours=measured(ours), theirs=measured(theirs, size=100_000_000), load=load)
    return Round(app=app, against=against, dockerfiles=dockerfiles, date="2026-11-22", commit="c", source=source)


def test_rounds_are_read_as_they_were_written_and_count_for_the_dockerfiles_of_the_last_try(tmp_path: Path) -> None:
    file = tmp_path / "rounds.jsonl"
    lines: list[Line] = [tried(), made(), made(3), tried(dockerfiles=("new", "t")), made(dockerfiles=("new", "t"))]
    lines += [tried(against="nixpacks"), made(against="nixpacks")]
    first, second = ("a", "migetpacks"), ("a", "nixpacks")

    for line in lines:
        rounds.append(file, line)

    assert rounds.read(file) == lines
    assert rounds.read(tmp_path / "none") == []
    assert rounds.counted(lines[:3]) == {first: (lines[1], lines[2])}
    assert rounds.counted(lines) == {first: (lines[4],), second: (lines[6],)}


def test_rounds_that_were_written_when_there_was_one_peer_are_that_peers(tmp_path: Path) -> None:
    file = tmp_path / "rounds.jsonl"
    lines: list[Line] = [tried(), made()]

    for line in lines:
        fields = msgspec.to_builtins(line)
        del fields["against"]
        with file.open("ab") as stream:
            stream.write(msgspec.json.encode(fields) + b"\n")

    assert rounds.read(file) == lines


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
    due = rounds.due(lines, {"a": [rounds.FIRST], "b": [rounds.FIRST]}, 2)

    assert due == (None if expected is None else (expected, (rounds.FIRST,)))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ("a", ("migetpacks", "nixpacks"))),
        ([tried(), made(), made()], ("a", ("nixpacks",))),
        ([tried(), made(), tried(against="nixpacks"), made(against="nixpacks")], ("b", ("nixpacks",))),
        ([tried(problem="no answer")], ("a", ("nixpacks",))),
        (
            [tried("b", problem="no", against="nixpacks"), tried(), made(), tried(against="nixpacks")],
            ("a", ("migetpacks", "nixpacks")),
        ),
        ([tried(problem="no"), *(tried(each, problem="no", against="nixpacks") for each in "ab")], None),
    ],
)
def test_a_round_is_made_with_all_peers_that_have_not_enough_of_them(
    lines: Sequence[Line], expected: tuple[str, tuple[str, ...]] | None
) -> None:
    assert rounds.due(lines, {"a": ["migetpacks", "nixpacks"], "b": ["nixpacks"]}, 2) == expected


def shown(lines: Sequence[Line], apps: Sequence[str]) -> tuple[Report, Sequence[str]]:
    """What the rounds come to, and its lines."""
    report = Report(
        benchmark="images",
        date="2026-11-22",
        commit="c",
        machine="m",
        results=telling.results(lines, apps),
        settings=telling.settings(lines),
        notes=telling.notes(lines, apps),
    )
    return report, tables.table(report).splitlines()


def test_an_app_has_a_row_that_says_what_is_met_what_is_open_and_what_is_missed() -> None:
    lines: list[Line] = [tried(), tried("b"), tried("d", problem="Its image does not answer: no"), tried("e")]
    lines += [made(ours) for ours in (0.9, 1, 1.1)]
    lines += [made(ours, app="b") for ours in (1.8, 2.1, 2.4)]
    lines += [made(ours, app="e") for ours in (3, 4, 5)]

    report, text = shown(lines, ("a", "b", "c", "d", "e"))
    rows = [row for row in text if row.startswith("|")]

    assert not report.met
    assert len({row.count("|") for row in rows}) == 1
    assert [row.partition(" | ")[0] for row in rows[2:]] == ["| `a`", "| `b`", "| `e`"]
    assert rows[2].startswith(
        "| `a` | 50.0 / 100 MB: 0.50 | 1.00 / 1.00 MB: 1.00 | 1.00 / 2.00 s: 0.50 (0.45 to 0.55) |"
    )
    assert "2.10 / 2.00 s: 1.05 (0.90 to 1.20), open" in rows[3]
    assert "4.00 / 2.00 s: **2.00 (1.50 to 2.50), MISSED**" in rows[4]
    assert text[-1] == "- `d`: not compared. Its image does not answer: no"


def test_where_a_peer_is_better_stands_above_its_table_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    known = reasons.Reason(peer="nixpacks", figures=("source change",), apps=("a",), why="It does nothing.")
    monkeypatch.setattr(reasons, "REASONS", (known,))
    lines: list[Line] = [tried(), tried(against="nixpacks"), made(), made()]
    lines += [made(ours, against="nixpacks") for ours in (4, 4)]

    _, text = shown(lines, ("a",))

    assert [line for line in text if line and not line.startswith("|")] == [
        "**migetpacks 123456789abc**: ours is at least as good in 4 of 4 figures, migetpacks is better in 0.",
        "**nixpacks 123456789abc**: ours is at least as good in 2 of 4 figures, nixpacks is better in 2.",
        "- nixpacks is better: `a`, source change, 2.00. It does nothing.",
        f"- nixpacks is better: `a`, source change, processor, 2.00. {reasons.UNKNOWN}",
    ]


def test_of_a_time_of_a_single_round_nothing_is_concluded() -> None:
    _, text = shown([tried(), made(4)], ("a",))

    assert text[0].endswith("at least as good in 2 of 4 figures, migetpacks is better in 0.")
    assert "| 4.00 / 2.00 s: 2.00, open | 2.00 / 1.00 s: 2.00, open |" in text[-1]


def test_a_miss_that_two_digits_do_not_show_is_told_by_how_much_it_is_one() -> None:
    source = Pair(ours=measured(1, size=100_020_000), theirs=measured(1, size=100_000_000), load=0)
    lines: list[Line] = [tried(), msgspec.structs.replace(made(), source=source)]

    _, text = shown(lines, ("a",))

    assert (
        "| `a` | 100 / 100 MB: **1.00, by 0.02 MB, MISSED** | 1.00 / 1.00 MB: 1.00 | 1.00 / 1.00 s: 1.00, open |"
        in text[-1]
    )


def test_what_is_known_of_several_apps_is_told_once_for_each_peer() -> None:
    became = {"x:1": "y:1"}
    lines: list[Line] = [
        msgspec.structs.replace(tried(app, against=peer), became=became)
        for app in ("b", "a", "c")
        for peer in ("nixpacks", "migetpacks")
    ]

    assert telling.notes(lines, ("a", "b")) == (
        "migetpacks: `a`, `b`: x:1, which migetpacks asks for, is not here, and y:1 stands for it.",
        "nixpacks: `a`, `b`: x:1, which nixpacks asks for, is not here, and y:1 stands for it.",
    )


def test_every_reason_is_one_of_a_figure_of_an_app_that_is_compared() -> None:
    apps = {each.name for each in cases.COMPARED}

    assert {each.peer for each in reasons.REASONS} <= {migetpacks.NAME, nixpacks.NAME}
    assert all(set(each.apps) <= apps and set(each.figures) <= set(telling.FIGURES) for each in reasons.REASONS)


def test_times_of_a_busy_machine_count_only_where_there_are_no_others() -> None:
    lines: list[Line] = [tried(), made(4, load=3), made(1, load=0.9), made(5, load=2)]

    one, both = (
        {each.name.removeprefix("migetpacks: "): each for each in telling.results(some, ("a",))}
        for some in (lines, [lines[0], lines[1], lines[3]])
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


def side(place: Place, image: str, dockerfile: str, source: Mapping[str, bytes], **arguments: str) -> Contestant:
    """A Dockerfile over these files."""
    folder = place.root / image.replace("/", "-").replace(":", "-")
    for name, data in source.items():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_bytes(data)
        (folder / "source" / name).chmod(0o755)
    (folder / "files").mkdir()
    (folder / "files" / "Dockerfile").write_text(dockerfile)
    return place.contestant(folder / "source", folder / "files", image, arguments)


@pytest.mark.real
@pytest.mark.apart
async def test_all_sides_get_the_same_change_and_nix_has_nothing_to_do_where_its_image_is_stood_in_for(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, real_count: RealCount
) -> None:
    # A socket's path must be short.
    folder = tmp_path_factory.mktemp("i")
    (folder / "daemon").mkdir()
    name = f"bench/test-{secrets.token_hex(6)}"
    found = nixpacks.stand_in(f"{nixpacks.BASE}1", f"{name}:base", Nix(files={"tool": "#!/bin/sh\necho found $1\n"}))
    assert found is not None
    app = {"main": b"first", "own": b"#!/bin/sh\necho own\n"}
    theirs = (
        f"FROM {found.image}\nWORKDIR /app\nARG CI\nENV CI=$CI\nRUN nix-env -if x && nix-collect-garbage -d\n"
        'ENV NIXPACKS_PATH=/app:$NIXPACKS_PATH\nCOPY . .\nRUN test "$(sudo tool $CI) $(own)" = "found true own"\n'
    )

    async with private_daemon(lab, folder / "daemon") as (process, socket), registry_client(lab) as client:
        daemon = Daemon(socket=socket, process=process.pid)
        place = Place(lab=lab, daemon=daemon, client=client, root=folder, peers=(), commit="c")
        users = {"etc/passwd": b"root:x:0:0::/root:/bin/bash\n", "etc/group": b"root:x:0:\n", "root/.keep": b""}
        system = {**await shell_root("/bin/bash"), **users}
        await side(place, f"{name}:base", ROOT, system).build()
        below = side(place, found.image, found.dockerfile, {key: text.encode() for key, text in found.files.items()})
        standing = Standing(
            name="a",
            real=_REAL,
            ours=side(place, f"{name}:ours", f"FROM {name}:base\nCOPY . /app\n", app),
            rivals={
                "first": Rival(
                    side=side(place, f"{name}:first", "FROM scratch\nCOPY . /\n", app),
                    below=None,
                    tried=tried(against="first"),
                ),
                "nixpacks": Rival(
                    side=side(place, f"{name}:second", theirs, app, CI="true"),
                    below=below,
                    tried=tried(against="nixpacks"),
                ),
            },
        )
        begun = await begin(place, standing, ("first", "nixpacks"), ask=())
        assert [(each.against, each.problem) for each in begun] == [("first", ""), ("nixpacks", "")]
        first, second = await go_round(standing, ("first", "nixpacks"), 1)
    real_count.record("build", times=8)

    assert (first.against, second.against) == ("first", "nixpacks")
    assert first.source.ours == second.source.ours
    assert first.source.theirs != second.source.theirs
    # `COPY` and what is behind it; not Nix's step.
    assert (second.source.theirs.executed, first.source.theirs.executed) == (2, 1)
    sides = (standing.ours, *(rival.side for rival in standing.rivals.values()))
    [changed] = {(each.source / "main").read_bytes() for each in sides}
    assert changed != app["main"]
