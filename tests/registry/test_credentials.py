"""Docker's configuration file and real credential helpers (little programs on PATH)."""

import base64
import json
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.registry.credentials import Credential, Credentials

HUB = "https://index.docker.io/v1/"
PAIR = base64.b64encode(b"alice:p:w").decode()
TOKEN = Credential(username="alice", identity_token="t")
ALICE = Credential(username="alice", password="p:w")


def config(directory: Path, content: object) -> Credentials:
    file = directory / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return Credentials(file)


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory at the front of PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


def helper(directory: Path, name: str, script: str) -> None:
    program = directory / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("auths", "host", "expected"),
    [
        ({"r.example": {"auth": PAIR}}, "r.example", ALICE),
        ({"r.example": {"username": "alice", "password": "p:w"}}, "r.example", ALICE),
        ({"https://r.example/v2/": {"auth": PAIR}}, "r.example", ALICE),
        ({"http://r.example": {"auth": PAIR}}, "r.example", ALICE),
        ({"r.example:5001": {"auth": PAIR}}, "r.example", None),
        ({"r.example": {"auth": PAIR}}, "other.example", None),
        ({HUB: {"auth": PAIR}}, "docker.io", ALICE),
        ({HUB: {"auth": PAIR}}, "registry-1.docker.io", ALICE),
        ({"docker.io": {"auth": PAIR}}, "docker.io", ALICE),
        ({"r.example": {"auth": PAIR}, "https://r.example/v1/": {"auth": "eDp5"}}, "r.example", ALICE),
        ({"r.example": {}}, "r.example", None),
        ({"r.example": {"auth": PAIR, "identitytoken": "t"}}, "r.example", TOKEN),
        ({"broken.example": {"auth": "!"}, "r.example": {"auth": PAIR}}, "r.example", ALICE),
        (None, "r.example", None),
    ],
)  # fmt: skip
async def test_an_entry_is_found_by_host(tmp_path: Path, auths: object, host: str, expected: Credential | None) -> None:
    credentials = config(tmp_path, {"auths": auths, "HttpHeaders": {"X": "y"}})

    assert await credentials.lookup(host) == expected


async def test_no_file_means_anonymous(tmp_path: Path) -> None:
    assert await Credentials(tmp_path / "none" / "config.json").lookup("r.example") is None
    assert await Credentials(None).lookup("r.example") is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"r.example": "s3cret"}}',
        '{"auths": {"r.example": {"auth": "s3cret!"}}}',
        '{"auths": {"r.example": {"auth": "czNjcmV0"}}}',
        '{"credHelpers": {"r.example": "../s3cret"}}',
        '{"credsStore": "/bin/s3cret"}',
        '{"credsStore": "a b"}',
    ],
)
async def test_a_malformed_file_is_a_clear_error_without_its_content(tmp_path: Path, content: str) -> None:
    credentials = config(tmp_path, content)

    with pytest.raises(ConfigError, match=r"config\.json: ") as caught:
        await credentials.lookup("r.example")

    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"


async def test_an_unreadable_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()

    with pytest.raises(ConfigError, match="cannot be read"):
        await Credentials(tmp_path / "config.json").lookup("r.example")


async def test_a_helper_is_asked_on_its_standard_input_and_once(tmp_path: Path, helpers: Path) -> None:
    log = tmp_path / "log"
    answer = json.dumps({"ServerURL": "x", "Username": "alice", "Secret": "p:w"})
    helper(helpers, "vault", f"echo \"$1 $(cat)\" >> {log}; echo '{answer}'")
    credentials = config(tmp_path, {"credsStore": "vault"})

    found = [await credentials.lookup(host) for host in ("r.example", "r.example", "docker.io")]

    assert found == [ALICE, ALICE, ALICE]
    assert log.read_text().splitlines() == ["get r.example", f"get {HUB}"]


async def test_the_helper_of_a_host_goes_before_the_store(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "one", 'echo \'{"Username": "alice", "Secret": "p:w"}\'')
    helper(helpers, "all", "exit 9")
    credentials = config(tmp_path, {"credsStore": "all", "credHelpers": {"r.example": "one"}})

    assert await credentials.lookup("r.example") == ALICE


async def test_an_identity_token_is_told_by_its_user_name(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "vault", 'echo \'{"Username": "<token>", "Secret": "refresh"}\'')

    found = await config(tmp_path, {"credsStore": "vault"}).lookup("r.example")

    assert found == Credential(identity_token="refresh")


async def test_a_store_that_knows_nothing_leaves_the_entry_of_the_file(tmp_path: Path, helpers: Path) -> None:
    helper(helpers, "vault", 'echo "credentials not found in native keychain"; exit 1')
    credentials = config(tmp_path, {"credsStore": "vault", "auths": {"r.example": {"auth": PAIR}}})

    assert await credentials.lookup("r.example") == ALICE
    assert await credentials.lookup("other.example") is None


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo s3cret; exit 1", "exit code 1"), ("echo s3cret", "did not answer with JSON"), ("echo '[]'", "JSON")],
)
async def test_a_helper_that_fails_is_named_and_not_quoted(
    tmp_path: Path, helpers: Path, script: str, reason: str
) -> None:
    helper(helpers, "vault", script)

    with pytest.raises(ConfigError, match=f"docker-credential-vault .*{reason}") as caught:
        await config(tmp_path, {"credsStore": "vault"}).lookup("r.example")

    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"


async def test_a_missing_helper_is_named_with_what_to_do(tmp_path: Path, helpers: Path) -> None:
    with pytest.raises(ConfigError, match="docker-credential-missing cannot be run") as caught:
        await config(tmp_path, {"credsStore": "missing"}).lookup("r.example")

    assert "install docker-credential-missing" in caught.value.hint


def test_a_credential_shows_no_secret() -> None:
    shown = f"{ALICE!r} {ALICE} {[Credential(username='bob', identity_token='refresh')]}"

    assert "p:w" not in shown
    assert "refresh" not in shown
    assert "alice" in shown


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["auths", "r.example", "auth", "username", "password", "credsStore", "credHelpers"]),
                inner,
            )
        ),
        max_leaves=6,
    )
)
def test_any_json_is_credentials_or_a_configuration_error(tmp_path: Path, content: object) -> None:
    async def look() -> None:
        try:
            await config(tmp_path, content).lookup("r.example")
        except ConfigError:
            return

    # Hypothesis runs synchronous functions.
    anyio.run(look)


async def test_what_is_given_for_the_run_is_for_its_host_alone_and_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"dhi.io": {"auth": PAIR}, "r.example": {"auth": PAIR}}}))
    told = Credential(username="bob", password="x")

    credentials = Credentials(file, {"dhi.io": told})

    assert await credentials.lookup("dhi.io") == told
    assert await credentials.lookup("r.example") == ALICE
    assert await credentials.lookup("sub.dhi.io") is None


async def test_what_yields_is_for_want_of_a_better_one(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {"r.example": {"auth": PAIR}}}))
    told = Credential(username="bob", password="x", yields=True)

    credentials = Credentials(file, {"r.example": told, "other.example": told})

    assert await credentials.lookup("r.example") == ALICE
    assert await credentials.lookup("other.example") == told
    assert await Credentials(None, {"r.example": told}).lookup("r.example") == told
