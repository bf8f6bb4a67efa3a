"""Precedence, the environment, and flags."""

import re
from pathlib import Path

import msgspec
import pytest

from langs.facts import VERSION_VARIABLES
from langs.model import Version
from langs.registry import LANGUAGES
from orchestrator.config import EachSettings, Flags, environment, load, schema
from orchestrator.errors import ConfigError, FleetpacksError, UsageError

_SCHEMAS = Path(__file__).parents[2] / "docs/schema"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "source/a").mkdir(parents=True)
    return tmp_path / "source"


def test_a_later_word_wins_and_versions_keep_their_source(root: Path) -> None:
    (root / "fleetpacks.toml").write_text(
        """
        port = 1001
        versions = { nodejs = "18", go = "1.22", python = "3.9" }
        env = { A = "root", B = "root", C = "root", D = "root" }
        secrets = ["ONE"]
        images = { node = "root.example/node" }
        run = "of the root alone"
        [apps.a]
        port = 1002
        run = "table"
        build = "table"
        versions = { nodejs = "20" }
        env = { B = "table", C = "table", D = "table" }
        """
    )
    (root / "a/fleetpacks.toml").write_text(
        'run = "own"\nversions = { go = "1.23" }\nenv = { C = "own", D = "own" }\nsecrets = ["TWO", "ONE"]\n'
    )

    settings = load(root, {"PYTHON_VERSION": "3.12"}, Flags(env=("D=flag",))).settings_for("a")

    assert (settings.port, settings.run_command, settings.build_command) == (1002, "own", "table")
    assert settings.env == {"A": "root", "B": "table", "C": "own", "D": "flag"}
    assert settings.secrets == ("ONE", "TWO")
    assert settings.images == {"node": "root.example/node"}
    assert {name: (version.value, version.source) for name, version in settings.versions.items()} == {
        "nodejs": ("20", "fleetpacks.toml"),
        "go": ("1.23", "a/fleetpacks.toml"),
        "python": ("3.12", "$PYTHON_VERSION"),
    }


_ARM, _AMD, _RISC = "linux/arm64", "linux/amd64", "linux/riscv64"


