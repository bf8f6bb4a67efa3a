"""The repository's file: what it may say, and how errors name the place."""

import json
import os
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.listing import Listing
from langs.stamps import NO_STAMP
from orchestrator.config import decode, load, repository
from orchestrator.config.decode import Document
from orchestrator.errors import ConfigError

_Table = dict[str, object]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("prot = 1\n", "fleetpacks.toml:1: prot: unknown key", "Did you mean 'port'?"),
        ('ignore = ["x"]\n\n[apps."a/b"]\nrum = "x"\n', 'fleetpacks.toml:4: apps."a/b".rum: unknown key', "'run'"),
        ("port = 70000\n", "fleetpacks.toml:1: port: expected an integer <= 65535", "Change the value"),
        ('port = "80"\n', "fleetpacks.toml:1: port: expected an integer, got a string", "Change the value"),
        ("port = true\n", "fleetpacks.toml:1: port: expected an integer, got a boolean", "Change the value"),
        ("run = 2026-01-01\n", "fleetpacks.toml:1: run: expected a string, got a date", "Change the value"),
        ("# a\n\napps = 3\n", "fleetpacks.toml:3: apps: expected a table, got an integer", "Change the value"),
        ("[apps]\na = 3\n", "fleetpacks.toml:2: apps.a: expected a table", "[table]"),
        ("ignore = [1]\n", "fleetpacks.toml:1: ignore[0]: expected a string, got an integer", "Change the value"),
        ("port = = 1\n", "fleetpacks.toml:1: not valid TOML", "Mend the line"),
        ('port = 1\nrun = "\n', "fleetpacks.toml:2: not valid TOML", "Mend the line"),
        (f"port = 80\n{'a.' * 100_000}b = 1\n", "fleetpacks.toml:2: a key is nested too deeply", "12 parts"),
        (f"port = {'9' * 5000}\n", "fleetpacks.toml: a number has too many digits", "Shorten"),
        ("ssh = ['default', '../x']\n", "fleetpacks.toml:1: ssh[1]: expected the id of an agent", "default"),
        ('secrets = [\n "A",\n "B C",\n]\n', "fleetpacks.toml:1: secrets[1]: expected an identifier", "Letters"),
        ("secrets = [{ name = 'A B' }]\n", "fleetpacks.toml:1: secrets[0]: expected an identifier", "Letters"),
        (
            "secrets = ['A', { name = 'B', invalidate = true }]\n",
            "fleetpacks.toml:1: secrets[1].invalidate: unknown",
            "invalidates",
        ),
        ("secrets = [{ invalidates = true }]\n", "fleetpacks.toml:1: secrets[0]: 'name' is missing", "name"),
        ("apt = ['libpq-dev', 'Foo']\n", "fleetpacks.toml:1: apt[1]: expected the name of a Debian package", "Change"),
        ("apt_run = ['jq; id']\n", "fleetpacks.toml:1: apt_run[0]: expected the name of a Debian", "Change"),
        ("apt = ['--purge']\n", "fleetpacks.toml:1: apt[0]: expected the name of a Debian package", "Change"),
        (f"apt = {['lib' + str(n) for n in range(201)]}\n", "fleetpacks.toml:1: apt: more than 200 packages", "image"),
        ("healthcheck = 'healthz'\n", "fleetpacks.toml:1: healthcheck: expected true, false, or a path", "Change"),
        ("healthcheck = '/a b'\n", "fleetpacks.toml:1: healthcheck: expected true, false, or a path", "Change"),
        ("platforms = ['linux/amd64', 'arm64']\n", "fleetpacks.toml:1: platforms[1]: expected a platform", "Change"),
        ("platforms = ['linux/arm64/v8']\n", "fleetpacks.toml:1: platforms[0]: expected a platform", "Change"),
        ("platforms = 'linux/amd64'\n", "fleetpacks.toml:1: platforms: expected an array", "Change"),
        ("healthcheck = 5\n", "fleetpacks.toml:1: healthcheck: expected", "Change"),
        ("secrets = [1]\n", "fleetpacks.toml:1: secrets[0]: expected a string, got an integer", "Change"),
        ('[env]\n"A-B" = "1"\n', "fleetpacks.toml:2: env.A-B: expected the name of a variable", "Letters"),
        ('run = "a\\nb"\n', "fleetpacks.toml:1: run: expected one line", "script"),
        ('dockerfile = "../Dockerfile"\n', "fleetpacks.toml:1: dockerfile: expected a file below", "without `..`"),
        ('[apps."../x"]\n', 'fleetpacks.toml:1: apps."../x": expected a relative path', "below the root"),
        ('[apps."./x/"]\n', 'fleetpacks.toml:1: apps."./x/": expected a relative path', '[apps."x"]'),
        ('[apps.a]\nname = "shop\\n"\n', "fleetpacks.toml:2: apps.a.name: expected", "Change the value"),
        (
            '[apps.a]\nname = "Shop!"\n',
            "fleetpacks.toml:2: apps.a.name: expected lower-case letters and digits, between them single",
            "Change the value",
        ),
        (
            'timeout = "1 hour"\n',
            "fleetpacks.toml:1: timeout: expected a whole number and one of s, m, h, d, such as 30m, got '1 hour'",
            "Change the value",
        ),
        ("timeout = 30\n", "fleetpacks.toml:1: timeout: expected a string, got an integer", "Change the value"),
        (
            f'[skip]\nmax_age = "{"7" * 99}"\n',
            "fleetpacks.toml:2: skip.max_age: expected a whole number and",
            "Change",
        ),
        ("[apps.a]\nignore = []\n", "fleetpacks.toml:2: apps.a.ignore: unknown key", "stands at the top"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "fleetpacks.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        'image = "registry.example/x"\n',
        '[[hosts]]\nurl = "unix:///x"\n',
        '[registries."a.example"]\ninsecure = true\n',
        "jobs = 3\n",
        '[apps.a]\nimage = "registry.example/x"\n',
        '[secrets]\nTOKEN = { env = "AWS_SECRET_ACCESS_KEY" }\n',
    ],
)
def test_an_operators_key_names_the_operators_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "fleetpacks.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert "~/.config/fleetpacks/config.toml" in caught.value.hint


