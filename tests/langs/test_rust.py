"""Rust: which program is built, by which toolchain, and that stand-ins for sources never reach an image."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs.errors import LangError
from langs.model import EPOCH, Settings, Version
from tests.langs import splitter
from tests.langs.conftest import Write

MAIN = "fn main() {}\n"
AXUM = '[package]\nname = "api"\n[dependencies]\naxum = "0.8"\n'
APP: Mapping[str, str] = {"Cargo.toml": AXUM, "Cargo.lock": "version = 4\n", "src/main.rs": MAIN}
SERVICES: Mapping[str, str] = {
    "Cargo.toml": '[workspace]\nmembers = ["services/*", "xtask"]\n',
    "services/api/Cargo.toml": AXUM,
    "services/api/src/main.rs": MAIN,
    "services/worker/Cargo.toml": '[package]\nname = "worker"\n',
    "services/worker/src/main.rs": MAIN,
    "xtask/Cargo.toml": '[package]\nname = "xtask"\n',
    "xtask/src/main.rs": MAIN,
}


def runs(text: str) -> list[str]:
    return [rest for keyword, rest in splitter.split(text) if keyword == "RUN"]


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        ({}, "1.92.0", "default"),
        ({"rust-toolchain": "1.80.1\n"}, "1.80.1", "rust-toolchain"),
        ({"rust-toolchain": '[toolchain]\nchannel = "1.80"\n'}, "1.80", "rust-toolchain"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "1.80"\ntargets = ["x"]\n'}, "1.80", "rust-toolchain.toml"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "stable"\n'}, "1.92.0", "rust-toolchain.toml"),
        ({"rust-toolchain": "stable-x86_64-unknown-linux-gnu"}, "1.92.0", "rust-toolchain"),
        ({"rust-toolchain": "1.80.1-x86_64-unknown-linux-gnu"}, "1.80.1", "rust-toolchain"),
        (
            {"rust-toolchain": "1.80", "rust-toolchain.toml": '[toolchain]\nchannel = "1.81"\n'},
            "1.80",
            "rust-toolchain",
        ),
        ({"rust-toolchain.toml": '[toolchain]\nprofile = "minimal"\n'}, "1.92.0", "default"),
        ({"Cargo.toml": AXUM.replace("\n[dep", '\nrust-version = "1.85"\n[dep')}, "1.85", "Cargo.toml rust-version"),
        ({".tool-versions": "rust 1.79.0\n"}, "1.79.0", ".tool-versions"),
        ({"mise.toml": '[tools]\nrust = "1.79"\n'}, "1.79", "mise.toml"),
        ({"mise.toml": '[tools]\nrust = "latest"\n'}, "1.92.0", "mise.toml"),
    ],
)
def test_versions_are_taken_from_every_source(
    write: Write, files: Mapping[str, str], version: str, source: str
) -> None:
    built = langs.build(write({**APP, **files}), Settings())

    assert built.version == Version(value=version, source=source)


def test_a_forced_version_wins_and_a_contradiction_is_named(write: Write) -> None:
    settings = Settings(versions={"rust": Version(value="1.90", source="$RUSTUP_TOOLCHAIN")})

    built = langs.build(write({**APP, "rust-toolchain": "1.80"}), settings)

    assert built.version == Version(value="1.90", source="$RUSTUP_TOOLCHAIN")
    warning = "$RUSTUP_TOOLCHAIN asks for 1.90; rust-toolchain asks for 1.80, which does not allow it"
    assert built.warnings == (f"{warning}; $RUSTUP_TOOLCHAIN wins",)


@pytest.mark.parametrize(("channel", "agrees"), [("1.90", True), ("1.80", False)])
def test_a_packages_rust_version_is_the_oldest_that_will_do(write: Write, channel: str, *, agrees: bool) -> None:
    manifest = AXUM.replace("\n[dep", '\nrust-version = "1.85"\n[dep')

    built = langs.build(write({**APP, "Cargo.toml": manifest, "rust-toolchain": channel}), Settings())

    assert built.version is not None
    assert built.version.value == channel
    assert (built.warnings == ()) == agrees


@pytest.mark.parametrize("text", ["nightly", "beta", "nightly-2025-01-01", "nightly-x86_64-unknown-linux-gnu"])
def test_what_the_images_do_not_have_is_an_error_or_comes_from_an_image_that_has_it(write: Write, text: str) -> None:
    app = write({**APP, "rust-toolchain": text})

    with pytest.raises(LangError, match="asks for") as raised:
        langs.build(app, Settings())
    built = langs.build(app, Settings(images={"rust": "rustlang/rust:nightly-bookworm"}))

    assert raised.value.file == "rust-toolchain"
    assert "images.rust" in raised.value.hint
    assert "FROM rustlang/rust:nightly-bookworm AS builder" in built.dockerfile
    assert f"RUSTUP_TOOLCHAIN={text.removesuffix('-x86_64-unknown-linux-gnu')} " in built.dockerfile


@pytest.mark.parametrize(
    ("version", "image"),
    [
        ("1.92.0", "rust:1.92.0-bookworm"),
        ("1.70", "rust:1.70-bookworm"),
        ("1.69.0", "rust:1.69.0"),
        ("1", "rust:1-bookworm"),
    ],
)
def test_a_binary_is_linked_with_the_glibc_that_it_runs_on(write: Write, version: str, image: str) -> None:
    built = langs.build(write(APP), Settings(versions={"rust": Version(value=version, source="$RUSTUP_TOOLCHAIN")}))

    assert f"FROM {image} AS builder" in built.dockerfile
    assert "FROM debian:bookworm-slim AS runtime" in built.dockerfile


def test_dependencies_are_compiled_as_the_app_is_and_stand_ins_are_removed(write: Write) -> None:
    files = {
        **APP,
        "Cargo.toml": f'{AXUM}shared = {{ path = "shared" }}\n[patch.crates-io]\nforked = {{ path = "forked" }}\n',
        "shared/Cargo.toml": '[package]\nname = "shared"\n',
        "shared/src/lib.rs": "",
        "forked/Cargo.toml": '[package]\nname = "forked"\n',
        "forked/src/lib.rs": "",
        "build.rs": MAIN,
    }

    text = langs.build(write(files), Settings()).dockerfile

    first, second, *_ = runs(text)
    compile_ = "cargo build --locked --release --package api --bin api"
    assert compile_ in first
    assert compile_ in second
    assert text.index("cargo clean --locked --release --package api --package shared") < text.index("COPY . .")
    assert "{ cargo clean --locked --release --package forked || true; }" in first
    for source in ("src/main.rs", "shared/src/lib.rs", "forked/src/lib.rs", "build.rs"):
        assert source in first
    assert "target=/app/target" not in text
    for manifest in ("COPY Cargo.toml Cargo.lock ./", "COPY shared/Cargo.toml ./shared/"):
        assert text.index(manifest) < text.index("cargo build")


def test_what_was_compiled_is_kept_for_the_next_lockfile_of_the_same_packages(write: Write) -> None:
    of = {**APP, "Cargo.toml": f'{AXUM}[workspace]\nmembers = ["b"]\n', "b/src/main.rs": MAIN}
    one, other = ({**of, "b/Cargo.toml": f'[package]\nname = "{name}"\n'} for name in ("b", "c"))

    def mount(files: Mapping[str, str], settings: Settings) -> str:
        built = langs.build(write(files), settings)
        (kept,) = [each for each in built.cache if "cargo-target-" in each.id]
        first, second, *_ = runs(built.dockerfile)
        assert f"--mount=type=cache,id={kept.id},target={kept.target},sharing=locked" in first
        assert kept.id not in second
        return kept.id

    said = Settings(run_command="api")
    assert mount(one, said) == mount({**one, "Cargo.lock": "# another"}, said) != mount(other, said)
    exact = langs.build(write(one), msgspec.structs.replace(said, arguments={EPOCH: "0"}))
    assert "cargo-target-" not in exact.dockerfile
    assert all("cargo-target-" not in each.id for each in exact.cache)


@pytest.mark.parametrize(
    ("files", "procfile", "start"),
    [
        pytest.param(APP, "", "api", id="the only one"),
        pytest.param({**APP, "src/bin/migrate.rs": MAIN}, "", "api", id="the package's main program"),
        pytest.param({**APP, "src/bin/migrate.rs": MAIN}, "web: migrate\n", "migrate", id="the Procfile's"),
        pytest.param(
            {**APP, "Cargo.toml": '[package]\nname = "api"\ndefault-run = "b"\n', "src/bin/b.rs": MAIN},
            "",
            "b",
            id="default-run",
        ),
        pytest.param(SERVICES, "", "api", id="the one that serves"),
        pytest.param(SERVICES, "web: worker\n", "worker", id="any member's"),
        pytest.param(SERVICES, "web: cargo run --release -p worker -- --now\n", "worker --now", id="cargo run"),
        pytest.param(SERVICES, "web: ./target/release/worker\n", "./target/release/worker", id="where Cargo puts it"),
        pytest.param(
            {
                **SERVICES,
                "Cargo.toml": '[workspace]\nmembers = ["services/*"]\ndefault-members = ["services/worker"]\n',
            },
            "",
            "worker",
            id="default-members",
        ),
        pytest.param(
            {**APP, "Cargo.toml": '[package]\nname = "a"\n[dependencies]\nrocket = "0.5"\n'},
            "",
            'ROCKET_PORT="$PORT" a',
            id="Rocket's own variables",
        ),
    ],
)
def test_the_program_is_found(write: Write, files: Mapping[str, str], procfile: str, start: str) -> None:
    built = langs.build(write({**files, **({"Procfile": procfile} if procfile else {})}), Settings())

    assert built.start_command == start


def test_programs_of_other_processes_are_built_besides(write: Write) -> None:
    files = {**SERVICES, "Procfile": "web: api\njobs: worker --queue default\nother: python x.py\n"}

    built = langs.build(write(files), Settings())

    assert "--package api --package worker --bin api --bin worker" in built.dockerfile
    assert "cp target/release/api target/release/worker /out/bin/" in built.dockerfile


def test_several_programs_are_an_error_that_names_them(write: Write) -> None:
    files = {
        **APP,
        "Cargo.toml": '[package]\nname = "x"\nautobins = true\n',
        "src/bin/a.rs": MAIN,
        "src/bin/b.rs": MAIN,
    }
    del files["src/main.rs"]

    with pytest.raises(LangError, match="several programs were found: a, b") as raised:
        langs.build(write(files), Settings())

    assert "run" in raised.value.hint


TWO: Mapping[str, str] = {
    "Cargo.toml": '[workspace]\nmembers = ["services/*", "crates/*"]\n',
    "Cargo.lock": "",
    "services/api/Cargo.toml": AXUM + 'words = { path = "../../crates/words" }\n',
    "services/api/src/main.rs": MAIN,
    "services/api/templates/a": "",
    "services/web/Cargo.toml": AXUM.replace('"api"', '"web"'),
    "services/web/src/main.rs": MAIN,
    "crates/words/Cargo.toml": '[package]\nname = "words"\n[dependencies]\nbytes = { path = "../bytes" }\n',
    "crates/words/src/lib.rs": "",
    "crates/bytes/Cargo.toml": '[package]\nname = "bytes"\n[lib]\npath = "../../shared/bytes.rs"\n',
    "crates/unused/Cargo.toml": '[package]\nname = "unused"\n',
    "crates/unused/src/lib.rs": "",
    "shared/bytes.rs": "",
}


def test_a_workspace_in_which_it_is_clear_what_is_started_is_one_app(write: Write) -> None:
    root = write(SERVICES)

    member = langs.detect(root / "services/api", Settings(), within=root)
    workspace = langs.detect(root, Settings(), within=root)

    assert member is not None
    assert workspace is not None
    assert (workspace.is_app, member.is_app) == (True, False)


def test_members_with_programs_are_apps_where_it_is_not(write: Write) -> None:
    root = write(TWO)

    found = {path: langs.detect(root / path, Settings(), within=root) for path in (".", "services/api", "crates/words")}

    assert {path: each is not None and each.is_app for path, each in found.items()} == {
        ".": False,
        "services/api": True,
        "crates/words": False,
    }
    api = found["services/api"]
    assert api is not None
    assert api.packages == ("crates/bytes", "crates/words")


def test_a_member_is_built_with_its_packages_and_the_manifests_of_all(write: Write) -> None:
    root = write(TWO)

    api, web = (langs.build(root / f"services/{name}", Settings(), within=root) for name in ("api", "web"))

    assert api.context == "../.."
    allowed = {line[1:] for line in (api.dockerignore or "").splitlines() if line.startswith("!")}
    assert {"services/api", "crates/words", "crates/bytes", "shared/bytes.rs", "Cargo.lock"} <= allowed
    assert "crates/unused/Cargo.toml" in allowed
    assert allowed.isdisjoint({"crates/unused", "services/web"})
    assert runs(api.dockerfile)[0] == runs(web.dockerfile)[0]
    assert "cargo build --locked --release --package api --bin api" in runs(api.dockerfile)[1]
    assert "COPY --from=builder --chown=1000:1000 /app/services/api/templates ./templates" in api.dockerfile


def test_who_lies_in_a_workspace_and_is_no_member_is_refused(write: Write) -> None:
    root = write({**TWO, "tools/Cargo.toml": AXUM, "tools/src/main.rs": MAIN})

    with pytest.raises(LangError, match="no member of it"):
        langs.build(root / "tools", Settings(), within=root)


@pytest.mark.parametrize(
    ("files", "is_app"),
    [
        (APP, True),
        ({"Cargo.toml": AXUM, "src/lib.rs": ""}, False),
        ({"Cargo.toml": "[workspace]\nmembers = []\n"}, False),
        (SERVICES, True),
    ],
)
def test_a_package_without_a_program_is_no_app(write: Write, files: Mapping[str, str], *, is_app: bool) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == ("rust", is_app)


def test_evidence_names_files_that_are_there_and_can_be_shown(write: Write) -> None:
    bins = "".join(
        f'[[bin]]\nname = "{name}"\npath = "{path}"\n' for name, path in [("b", "gone.rs"), ("c\\n", "x.rs")]
    )

    detection = langs.detect(write({**APP, "Cargo.toml": AXUM + bins, "x.rs": MAIN}), Settings())

    assert detection is not None
    assert [evidence.file for evidence in detection.evidence] == ["Cargo.toml", "Cargo.lock", "src/main.rs"]


def test_another_target_is_added_and_looked_for_in_its_directory(write: Write) -> None:
    config = '[build]\ntarget = "x86_64-unknown-linux-musl"\n'

    text = langs.build(write({**APP, ".cargo/config.toml": config}), Settings()).dockerfile

    assert "rustup target add x86_64-unknown-linux-musl" in text
    assert "cp target/x86_64-unknown-linux-musl/release/api /out/bin/" in text


def test_credentials_and_build_output_stay_out_of_the_context(write: Write) -> None:
    built = langs.build(write(SERVICES), Settings())

    assert built.dockerignore is not None
    lines = built.dockerignore.splitlines()
    assert {"target", "services/api/target", "**/.cargo/credentials*"} <= set(lines)
    assert "**/target" not in lines


@pytest.mark.parametrize(
    "files",
    [
        {"rust-toolchain": "1.80\nRUN evil"},
        {"rust-toolchain": "$(id)"},
        {"rust-toolchain.toml": '[toolchain]\npath = "/opt/rust"\n'},
        {"rust-toolchain.toml": "[toolchain\n"},
        {"Cargo.toml": '[package]\nname = "a b"\n'},
        {"Cargo.toml": '[package]\nname = "a;id"\n'},
        {"Cargo.toml": '[package]\nname = "a"\n[[bin]]\nname = "x$(id)"\npath = "src/main.rs"\n'},
        {"Cargo.toml": '[package]\nname = "a"\n[[bin]]\nname = "x"\npath = "src/$(id).rs"\n'},
        {"Cargo.toml": '[package]\nname = "a"\nrust-version = "1.80\\nRUN evil"\n'},
        {"Cargo.toml": '[package]\nname = "a"\n[[bin]]\nname="a"\npath="src/main.rs"\nrequired-features = ["$(id)"]\n'},
        {".cargo/config.toml": '[build]\ntarget = "x; id"\n'},
        {".cargo/config.toml": '[build]\ntarget = ["a-b", "c-d"]\n'},
    ],
)
def test_hostile_manifests_are_clear_errors(write: Write, files: Mapping[str, str]) -> None:
    with pytest.raises(LangError) as raised:
        langs.build(write({**APP, **files}), Settings(language="rust"))

    assert raised.value.hint


def made(text: str) -> str | None:
    """The tag of the image in which an app with this toolchain is built, or None after an error with a hint."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "src").mkdir()
        for file, content in APP.items():
            (root / file).write_text(content, encoding="utf-8")
        settings = Settings(versions={"rust": Version(value=text, source="$RUSTUP_TOOLCHAIN")})
        try:
            built = langs.build(root, settings)
        except LangError as error:
            refused = error
            assert refused.hint
            return None
    froms = [rest for keyword, rest in splitter.split(built.dockerfile) if keyword == "FROM"]
    return froms[0].removeprefix("rust:").removesuffix(" AS builder")


@given(text=st.one_of(st.text(), st.from_regex(r"(stable|1\.[0-9]{1,3})(\.[0-9])?(-[a-z0-9_]+)?", fullmatch=True)))
def test_whatever_a_toolchain_is_called_it_becomes_a_tag_or_an_error(text: str) -> None:
    tag = made(text)

    assert tag is None or re.fullmatch(r"[0-9]+(\.[0-9]+){0,2}(-bookworm)?", tag)