@pytest.mark.parametrize(
    ("root_said", "app_said", "variables", "flags", "expected"),
    [
        ((), (), {}, (), ()),
        ((_AMD, _ARM, _AMD), (), {}, (), (_AMD, _ARM)),
        ((_AMD, _ARM), (_RISC,), {}, (), (_RISC,)),
        ((_AMD, _ARM), (_RISC,), {"ARCH": "arm64"}, (), (_ARM,)),
        ((_AMD,), (), {"ARCH": "arm64"}, (f"{_RISC}, {_AMD}", _RISC), (_RISC, _AMD)),
    ],
    ids=["nobody", "the root", "the app", "the environment", "the command line"],
)
def test_whoever_comes_last_says_what_images_are_built_for(  # noqa: PLR0917 -- a table
    root: Path,
    root_said: tuple[str, ...],
    app_said: tuple[str, ...],
    variables: dict[str, str],
    flags: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    (root / "fleetpacks.toml").write_text(f"platforms = {list(root_said)}\n")
    (root / "a/fleetpacks.toml").write_text(f"platforms = {list(app_said)}\n")

    settings = load(root, variables, Flags(platforms=flags)).settings_for("a")

    assert settings.platforms == expected


@pytest.mark.parametrize("word", ["arm64", "linux/arm64/v8", "", "linux/amd64,", "windows/amd64", "linux/amd64\n/x"])
def test_what_is_no_platform_is_refused(root: Path, word: str) -> None:
    with pytest.raises(UsageError, match="--platform: expected a platform, such as linux/amd64"):
        load(root, {}, Flags(platforms=(word,)))


@pytest.mark.parametrize(
    ("root_said", "app_said", "invalidating"),
    [
        ('["A", "B"]', "[]", ()),
        ('["A", { name = "B", invalidates = true }]', '["C"]', ("B",)),
        ('[{ name = "A", invalidates = true }]', '["A"]', ("A",)),
        ('[{ name = "A", invalidates = true }]', '[{ name = "A", invalidates = false }]', ()),
        ('["A"]', '[{ name = "A", invalidates = true }]', ("A",)),
    ],
)
def test_a_secret_invalidates_where_that_was_said_last(
    root: Path, root_said: str, app_said: str, invalidating: tuple[str, ...]
) -> None:
    (root / "fleetpacks.toml").write_text(f"secrets = {root_said}\n")
    (root / "a/fleetpacks.toml").write_text(f"secrets = {app_said}\n")

    settings = load(root, {}).settings_for("a")

    assert settings.invalidating == invalidating
    assert set(invalidating) <= set(settings.secrets)


def test_a_key_that_could_be_guessed_is_refused_without_being_shown(root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(root, {"FLEETPACKS_HMAC_KEY": "short and known"})

    assert caught.value.message == "$FLEETPACKS_HMAC_KEY: expected at least 16 characters, got 15"
    assert "known" not in caught.value.hint
    assert load(root, {"FLEETPACKS_HMAC_KEY": f" {'k' * 16}\n"}).environment.hmac_key == b"k" * 16


def test_what_names_one_app_in_the_roots_file_is_not_inherited(root: Path) -> None:
    (root / "fleetpacks.toml").write_text('name = "shop"\nrun = "x"\nbuild = "y"\nlanguage = "go"\nport = 8080\n')

    config = load(root, {})
    below, at_root = config.settings_for("a"), config.settings_for(".")

    assert (below.run_command, below.build_command, below.language, below.port) == (None, None, None, 8080)
    assert (at_root.run_command, at_root.language) == ("x", "go")
    assert (config.name_for("a"), config.name_for(".")) == (None, "shop")


def test_packages_of_the_root_and_of_the_app_are_taken_together_and_the_last_health_check_counts(root: Path) -> None:
    (root / "fleetpacks.toml").write_text('apt = ["bc", "gcc"]\napt_run = ["jq"]\nhealthcheck = true\n')
    (root / "a/fleetpacks.toml").write_text('apt = ["gcc", "make=4.3-4.1"]\nhealthcheck = false\n')

    config = load(root, {})
    app, other = config.settings_for("a"), config.settings_for("b")

    assert (app.apt, app.apt_run, app.healthcheck) == (("bc", "gcc", "make=4.3-4.1"), ("jq",), False)
    assert (other.apt, other.apt_run, other.healthcheck) == (("bc", "gcc"), ("jq",), True)
    assert (app.own, other.own) == (("apt",), ())


def test_settings_of_many_apps_are_those_of_each(root: Path) -> None:
    (root / "fleetpacks.toml").write_text('port = 1000\nrun = "x"\n[apps.b]\nrun = "y"\n[apps.d]\nrun = "z"\n')
    (root / "a/fleetpacks.toml").write_text("port = 1001\n")
    config = load(root, {"PORT": ""})
    paths = (".", "a", "b", "c", "d", "e", ".", "a", "c")

    settings_for = EachSettings(config)
    made = {path: settings_for(path) for path in paths}

    assert made == {path: config.settings_for(path) for path in paths}
    assert made["c"] is made["e"]
    assert len({id(each) for each in made.values()}) == 5


def test_zero_configuration_is_the_languages_defaults(root: Path) -> None:
    settings = load(root, {}).settings_for("a")

    assert (settings.port, settings.cache_key, settings.language, settings.env) == (5000, "fleetpacks", None, {})


def test_variables_of_one_app_speak_only_of_a_sole_app(root: Path) -> None:
    variables = {
        "LANGUAGE": "nodejs",
        "RUN_COMMAND": "node x.js",
        "BUILD_COMMAND": "make",
        "DOCKERFILE_PATH": str(root / "a/docker/Dockerfile"),
        "PORT": "9000",
        "CACHE_KEY": "team",
    }
    config = load(root, variables)

    sole, one_of_many = config.settings_for("a", sole=True), config.settings_for("a")

    assert (sole.language, sole.run_command, sole.build_command) == ("nodejs", "node x.js", "make")
    assert sole.dockerfile == "docker/Dockerfile"
    assert (one_of_many.language, one_of_many.run_command, one_of_many.dockerfile) == (None, None, None)
    assert (one_of_many.port, one_of_many.cache_key) == (9000, "team")


def test_a_dockerfile_outside_of_the_app_is_refused(root: Path) -> None:
    config = load(root, {"DOCKERFILE_PATH": "../Dockerfile"})

    with pytest.raises(ConfigError, match=r"\$DOCKERFILE_PATH"):
        config.settings_for("a", sole=True)


@pytest.mark.parametrize("value", ["en_US:en", "en", "de_DE.UTF-8", "C", "en_GB:en_US:en", ""])
def test_a_locale_in_language_is_no_language(root: Path, value: str) -> None:
    assert load(root, {"LANGUAGE": value}).environment.language is None


@pytest.mark.parametrize("value", ["go", "nodejs", "python", "dockerfile", "fortran"])
def test_any_other_word_in_language_is_one(root: Path, value: str) -> None:
    assert load(root, {"LANGUAGE": value}).environment.language == value


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "0"}, r"\$PORT: expected a port"),
        ({"PORT": "65536"}, r"\$PORT"),
        ({"PORT": "٣"}, r"\$PORT"),
        ({"PORT": "5000 "}, r"\$PORT"),
        ({"TAG_LATEST": "maybe"}, r"\$TAG_LATEST: expected true or false, got 'maybe'"),
        ({"NO_CACHE": "2"}, r"\$NO_CACHE"),
        ({"PROJECT_PATH": "../x"}, r"\$PROJECT_PATH"),
        ({"PROJECT_PATH": "/x"}, r"\$PROJECT_PATH"),
    ],
)
def test_a_variable_with_an_impossible_value_is_named(root: Path, variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(root, variables)


@pytest.mark.parametrize(
    ("value", "meaning"), [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("", False)]
)
def test_a_switch_is_read_in_the_usual_words(root: Path, value: str, *, meaning: bool) -> None:
    config = load(root, {"NO_CACHE": value, "TAG_LATEST": value})

    assert (config.no_cache, config.tag_latest) == (meaning, meaning)


def test_flags_win_over_the_environment_and_that_over_the_operator(root: Path, tmp_path: Path) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text('image = "o.example/x"\njobs = 2\n[[hosts]]\nurl = "unix:///o"\n')
    variables = {"FLEETPACKS_CONFIG": str(operator), "HOME": "/h"}
    said = variables | {"OUTPUT_IMAGE": "e.example/x", "BUILDKIT_HOST": "unix:///e", "RESULT_FILE": "e.json"}
    flags = Flags(image="f.example/x", hosts=("unix:///f",), jobs=5, result_file=Path("f.json"))

    configs = [load(root, variables), load(root, said), load(root, said, flags)]

    assert [config.image and config.image.template for config in configs] == [
        "o.example/x",
        "e.example/x",
        "f.example/x",
    ]
    assert [config.image and config.image.source for config in configs[1:]] == ["$OUTPUT_IMAGE", "--image"]
    assert [config.hosts[0].url for config in configs] == ["unix:///o", "unix:///e", "unix:///f"]
    assert [config.hosts[0].source for config in configs[1:]] == ["$BUILDKIT_HOST", "--host"]
    assert [config.jobs for config in configs] == [2, 2, 5]
    assert [config.result_file for config in configs] == [None, Path("e.json"), Path("f.json")]
    assert configs[0].docker_config == Path("/h/.docker")


def test_several_hosts_are_a_pool(root: Path) -> None:
    config = load(root, {"BUILDKIT_HOST": "unix:///e"}, Flags(hosts=("unix:///a", "unix:///b")))

    assert [host.url for host in config.hosts] == ["unix:///a", "unix:///b"]


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (("A=1", "B="), {"A": "1", "B": ""}),
        (("FROM_HERE",), {"FROM_HERE": "value"}),
        (("A=x=y",), {"A": "x=y"}),
        (("ABSENT",), "no such variable"),
        (("1A=x",), "expected NAME"),
        (("=x",), "expected NAME"),
        (("é=x",), "expected NAME"),
    ],
)
def test_variables_of_the_command_line(root: Path, words: tuple[str, ...], result: dict[str, str] | str) -> None:
    try:
        outcome: dict[str, str] | str = dict(load(root, {"FROM_HERE": "value"}, Flags(env=words)).env)
    except UsageError as error:
        outcome = error.message

    assert result == outcome if isinstance(result, dict) else result in outcome