def test_an_operators_key_in_an_apps_own_file_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/fleetpacks.toml").write_text('image = "evil.example/x"\n')

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {}).settings_for("a")

    assert caught.value.message == "a/fleetpacks.toml:1: image: unknown key"
    assert "operator" in caught.value.hint


def test_keys_of_the_root_in_an_apps_own_file_name_the_roots_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/fleetpacks.toml").write_text('ignore = ["x"]\n')

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {}).settings_for("a")

    assert caught.value.hint == "This key belongs into the root's fleetpacks.toml."


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('language = "pyton"\n', "a/fleetpacks.toml:1: language: unknown language 'pyton'", "Did you mean 'python'?"),
        ('[versions]\nnode = "22"\n', "a/fleetpacks.toml:2: versions.node: unknown language 'node'", "'nodejs'"),
        ('[versions]\ncobol = "1"\n', "a/fleetpacks.toml:2: versions.cobol: unknown language", "Known: "),
        ('[images]\nnodejs = "x"\n', "a/fleetpacks.toml:2: images.nodejs: unknown base image", "Did you mean 'node'?"),
        ('[images]\nalpine = "x"\n', "a/fleetpacks.toml:2: images.alpine: unknown base image", "golang, debian"),
    ],
)
def test_an_unknown_language_gets_a_suggestion(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/fleetpacks.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {}).settings_for("a")

    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_a_file_behind_a_symlink_that_leaves_the_source_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.toml").write_text("password = 1\n")
    (root / "fleetpacks.toml").symlink_to(tmp_path / "secret.toml")

    with pytest.raises(ConfigError) as caught:
        load(root, {})

    assert "symlink" in caught.value.message
    assert "password" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "message"),
    [(b'run = "\xff"\n', "fleetpacks.toml:1: not UTF-8"), (b"#" * ((1 << 20) + 1), "larger than 1048576 bytes")],
)
def test_a_file_that_is_no_text_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "fleetpacks.toml").write_bytes(data)

    with pytest.raises(ConfigError, match=message):
        load(tmp_path, {})


def test_a_symlink_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").symlink_to("fleetpacks.toml")

    with pytest.raises(ConfigError, match="leads back to itself"):
        load(tmp_path, {})


def test_a_fifo_in_the_files_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fleetpacks.toml")

    with pytest.raises(ConfigError, match="expected a regular file"):
        load(tmp_path, {})


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_a_configuration_error(text: str) -> None:
    document = Document(name="f", text=text)

    outcome = _decoded(document)

    assert outcome.startswith(("f:", "RootTable("))


def _decoded(document: Document) -> str:
    try:
        return repr(decode.decode(document, repository.RootTable, foreign=lambda _key, _value: None))
    except ConfigError as error:
        return error.message


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in cast("_Table", value).items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, cast("list[object]", value))) + "]"
    return json.dumps(value, ensure_ascii=True)


_leaf = st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False))
_keys = st.one_of(st.sampled_from(["port", "env", "apps", "ignore", "run", "images", "secrets"]), st.text(max_size=4))
_tables = st.recursive(
    _leaf, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=4)), max_leaves=8
)


@given(st.dictionaries(_keys, _tables, max_size=4))
def test_any_json_like_table_is_decoded_or_refused_with_its_key(table: dict[str, object]) -> None:
    text = "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in table.items())

    outcome = _decoded(Document(name="f", text=text))

    assert outcome.startswith(("f:", "RootTable("))


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("a",), 2),
        (("t", "x"), 6),
        (("t", "list", 1), 7),
        (("t", "deep", "y"), 11),
        (("t",), 5),
        (("none",), None),
    ],
)
def test_the_line_of_a_key_is_where_its_statement_begins(key: tuple[str | int, ...], line: int | None) -> None:
    text = '# head\na = """\nlong\n"""\n[t]\nx = 1\nlist = [\n 1,\n 2,\n]\ndeep.y = 3\n'

    assert decode.line_of(text, key) == line


def test_a_line_is_found_soon_in_a_long_file() -> None:
    # Parsing one prefix for each line would take minutes.
    text = "".join(f'[apps."{number}"]\nrun = "{"x" * 100}"\n' for number in range(3000))

    assert decode.line_of(text, ("apps", "2500", "run")) == 5002


def test_a_file_is_read_where_a_listing_has_it_or_there_is_none(tmp_path: Path) -> None:
    for name in ("without", "with", "unlisted"):
        (tmp_path / name).mkdir()
        (tmp_path / name / repository.FILE).write_text("port = 81\n")
    own = repository.OwnFiles(tmp_path)
    own.know(
        {
            f"{tmp_path}/without": Listing(NO_STAMP, files=("main.go",)),
            f"{tmp_path}/with": Listing(NO_STAMP, files=("main.go",), links=(repository.FILE,)),
        }
    )

    read = {name: own.read(name) for name in ("without", "with", "unlisted")}

    assert [name for name, stated in read.items() if stated is not None and stated.table.port == 81] == [
        "with",
        "unlisted",
    ]
    assert read["without"] is None
