"""Drop-in mode: which variables reach an app, what is told of the others, and `$BUILD_VARS`."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.facts import VERSION_VARIABLES
from orchestrator.app.secretvalues import secret_readers
from orchestrator.config import Flags, credentials, dropin, environment, load
from orchestrator.errors import ConfigError, UsageError

_GITHUB = "ghp_" + "a" * 36
_CREDENTIALS = (
    "DOCKER_AUTH_CONFIG",
    "COMPOSER_AUTH",
    "PGPASSWORD",
    "MYSQL_PWD",
    "SECRET_KEY_BASE",
    "DB_PASS",
    "GH_PAT",
)
_JENKINS = (
    *("BUILD_NUMBER", "BUILD_ID", "BUILD_URL", "BUILD_TAG", "GIT_COMMIT", "GIT_BRANCH", "JOB_NAME", "NODE_NAME"),
    *("WORKSPACE", "EXECUTOR_NUMBER", "GIT_PREVIOUS_COMMIT", "RUN_DISPLAY_URL"),
)
_AZURE = (
    "BUILD_BUILDID",
    "BUILD_BUILDNUMBER",
    "BUILD_SOURCEVERSION",
    "BUILD_SOURCEBRANCHNAME",
    "BUILD_REPOSITORY_NAME",
)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("NODE_ENV", "staging", None),
        ("VITE_API_URL", "https://api.example", None),
        ("CARGO_BUILD_JOBS", "4", None),
        ("EMPTY", "", None),
        ("SOURCE_VERSION", "1f2e3d", None),
        ("VITE_API_KEY", "public", None),
        ("APP_PORT", "8080", None),
        ("RAILS_MASTER_KEY", "x", "looks like a credential: RAILS_MASTER_KEY; --secret NAME"),
        ("DATABASE_URL", "postgres://u:p@db.example/x", "looks like a credential: DATABASE_URL; --secret NAME"),
        ("VITE_X", _GITHUB, "looks like a credential: VITE_X; --secret NAME"),
        ("AWS_REGION", "eu-west-1", "looks like a credential: AWS_REGION; --secret NAME"),
        ("GITHUB_TOKEN", "x", "looks like a credential: GITHUB_TOKEN; --secret NAME"),
        ("GITHUB_SHA", "1f2e3d", "GitHub Actions sets it: GITHUB_SHA; --env NAME passes it"),
        ("CI_COMMIT_SHA", "1f2e3d", "GitLab CI sets it: CI_COMMIT_SHA; --env NAME passes it"),
        *((name, "7", f"Jenkins sets it: {name}; --env NAME passes it") for name in _JENKINS),
        *((name, "7", f"Azure Pipelines sets it: {name}; --env NAME passes it") for name in _AZURE),
        ("BUILD_TARGET", "7", None),
        ("GIT_AUTHOR_NAME", "x", None),
        ("DEBUG", "shop:*", None),
        ("OTEL_SERVICE_NAME", "shop", "where our own traces go: OTEL_SERVICE_NAME; --env NAME passes it"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=x", "looks like a credential: OTEL_EXPORTER_OTLP_HEADERS; --secret"),
        *((name, "x", f"looks like a credential: {name}; --secret NAME") for name in _CREDENTIALS),
        ("CACHE", "redis://:a/b@cache.example", "looks like a credential: CACHE; --secret NAME"),
        ("JDBC", "jdbc:x://h/d?password=hunter2", "looks like a credential: JDBC; --secret NAME"),
        ("CI", "true", "a CI platform sets it: CI; --env NAME passes it"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1", "Kubernetes sets it: KUBERNETES_SERVICE_HOST"),
        ("REDIS_SERVICE_PORT", "6379", "Kubernetes sets it: REDIS_SERVICE_PORT"),
        ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.2", "Kubernetes sets it: REDIS_PORT_6379_TCP_ADDR"),
        ("REDIS_PORT", "tcp://10.0.0.2:6379", "Kubernetes sets it: REDIS_PORT"),
        ("BASH_FUNC_x%%", "() { :; }", "no name of a variable: 'BASH_FUNC_x%%'"),
        ("LINES_OF_TEXT", "a\nb", "holds a line break or a control character: LINES_OF_TEXT"),
        *(("ODD", f"a{each}b", "a line break or a control character: ODD") for each in "\x7f\x80\x85\x9f\u2028\u2029"),
        ("LONG", "é" * 29_999, None),
        ("LONG", "é" * 30_001, "too long for an image: LONG; --secret NAME"),
        ("LONG", "$" * 30_001, "too long for an image: LONG; --secret NAME"),
        ("SBT_AT_RUNTIME", "true", "has no effect here: SBT_AT_RUNTIME"),
    ],
)
def test_a_variable_is_passed_or_it_is_told_why_not(name: str, value: str, why: str | None) -> None:
    found = dropin.passing({name: value})

    assert found.passed == ({name: value} if why is None else {})
    assert len(found.warnings) == (why is not None)
    assert why is None or why in found.warnings[0]


@pytest.mark.parametrize("name", ["PATH", "HOME", "LC_ALL", "XDG_CACHE_HOME", "SSH_AUTH_SOCK", "PORT", "OUTPUT_IMAGE"])
def test_settings_and_what_every_process_has_are_nothing_to_the_app_and_not_told(name: str) -> None:
    assert dropin.passing({name: "x"}) == dropin.Passing()


def test_no_variable_that_is_read_is_passed() -> None:
    class Recording(dict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # only this form
            asked.add(name)
            return default

    asked: set[str] = {"SOURCE_DIR", "DHI_USERNAME", "DHI_PASSWORD"}
    environment.parse(Recording(), version_variables=VERSION_VARIABLES)

    assert dropin.passing(dict.fromkeys(asked, "x")).passed == {}


def test_what_flags_name_is_theirs() -> None:
    variables = {"NODE_ENV": "staging", "GITHUB_SHA": "1f2e3d", "NPM_TOKEN": "x"}

    found = dropin.passing(variables, said=frozenset(variables))

    assert found == dropin.Passing()


_NAMES = st.from_regex(r"[A-Z_]{1,12}", fullmatch=True) | st.sampled_from(
    ["A_TOKEN", "GITHUB_SHA", "VITE_A", "é", "a b"]
)
_VALUES = st.text(max_size=12) | st.sampled_from([_GITHUB, "https://u:p@h.example", "tcp://1.2.3.4:5"])


@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_nothing_that_looks_like_a_credential_is_ever_passed_or_shown(variables: Mapping[str, str]) -> None:
    found = dropin.passing(variables)

    assert all(credentials.reason(name, value) is None for name, value in found.passed.items())
    assert found.passed.items() <= variables.items()
    assert not any(_GITHUB in said for said in found.warnings)


def test_what_the_containers_own_image_has_brought_is_as_if_nobody_had_said_it() -> None:
    image = b"PATH=/app/bin\0PORT=5000\0PYTHON_VERSION=3.13.5\0MODE=a=b\0"
    variables = {"PATH": "/app/bin", "PORT": "5000", "PYTHON_VERSION": "3.12", "MODE": "a=b", "OTHER": "x"}

    assert dropin.seen(variables, image) == {"PATH": "/app/bin", "PYTHON_VERSION": "3.12", "OTHER": "x"}
    assert dropin.seen(variables, b"") == variables


def test_a_proxy_is_somebodys_word_even_if_the_image_was_built_behind_the_same_one() -> None:
    variables = {"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "localhost", "MODE": "x"}
    image = b"\0".join(f"{name}={value}".encode() for name, value in variables.items())

    assert dropin.seen(variables, image) == {"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "localhost"}


async def test_the_image_lists_what_it_brings_along_and_no_proxy_of_its_build() -> None:
    text = (Path(__file__).parents[2] / "container/Dockerfile").read_text()
    step = next(line for line in text.splitlines() if line.startswith("RUN") and "$FLEETPACKS_IMAGE_VARIABLES" in line)
    command = step.partition("&& ")[2].replace('> "$FLEETPACKS_IMAGE_VARIABLES"', "")
    build = {"PATH": environment.read()["PATH"], "MODE": "a\nb", "https_proxy": "http://p.example", "NO_PROXY": "x"}

    listed = (await anyio.run_process(["/bin/sh", "-c", command], env=build)).stdout

    names = {line.partition(b"=")[0] for line in listed.split(b"\0")}
    assert {b"PATH", b"MODE"} <= names
    assert not {b"https_proxy", b"NO_PROXY"} & names
    assert b"MODE=a\nb\0" in listed


def test_only_drop_in_mode_passes_anything(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "FEATURE": "on", "CI_JOB_ID": "7"}

    usual = load(tmp_path, variables)
    other = load(tmp_path, variables, Flags(drop_in=True, env=("CI_JOB_ID",)))

    assert (usual.passed, usual.warnings) == ({}, ())
    assert (other.passed, other.warnings) == ({"FEATURE": "on"}, ())
    assert other.settings_for(".").passed == {"FEATURE": "on"}
    assert other.settings_for(".").env == {"CI_JOB_ID": "7"}


def test_what_the_operators_file_reads_is_no_apps(tmp_path: Path) -> None:
    file = tmp_path / "operator.toml"
    file.write_text(
        '[secrets]\nLICENCE = { env = "SHOP" }\n[mirrors]\ngo = { env = "MODULES" }\n'
        '[network]\nhttps_proxy = { env = "WAY_OUT" }\n'
    )
    source = tmp_path / "source"
    source.mkdir()
    variables = {"SHOP": "open", "MODULES": "https://m.example/t0k3n", "WAY_OUT": "http://p.example", "FEATURE": "on"}

    config = load(source, {**variables, "HOME": str(tmp_path), "FLEETPACKS_CONFIG": str(file)}, Flags(drop_in=True))

    assert (config.passed, config.warnings) == ({"FEATURE": "on"}, ())


async def test_build_variables_are_arguments_and_those_that_look_like_credentials_are_secrets(tmp_path: Path) -> None:
    said = '{"BUILD_VAR_STAGE": "test", "FLAVOUR": "plain", "NPM_TOKEN": "hunter2"}'

    config = load(tmp_path, {"BUILD_VARS": said, "HOME": str(tmp_path)})
    settings = config.settings_for(".")

    assert settings.arguments == {"STAGE": "test", "FLAVOUR": "plain"}
    assert settings.secrets == ("NPM_TOKEN",)
    assert await secret_readers(config)["NPM_TOKEN"]() == b"hunter2"
    [told] = config.warnings
    assert "is a secret of the build steps, not a build argument: NPM_TOKEN;" in told
    assert "hunter2" not in told


def test_nothing_is_said_of_build_variables_that_are_none_but_arguments(tmp_path: Path) -> None:
    config = load(tmp_path, {"BUILD_VARS": '{"STAGE": "test"}', "HOME": str(tmp_path)})

    assert config.warnings == ()


async def test_a_secret_of_the_command_line_is_one_of_every_app(tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text('secrets = [{ name = "KEY", invalidates = true }, "OTHER"]\n')

    config = load(tmp_path, {"KEY": "k", "HOME": str(tmp_path)}, Flags(secrets=("KEY",)))

    assert config.settings_for(".").secrets == ("KEY", "OTHER")
    assert config.settings_for(".").invalidating == ("KEY",)
    assert await secret_readers(config)["KEY"]() == b"k"


@pytest.mark.parametrize(("name", "why"), [("NOT_THERE", "has no such variable"), ("a b", "expected the name")])
def test_a_secret_without_a_value_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        load(tmp_path, {}, Flags(secrets=(name,)))


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"BUILD_VARS": "{"}, r"\$BUILD_VARS: "),
        ({"BUILD_VARS": '{"A": 1}'}, r"\$BUILD_VARS: "),
        ({"BUILD_VARS": '{"A B": "hunter2"}'}, r"\$BUILD_VARS: 'A B' is not the name"),
        ({"CUSTOM_DATA": "hunter2"}, r"\$CUSTOM_DATA: "),
        ({"ARCH": "sparc"}, r"\$ARCH: expected one of x86_64, amd64, arm64, aarch64, got 'sparc'"),
    ],
)
def test_a_value_that_cannot_be_is_refused_without_being_shown(
    tmp_path: Path, variables: Mapping[str, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        load(tmp_path, variables)

    assert "hunter2" not in caught.value.message + caught.value.hint
