"""Rust: an image for each program of a package, whose directories are apps when they are asked for."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

MAIN = "fn main() {}\n"
PLAIN = Settings()
MANIFEST = '[package]\nname = "tides"\n[dependencies]\naxum = "0.8"\n'
INNER = '[[bin]]\nname = "tool"\npath = "src/bin/api/tool/main.rs"\n'
PACKAGE: Mapping[str, str] = {
    "tides/Cargo.toml": MANIFEST,
    "tides/Cargo.lock": "version = 4\n",
    "tides/src/lib.rs": "",
    "tides/src/bin/api/main.rs": MAIN,
    "tides/src/bin/api/routes.rs": "",
    "tides/src/bin/worker/main.rs": MAIN,
    "tides/templates/a.html": "",
}
WORKSPACE: Mapping[str, str] = {
    **PACKAGE,
    "Cargo.toml": '[workspace]\nmembers = ["tides", "words", "unused"]\n',
    "Cargo.lock": "version = 4\n",
    "tides/Cargo.toml": '[package]\nname = "tides"\n[dependencies]\nwords = { path = "../words" }\n',
    "words/Cargo.toml": '[package]\nname = "words"\n',
    "words/src/lib.rs": "",
    "unused/Cargo.toml": '[package]\nname = "unused"\n',
    "unused/src/lib.rs": "",
}


def built(root: Path, path: str) -> AppBuild:
    return langs.build(root / path, PLAIN, within=root)


def left_out(app: AppBuild) -> list[str]:
    return (app.dockerignore or "").splitlines()


def test_each_program_of_a_package_can_be_an_app_that_is_built_from_the_package(write: Write) -> None:
    root = write(PACKAGE)

    detection = langs.detect(root / "tides/src/bin/api", PLAIN, within=root)
    app = built(root, "tides/src/bin/api")

    assert detection is not None
    assert (detection.is_app, detection.packages) == (False, ("tides",))
    assert [evidence.file for evidence in detection.evidence] == ["main.rs"]
    assert (app.context, app.start_command, app.package_manager) == ("../../..", "api", "cargo")
    assert "cargo build --locked --release --package tides --bin api" in app.dockerfile
    assert "--bin worker" not in app.dockerfile
    assert "COPY --from=builder --chown=1000:1000 /app/templates ./templates\n" in app.dockerfile
    assert 'title="api"' in app.dockerfile
    lines = left_out(app)
    assert "*" not in lines
    assert "src/bin/worker" in lines
    assert not any(line.startswith("!src/bin/worker") for line in lines)


def test_programs_of_one_package_have_the_dependencies_in_common(write: Write) -> None:
    root = write(PACKAGE)

    api, worker = (
        built(root, f"tides/src/bin/{name}").dockerfile.partition("COPY . .")[0] for name in ("api", "worker")
    )

    assert api == worker
    assert "cargo fetch" in api


@pytest.mark.parametrize("source", ["src/bin/api/main.rs", "src/lib.rs", "src/bin/api/routes.rs", "src/bin/single.rs"])
def test_what_a_source_takes_from_another_program_stays_with_it(write: Write, source: str) -> None:
    shared = {f"tides/{source}": f'#[path = "../worker/queues.rs"]\nmod queues;\n{MAIN}'}
    root = write({**PACKAGE, **shared, "tides/src/bin/worker/queues.rs": ""})

    assert "src/bin/worker" not in left_out(built(root, "tides/src/bin/api"))


def test_a_program_of_a_member_is_built_from_the_workspace(write: Write) -> None:
    root = write(WORKSPACE)

    app = built(root, "tides/src/bin/worker")
    detection = langs.detect(root / "tides/src/bin/worker", PLAIN, within=root)

    assert detection is not None
    assert detection.packages == ("tides", "words")
    assert app.context == "../../../.."
    lines = left_out(app)
    assert {"*", "!tides", "!tides/src/bin/worker", "!words", "!Cargo.lock", "tides/src/bin/api"} <= set(lines)
    assert "!unused" not in lines
    assert "cargo build --locked --release --package tides --bin worker" in app.dockerfile
    assert "/app/tides/templates ./templates\n" in app.dockerfile


def test_the_packages_dockerignore_holds_for_its_programs(write: Write) -> None:
    root = write({**PACKAGE, "tides/.dockerignore": "docs\n", "tides/docs/a.md": ""})

    assert left_out(built(root, "tides/src/bin/api"))[-1] == "docs"


def test_a_programs_own_processes_are_built_with_it(write: Write) -> None:
    root = write({**PACKAGE, "tides/src/bin/api/Procfile": "web: api --listen :$PORT\nqueue: worker\n"})

    app = built(root, "tides/src/bin/api")

    assert app.start_command == "api --listen :$PORT"
    assert "--package tides --bin api --bin worker" in app.dockerfile


def test_a_program_may_lie_anywhere_in_its_package(write: Write) -> None:
    manifest = f'{MANIFEST}[[bin]]\nname = "server"\npath = "cmd/http/start.rs"\n'
    root = write({**PACKAGE, "tides/Cargo.toml": manifest, "tides/cmd/http/start.rs": MAIN})

    app = built(root, "tides/cmd/http")

    assert app.start_command == "server"
    assert [evidence.file for evidence in app.evidence] == ["start.rs"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("src/bin/api", "src/bin/worker")),
        ({"tides/Procfile": "web: api\n"}, ()),
        ({"tides/Cargo.toml": '[package]\nname = "tides"\ndefault-run = "api"\n'}, ()),
        ({"tides/src/main.rs": MAIN}, ()),
        ({"tides/src/bin/single.rs": MAIN}, ()),
        ({"tides/Cargo.toml": f"{MANIFEST}{INNER}", "tides/src/bin/api/tool/main.rs": MAIN}, ()),
    ],
)
def test_a_package_says_which_programs_it_has_where_nothing_says_which_it_is(
    write: Write, more: Mapping[str, str], expected: tuple[str, ...]
) -> None:
    detection = langs.detect(write({**PACKAGE, **more}) / "tides", PLAIN)

    assert detection is not None
    assert (detection.is_app, detection.programs) == (True, expected)


def test_a_workspace_says_which_members_have_programs(write: Write) -> None:
    more = {"words/src/main.rs": MAIN, "xtask/Cargo.toml": '[package]\nname = "xtask"\n', "xtask/src/main.rs": MAIN}
    members = '[workspace]\nmembers = ["tides", "words", "xtask"]\n'
    root = write({**WORKSPACE, **more, "Cargo.toml": members})

    workspace, member = (langs.detect(root / path, PLAIN, within=root) for path in (".", "tides"))

    assert workspace is not None
    assert member is not None
    assert workspace.programs == ("tides", "tides/src/bin/api", "tides/src/bin/worker", "words")
    assert member.programs == ("src/bin/api", "src/bin/worker")


@pytest.mark.parametrize("path", ["tides/src", "tides/src/bin", "tides/src/bin/api/inner"])
def test_what_holds_no_program_of_its_own_is_nothing(write: Write, path: str) -> None:
    root = write({**PACKAGE, "tides/src/main.rs": MAIN, "tides/src/bin/a.rs": MAIN, "tides/src/bin/b.rs": MAIN})
    (root / "tides/src/bin/api/inner").mkdir()
    (root / "tides/src/bin/api/inner/x.rs").write_text("")

    assert langs.detect(root / path, PLAIN, within=root) is None


def test_several_programs_are_an_error_that_says_how_each_becomes_an_image(write: Write) -> None:
    root = write(PACKAGE)

    with pytest.raises(LangError, match="several programs were found: api, worker") as raised:
        built(root, "tides")

    assert 'by their paths from there: [apps."tides/src/bin/api"], [apps."tides/src/bin/worker"].' in raised.value.hint


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        # Programs of a single file have no directory yet; the member of a workspace is named from the root.
        (
            {"tools/Cargo.toml": MANIFEST, "tools/src/bin/a.rs": MAIN, "tools/src/bin/b.rs": MAIN},
            "tools",
            "src/bin/NAME/main.rs of its package, and declare",
        ),
        (
            {"tools/Cargo.toml": MANIFEST, "tools/src/bin/a.rs": MAIN, "tools/src/bin/b.rs": MAIN},
            "tools",
            '[apps."tools/src/bin/NAME"].',
        ),
        (
            {
                **{f"rs/{file}": text for file, text in WORKSPACE.items()},
                "rs/Cargo.toml": '[workspace]\nmembers = ["tides", "words", "more"]\n',
                "rs/more/Cargo.toml": '[package]\nname = "more"\n',
                "rs/more/src/main.rs": MAIN,
            },
            "rs",
            '[apps."rs/tides/src/bin/api"], [apps."rs/tides/src/bin/worker"], [apps."rs/more"].',
        ),
        (
            {f"rs/{file}": text for file, text in WORKSPACE.items()},
            "rs/tides",
            '[apps."rs/tides/src/bin/api"], [apps."rs/tides/src/bin/worker"].',
        ),
    ],
    ids=["single files", "their package", "a workspace", "a member"],
)
def test_the_hint_names_directories_from_the_root(
    write: Write, files: Mapping[str, str], path: str, expected: str
) -> None:
    with pytest.raises(LangError, match="several programs were found") as raised:
        built(write(files), path)

    assert expected in raised.value.hint