_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "Team/Shop",
    "GITHUB_SHA": "a" * 40,
    "GITHUB_REF_NAME": "main",
}
_GITLAB = {
    "GITLAB_CI": "true",
    "CI_REGISTRY_IMAGE": "registry.gitlab.com/team/shop",
    "CI_COMMIT_SHA": "b" * 40,
    "CI_COMMIT_REF_NAME": "feature/x",
}


@pytest.mark.parametrize(
    ("variables", "image", "branch", "revision"),
    [
        (_GITHUB, "ghcr.io/team/shop", "main", "a" * 40),
        (_GITHUB | {"GITHUB_REF_NAME": "12/merge", "GITHUB_HEAD_REF": "fix"}, "ghcr.io/team/shop", "fix", "a" * 40),
        (_GITHUB | {"GITHUB_SERVER_URL": "https://git.example"}, None, "main", "a" * 40),
        (_GITLAB, "registry.gitlab.com/team/shop", "feature/x", "b" * 40),
        (_GITLAB | {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "mr"}, "registry.gitlab.com/team/shop", "mr", "b" * 40),
        ({**_GITHUB, "GITHUB_ACTIONS": "false"}, None, None, None),
    ],
)
def test_a_ci_platform_speaks_when_nothing_is_said(
    root: Path, variables: dict[str, str], image: str | None, branch: str | None, revision: str | None
) -> None:
    config = load(root, variables)

    assert (config.image.template if config.image else None) == image
    assert config.image is None or not config.image.given
    assert (config.branch, config.revision) == (branch, revision)


