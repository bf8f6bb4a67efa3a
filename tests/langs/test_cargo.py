"""Cargo.toml and `.cargo/config.toml`: which packages and programs there are, and what leads out of the app."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import cargo
from langs.errors import LangError
from langs.files import AppFiles
from tests.langs.conftest import Write

PACKAGE = '[package]\nname = "a"\n'
MAIN = "fn main() {}\n"


def programs(files: AppFiles) -> dict[str, str]:
    workspace = cargo.read(files)
    assert workspace is not None
    return {binary.name: binary.path for crate in workspace.crates for binary in crate.binaries}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"Cargo.toml": PACKAGE, "src/main.rs": MAIN}, {"a": "src/main.rs"}, id="src/main.rs"),
        pytest.param({"Cargo.toml": PACKAGE, "src/lib.rs": ""}, {}, id="library"),
        pytest.param(
            {"Cargo.toml": PACKAGE, "src/main.rs": MAIN, "src/bin/b.rs": MAIN, "src/bin/c/main.rs": MAIN},
            {"a": "src/main.rs", "b": "src/bin/b.rs", "c": "src/bin/c/main.rs"},
            id="src/bin",
        ),
        pytest.param(
            {"Cargo.toml": PACKAGE, "src/bin/c/main.rs": MAIN, "src/bin/c/helper.rs": "", "src/bin/c/d/main.rs": ""},
            {"c": "src/bin/c/main.rs"},
            id="modules of a program",
        ),
        pytest.param(
            {"Cargo.toml": f'{PACKAGE}[[bin]]\nname = "x"\npath = "src/main.rs"\n', "src/main.rs": MAIN},
            {"x": "src/main.rs"},
            id="renamed",
        ),
        pytest.param(
            {"Cargo.toml": f'{PACKAGE}[[bin]]\nname = "b"\n', "src/main.rs": MAIN, "src/bin/b.rs": MAIN},
            {"b": "src/bin/b.rs", "a": "src/main.rs"},
            id="named, by its usual path",
        ),
        pytest.param(
            {
                "Cargo.toml": '[package]\nname = "a"\nautobins = false\n[[bin]]\nname = "b"\n',
                "src/main.rs": MAIN,
                "src/bin/b.rs": MAIN,
            },
            {"b": "src/bin/b.rs"},
            id="autobins = false",
        ),
        pytest.param(
            {"Cargo.toml": '[project]\nname = "a"\n', "src/main.rs": MAIN}, {"a": "src/main.rs"}, id="project"
        ),
    ],
)
def test_programs_are_found_as_cargo_finds_them(
    write: Write, files: Mapping[str, str], expected: dict[str, str]
) -> None:
    assert programs(AppFiles(write(files))) == expected


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ('members = ["crates/*"]', ["crates/a", "crates/b"]),
        ('members = ["crates/a"]', ["crates/a", "libs/shared"]),
        ('members = ["crates/*"]\nexclude = ["crates/b"]', ["crates/a", "libs/shared"]),
        ('members = ["./crates/a/"]', ["crates/a", "libs/shared"]),
        ('members = ["**"]', ["crates/a", "crates/b", "libs/shared"]),
    ],
)
def test_members_are_patterns_and_paths_lead_to_further_packages(write: Write, root: str, expected: list[str]) -> None:
    files = {
        "Cargo.toml": f"[workspace]\n{root}\n",
        "crates/a/Cargo.toml": f'{PACKAGE}[dependencies]\nshared = {{ path = "../../libs/shared" }}\n',
        "crates/b/Cargo.toml": '[package]\nname = "b"\n',
        "crates/README.md": "",
        "libs/shared/Cargo.toml": '[package]\nname = "shared"\n',
    }

    workspace = cargo.read(AppFiles(write(files)))

    assert workspace is not None
    assert workspace.virtual
    found = [crate.directory for crate in workspace.crates]
    assert sorted(found) == sorted(expected if "libs/shared" in expected else [*expected, "libs/shared"])


def test_every_table_of_dependencies_leads_somewhere_and_only_some_are_certain(write: Write) -> None:
    tables = {
        "normal": "dependencies",
        "dev": "dev-dependencies",
        "built": "build-dependencies",
        "conditional": 'target."cfg(unix)".dependencies',
        "patched": "patch.crates-io",
    }
    files = {
        "Cargo.toml": '[package]\nname = "a"\n[workspace]\n[workspace.dependencies]\n'
        'shared = { path = "l/shared" }\nunused = { path = "l/unused" }\n'
        + "".join(f'[{table}]\n{name} = {{ path = "l/{name}" }}\n' for name, table in tables.items())
        + "[dependencies.shared]\nworkspace = true\n",
        **{f"l/{name}/Cargo.toml": f'[package]\nname = "{name}"\n' for name in (*tables, "shared", "unused")},
    }

    workspace = cargo.read(AppFiles(write(files)))

    assert workspace is not None
    assert {crate.name: crate.certain for crate in workspace.crates} == {
        "a": True,
        "normal": True,
        "dev": True,
        "built": True,
        "conditional": True,
        "shared": True,
        "patched": False,
    }


def test_sources_without_which_cargo_reads_no_manifest_are_known(write: Write) -> None:
    manifest = (
        '[package]\nname = "a"\nrust-version.workspace = true\n[lib]\npath = "lib/a.rs"\n[[bench]]\nname = "fast"\n'
        '[[test]]\nname = "all"\npath = "t/all.rs"\n[workspace]\n[workspace.package]\nrust-version = "1.80"\n'
    )

    workspace = cargo.read(AppFiles(write({"Cargo.toml": manifest, "build.rs": MAIN, "lib/a.rs": ""})))

    assert workspace is not None
    (crate,) = workspace.crates
    assert crate.library == "lib/a.rs"
    assert crate.mains == ("build.rs", "t/all.rs", "benches/fast.rs")
    assert crate.rust_version == "1.80"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"Cargo.toml": ""}, "neither"),
        ({"Cargo.toml": "[package]\n"}, "name is missing"),
        ({"Cargo.toml": "[package\n"}, "not valid TOML"),
        ({"Cargo.toml": '[package]\nname = ["a"]\n'}, "another shape"),
        ({"Cargo.toml": f'{PACKAGE}[[bin]]\nname = "x"\npath = "../../x.rs"\n'}, "outside of the app"),
    ],
)
def test_what_is_wrong_is_said_with_its_file(write: Write, files: Mapping[str, str], message: str) -> None:
    with pytest.raises(LangError, match=message) as raised:
        cargo.read(AppFiles(write(files)))

    assert raised.value.file == "Cargo.toml"
    assert raised.value.hint


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (f'{PACKAGE}[dependencies]\nb = {{ path = "../b" }}\n', "outside of the app"),
        (f'{PACKAGE}[dependencies]\nb = {{ path = "/etc" }}\n', "outside of the app"),
        (f'{PACKAGE}[workspace]\nmembers = ["../c"]\n', "outside of the app"),
        (f'{PACKAGE}[workspace]\nmembers = ["gone"]\n', "there is no Cargo.toml"),
        (f'{PACKAGE}[dependencies]\na = {{ path = "." }}\n', None),
    ],
)
def test_a_package_that_is_not_here_is_the_builds_business(write: Write, manifest: str, message: str | None) -> None:
    workspace = cargo.read(AppFiles(write({"Cargo.toml": manifest, "src/main.rs": MAIN})))

    assert workspace is not None
    assert [binary.name for crate in workspace.crates for binary in crate.binaries] == ["a"]
    assert (workspace.broken is None) == (message is None)
    if workspace.broken is not None and message is not None:
        assert message in workspace.broken.message
        assert workspace.broken.file == "Cargo.toml"


def test_packages_that_lead_to_each_other_are_an_end(write: Write) -> None:
    files = {
        "Cargo.toml": f'{PACKAGE}[dependencies]\nb = {{ path = "b" }}\n',
        "b/Cargo.toml": '[package]\nname = "b"\n[dev-dependencies]\na = { path = ".." }\n',
    }

    workspace = cargo.read(AppFiles(write(files)))

    assert workspace is not None
    assert [crate.name for crate in workspace.crates] == ["a", "b"]


def test_cargos_own_settings_are_read(write: Write) -> None:
    text = (
        '[build]\ntarget = "x86_64-unknown-linux-musl"\n[source.crates-io]\nreplace-with = "vendored"\n'
        '[source.vendored]\ndirectory = "third_party/rust"\n'
    )

    config = cargo.read_config(AppFiles(write({".cargo/config.toml": text})))

    assert config.target == "x86_64-unknown-linux-musl"
    assert config.vendored == ("third_party/rust",)


@pytest.mark.parametrize(
    ("above", "member"),
    [
        ('[workspace]\nmembers = ["services/*"]\n', "../../Cargo.toml"),
        ('[workspace]\nexclude = ["services"]\n', None),
        ('[package]\nname = "root"\n', None),
    ],
)
def test_a_member_knows_the_workspace_above_it(write: Write, above: str, member: str | None) -> None:
    root = write({"Cargo.toml": above, "services/api/Cargo.toml": PACKAGE})

    found = cargo.member_of(AppFiles(root / "services/api", within=root))

    assert (found.manifest if found else None) == member


def written(value: str) -> str:
    """A string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


STRINGS = st.text('ab/.*\n"$', max_size=8).map(written)
TABLES = st.dictionaries(st.sampled_from(["path", "name", "workspace", "a"]), STRINGS | st.just("true")).map(
    lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
)
VALUES = st.one_of(
    STRINGS,
    TABLES,
    st.lists(STRINGS | TABLES, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
    st.dictionaries(st.sampled_from(["members", "dependencies", "b"]), TABLES | STRINGS).map(
        lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
    ),
)
KEYS = ["package", "workspace", "bin", "lib", "dependencies", "target", "patch", "members", "name", "a"]


@given(tables=st.dictionaries(st.sampled_from(KEYS), VALUES), junk=st.text(max_size=20))
def test_whatever_the_manifest_says_there_are_packages_or_a_clear_error(tables: dict[str, str], junk: str) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in tables.items())
    with tempfile.TemporaryDirectory() as directory:
        for content in (text, text + junk):
            Path(directory, "Cargo.toml").write_text(content, encoding="utf-8", errors="replace", newline="")
            try:
                workspace = cargo.read(AppFiles(Path(directory)))
            except LangError as error:
                refused = error
                assert refused.hint
            else:
                assert workspace is not None