_RUN = {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_RUN_ID": "17"}
_RUNNER = {"CI_PROJECT_URL": "https://gitlab.com/team/shop", "CI_RUNNER_ID": "4"}


@pytest.mark.parametrize(
    ("variables", "builder"),
    [
        (_GITHUB | _RUN, "https://git.example/Team/Shop/actions/runs/17/attempts/1"),
        (_GITHUB | _RUN | {"GITHUB_RUN_ATTEMPT": "3"}, "https://git.example/Team/Shop/actions/runs/17/attempts/3"),
        (_GITHUB, None),
        (_GITLAB | _RUNNER, "https://gitlab.com/team/shop/-/runners/4"),
        (_GITLAB | _RUNNER | {"CI_PROJECT_URL": "https://bob:pw@gitlab.com/team"}, None),
        (_GITLAB | _RUNNER | {"CI_RUNNER_ID": "4,mode=max"}, None),
        (_RUN | _RUNNER, None),
    ],
)
def test_a_ci_platform_says_who_builds_where_that_can_be_told_to_everybody(
    root: Path, variables: dict[str, str], builder: str | None
) -> None:
    assert load(root, variables).environment.ci.builder == builder


_PULL_REQUEST = {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_BASE_REF": "main"}
_PULL_REQUEST_TARGET = {"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "pull_request_target"}
_MERGE_REQUEST = {"CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}


@pytest.mark.parametrize(
    ("variables", "scopes"),
    [
        ({}, ()),
        (_GITHUB, ()),
        (_GITHUB | {"GITHUB_REF": "refs/heads/main"}, ("refs/heads/main",)),
        (_GITHUB | _PULL_REQUEST, ("refs/pull/7/merge", "refs/heads/main")),
        (_GITHUB | {"GITHUB_BASE_REF": "main"}, ()),
        (
            _GITHUB | _PULL_REQUEST_TARGET | {"GITHUB_BASE_REF": "main", "GITHUB_HEAD_REF": "main"},
            ("pull_request_target/main", "refs/heads/main"),
        ),
        (_GITHUB | {"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "workflow_run"}, ()),
        (_GITHUB | {"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "issue_comment"}, ()),
        (_GITLAB, ("refs/heads/feature/x",)),
        (_GITLAB | {"CI_DEFAULT_BRANCH": "main"}, ("refs/heads/feature/x", "refs/heads/main")),
        (_GITLAB | {"CI_DEFAULT_BRANCH": "feature/x"}, ("refs/heads/feature/x",)),
        (_GITLAB | {"CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1"}, ("refs/tags/v1",)),
        (_GITLAB | _MERGE_REQUEST, ("refs/merge-requests/7", "refs/heads/main")),
    ],
)
def test_a_pull_request_speaks_for_itself_and_trusts_the_branch_that_it_is_for(
    root: Path, variables: dict[str, str], scopes: tuple[str, ...]
) -> None:
    assert load(root, variables).environment.ci.scopes == scopes


@pytest.mark.parametrize(
    ("text", "force", "age"),
    [
        ("", False, 7 * 86_400.0),
        ("[skip]\nmax_age = '90m'", False, 5400.0),
        ("[skip]\nmax_age = '90m'", True, None),
        ("[skip]\nenabled = false", False, None),
    ],
)
def test_how_old_an_image_may_become(root: Path, text: str, *, force: bool, age: float | None) -> None:
    (root / "fleetpacks.toml").write_text(text)

    assert load(root, {}, Flags(force=force)).skip_age == age


@pytest.mark.parametrize("age", ["0s", "soon", "7", "7 d", ""])
def test_an_age_that_is_none_is_an_error(root: Path, age: str) -> None:
    (root / "fleetpacks.toml").write_text(f"[skip]\nmax_age = '{age}'")

    with pytest.raises(ConfigError, match=r"skip\.max_age"):
        load(root, {})


def test_what_is_said_wins_over_the_ci_platform(root: Path) -> None:
    config = load(root, _GITHUB | {"OUTPUT_IMAGE": "r.example/x"})

    assert config.image is not None
    assert (config.image.template, config.image.given) == ("r.example/x", True)


def test_git_gets_no_git_variables_of_ours(root: Path) -> None:
    variables = {"GIT_DIR": "/evil", "GIT_CONFIG_COUNT": "1", "GIT_SSH_COMMAND": "evil", "PATH": "/bin", "LC_ALL": "x"}

    clean = load(root, variables).environment.for_git()

    assert clean["PATH"] == "/bin"
    assert clean["GIT_ALLOW_PROTOCOL"] == "none"
    assert not {"GIT_DIR", "GIT_CONFIG_COUNT", "GIT_SSH_COMMAND"} & clean.keys()


@pytest.mark.parametrize("kind", ["absent", "file", "loop"])
def test_a_root_that_is_no_directory_is_a_usage_error(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("x")
    elif kind == "loop":
        root.symlink_to(root)

    with pytest.raises(UsageError):
        load(root, {})


@pytest.mark.parametrize(
    ("said", "flags", "epoch"),
    [
        ({}, Flags(), None),
        ({}, Flags(reproducible=True), "0"),
        ({"SOURCE_DATE_EPOCH": "1700000000"}, Flags(), "1700000000"),
        ({"SOURCE_DATE_EPOCH": "1700000000"}, Flags(reproducible=True), "1700000000"),
        ({"SOURCE_DATE_EPOCH": "0"}, Flags(), "0"),
        ({"SOURCE_DATE_EPOCH": ""}, Flags(), None),
    ],
)
def test_images_that_are_always_the_same_have_one_time(
    root: Path, said: dict[str, str], flags: Flags, epoch: str | None
) -> None:
    config = load(root, {**said, "BUILD_VARS": '{"MODE": "fast"}'}, flags)

    assert config.epoch == (None if epoch is None else int(epoch))
    told = {} if epoch is None else {"SOURCE_DATE_EPOCH": epoch}
    assert config.settings_for(".").arguments == {"MODE": "fast", **told}


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "999999999999", "\u0661"])
def test_a_time_that_is_no_count_of_seconds_is_an_error(root: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^\$SOURCE_DATE_EPOCH: expected seconds since 1970") as caught:
        load(root, {"SOURCE_DATE_EPOCH": text})

    assert "--reproducible" in caught.value.hint


def test_every_variable_of_a_version_speaks_of_one_language() -> None:
    languages = {language.NAME for language in LANGUAGES if language.VERSION_VARIABLES}

    # Erlang is no language of an app: Elixir runs on it.
    assert set(VERSION_VARIABLES.values()) == languages | {"erlang"}


def test_the_first_of_two_variables_of_one_language_counts(root: Path) -> None:
    both = load(root, {"OTP_VERSION": "26", "ERLANG_VERSION": "27"}).settings_for(".")
    one = load(root, {"OTP_VERSION": "26"}).settings_for(".")

    assert both.versions == {"erlang": Version(value="27", source="$ERLANG_VERSION")}
    assert one.versions == {"erlang": Version(value="26", source="$OTP_VERSION")}


def test_what_is_said_to_a_languages_tools_arrives_and_a_credential_in_it_does_not(root: Path) -> None:
    settings = load(root, {"MIX_ENV": "staging", "SBT_OPTS": "", "LEIN_PASSWORD": "x"}).settings_for(".")
    with pytest.raises(ConfigError, match=r"\$SBT_OPTS") as caught:
        load(root, {"SBT_OPTS": "-Drepository=https://me:hunter2@repository.example/"})

    assert settings.variables == {"MIX_ENV": "staging"}
    assert "hunter2" not in str(caught.value)


def test_the_environment_is_a_copy() -> None:
    with pytest.raises(TypeError):
        environment.read()["X"] = "y"  # type: ignore[index]  # that is the point


@pytest.mark.parametrize("name", sorted(schema.FILES))
def test_the_published_schema_is_the_structs_schema(name: str) -> None:
    published = (_SCHEMAS / name).read_text()

    assert published == schema.text(name), "run `poe schemas`"
    assert msgspec.json.decode(published)["$ref"]


def test_all_errors_have_a_hint(root: Path) -> None:
    (root / "fleetpacks.toml").write_text("x = 1\n")

    with pytest.raises(FleetpacksError) as caught:
        load(root, {})

    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (False, False, False)),
        ({"NO_COLOR": "0", "TERM": "xterm", "CI": "false"}, (True, False, False)),
        ({"NO_COLOR": "", "TERM": "dumb", "CI": "true"}, (False, True, True)),
        ({"TERM": "unknown", "CI": "woodpecker"}, (False, True, True)),
        ({"JENKINS_URL": "https://ci.example/"}, (False, False, True)),
        ({"TF_BUILD": "True"}, (False, False, True)),
    ],
)
def test_the_environment_says_what_a_terminal_may_be_shown(
    root: Path, variables: dict[str, str], expected: tuple[bool, bool, bool]
) -> None:
    said = load(root, variables).environment

    assert (said.no_color, said.dumb_terminal, said.in_ci) == expected


def test_annotations_and_the_summary_are_githubs_alone(root: Path) -> None:
    elsewhere = load(root, {"GITHUB_STEP_SUMMARY": "/s"}).environment.ci
    github = load(root, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/s"}).environment.ci

    assert (elsewhere.annotates, elsewhere.summary) == (False, None)
    assert (github.annotates, github.summary) == (True, Path("/s"))


def test_choices_of_languages_and_hardened_images_arrive(tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text('buildpacks = ["go", "nodejs"]\ncompose = "deploy/compose.yaml"\n')

    stated = load(tmp_path, {}).settings_for(".")
    told = load(
        tmp_path,
        {
            "BUILDPACKS": "miget/ruby, nodejs",
            "COMPOSE_FILE": str(tmp_path / "other.yaml"),
            "USE_DHI": "true",
            "DHI_MIRROR": "https://mirror.example/dhi/",
        },
    )

    assert (stated.buildpacks, stated.compose_file) == (("go", "nodejs"), "deploy/compose.yaml")
    assert (stated.hardened, stated.hardened_registry) == (False, "dhi.io")
    sole = told.settings_for(".", sole=True)
    assert (sole.buildpacks, sole.compose_file) == (("miget/ruby", "nodejs"), "other.yaml")
    assert told.settings_for(".").buildpacks == ("go", "nodejs")
    # Images are called what they are, wherever they come from.
    assert (sole.hardened, sole.hardened_registry) == (True, "dhi.io")
    assert told.image_mirrors == {"dhi.io": "mirror.example/dhi"}
    assert told.environment.sole_app_variables == ("BUILDPACKS", "COMPOSE_FILE")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('buildpacks = ["go", "cobol"]\n', "buildpacks[1]: unknown language 'cobol'"),
        ('compose = "../compose.yaml"\n', "compose: expected a file below the app's directory"),
    ],
)
def test_a_choice_that_cannot_be_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fleetpacks.toml").write_text(text)

    with pytest.raises(ConfigError, match=re.escape(message)):
        load(tmp_path, {})
