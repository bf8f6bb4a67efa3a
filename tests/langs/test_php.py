"""PHP: what is served and how, which release runs it, and what Composer reads before the sources are there."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import composer
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from tests.langs import splitter
from tests.langs.conftest import Write

INDEX = "<?php echo 1;\n"
LOCK = '{"packages": [], "platform": {}}'
SERVE = 'SERVER_NAME=":$PORT" frankenphp run --config /etc/frankenphp/Caddyfile --adapter caddyfile'


def app(**manifest: object) -> dict[str, str]:
    return {"composer.json": json.dumps(manifest), "composer.lock": LOCK, "public/index.php": INDEX}


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        (app(), "8.3", "default"),
        ({"index.php": INDEX}, "8.3", "default"),
        (app(require={"php": "8.4.1"}), "8.4.1", "composer.json require.php"),
        (app(require={"php": "~8.3.0"}), "8.3", "composer.json require.php"),
        (app(require={"php": "8.2.*"}), "8.2", "composer.json require.php"),
        (app(config={"platform": {"php": "8.2.12"}}), "8.2", "composer.json config.platform.php"),
        ({**app(require={"php": "8.4"}), ".php-version": "8.3.14\n"}, "8.3.14", ".php-version"),
        ({**app(), "composer.lock": '{"platform": {"php": "~8.2.0"}}'}, "8.2", "composer.lock platform.php"),
        ({**app(), ".tool-versions": "php 8.4.2\n"}, "8.4.2", ".tool-versions"),
    ],
)
def test_versions_are_taken_from_every_source(
    write: Write, files: Mapping[str, str], version: str, source: str
) -> None:
    built = langs.build(write(files), Settings())

    assert built.version == Version(value=version, source=source)
    assert f"FROM dunglas/frankenphp:php{version} AS runtime" in built.dockerfile


@pytest.mark.parametrize(
    ("require", "platform", "packages", "version"),
    [
        ("^8.2", None, [], "8.5"),
        ("^8.2", None, ["~8.2.0 || ~8.3.0", ">=7.4"], "8.3"),
        ("^8.2", "8.4.10", ["~8.2.0 || ~8.3.0 || ~8.4.0"], "8.4"),
        ("~8.3.0", "8.4.10", [], "8.3"),
        ("^8.2", None, ["^7.4"], "8.5"),
        ("^8.2", None, ["what"], "8.5"),
        ("8.3", None, ["^8.4"], "8.3"),
        (None, None, ["^8.1"], "8.3"),
        (None, None, [">=8.4"], "8.5"),
    ],
)
def test_a_range_becomes_the_newest_release_that_all_locked_packages_allow(
    write: Write, require: str | None, platform: str | None, packages: list[str], version: str
) -> None:
    files = app(require={"php": require} if require else {}, config={"platform": {"php": platform}} if platform else {})
    files["composer.lock"] = json.dumps({"packages": [{"name": "a/a", "require": {"php": text}} for text in packages]})

    built = langs.build(write(files), Settings())

    assert built.version is not None
    assert built.version.value == version


def test_a_release_without_images_is_an_error_or_comes_from_an_image_that_has_it(write: Write) -> None:
    root = write(app(require={"php": "7.4.33"}))

    with pytest.raises(LangError, match=r"8\.2 and later") as raised:
        langs.build(root, Settings())
    built = langs.build(root, Settings(images={"dunglas/frankenphp": "registry.example/php:7.4"}))

    assert raised.value.file == "composer.json"
    assert "FROM registry.example/php:7.4 AS builder" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "root"),
    [
        (app(), "/app/public"),
        ({"composer.json": "{}", "composer.lock": LOCK, "web/index.php": INDEX}, "/app/web"),
        ({"composer.json": "{}", "composer.lock": LOCK, "index.php": INDEX}, "/app"),
        ({"index.php": INDEX}, "/app"),
        ({**app(), "index.php": INDEX}, "/app/public"),
        ({**app(extra={"public-dir": "html"}), "html/index.php": INDEX}, "/app/html"),
        ({**app(), "docs/index.php": INDEX, "Procfile": "web: vendor/bin/heroku-php-apache2 docs/\n"}, "/app/docs"),
        ({**app(), "Procfile": "web: heroku-php-nginx -C nginx.conf public/\n"}, "/app/public"),
    ],
)
def test_the_document_root_is_found(write: Write, files: Mapping[str, str], root: str) -> None:
    built = langs.build(write(files), Settings())

    assert built.start_command == SERVE
    assert f'ENV SERVER_ROOT="{root}"' in built.dockerfile
    assert ("EXPOSE", "5000") in splitter.split(built.dockerfile)


def test_composer_installs_before_the_sources_are_there_and_finishes_with_them(write: Write) -> None:
    text = langs.build(write(app(require={"ext-gd": "*", "ext-json": "*"})), Settings()).dockerfile

    positions = [
        text.index(part)
        for part in (
            "install-php-extensions gd",
            "COPY composer.json composer.lock ./",
            "composer install --no-dev --no-scripts --no-autoloader",
            "COPY . .",
            "composer install --no-dev --optimize-autoloader",
            "FROM dunglas/frankenphp:php8.3 AS runtime",
            "RUN install-php-extensions gd opcache",
            "COPY --from=builder --chown=1000:1000 /app ./",
        )
    ]
    assert positions == sorted(positions)
    assert "COPY --from=composer /usr/bin/composer /usr/bin/composer" in text


def test_frankenphp_runs_as_anybody_on_a_read_only_root(write: Write) -> None:
    text = langs.build(write(app()), Settings()).dockerfile

    assert "setcap -r /usr/local/bin/frankenphp" in text
    assert "ENV XDG_CONFIG_HOME=/tmp XDG_DATA_HOME=/tmp" in text
    # The image shows a page of its own there, with all of phpinfo().
    assert text.count("rm -rf /app/public") == 2


def test_another_server_needs_nothing_of_frankenphp(write: Write) -> None:
    built = langs.build(write({**app(), "Procfile": "web: php -S 0.0.0.0:$PORT -t public\n"}), Settings())

    assert "setcap" not in built.dockerfile
    assert "opcache" not in built.dockerfile
    assert built.start_command == "php -S 0.0.0.0:$PORT -t public"


def test_extensions_come_from_the_manifest_and_every_locked_package(write: Write) -> None:
    lock: dict[str, object] = {
        "packages": [{"name": "a/a", "require": {"ext-intl": "*", "php": ">=8.1"}}, {"name": "b/b", "require": []}],
        "packages-dev": [{"name": "c/c", "require": {"ext-xdebug": "*"}}],
        "platform": {"ext-zend-opcache": "*"},
    }
    files = {**app(require={"ext-Redis": "*", "ext-mbstring": "*", "ext-pdo": "*"}), "composer.lock": json.dumps(lock)}

    manifest = composer.read_locked(AppFiles(write(files)))

    assert manifest is not None
    assert manifest.extensions == ("intl", "opcache", "redis")


def test_packages_in_the_app_are_copied_as_composer_needs_them(write: Write) -> None:
    repositories = [
        {"type": "path", "url": "packages/*"},
        {"type": "path", "url": "./copied", "options": {"symlink": False}},
        {"packagist.org": False},
        {"type": "vcs", "url": "https://example.org/x.git"},
    ]
    files = {
        **app(repositories=repositories),
        "packages/money/composer.json": "{}",
        "packages/money/src/Money.php": "<?php",
        "copied/composer.json": "{}",
    }

    text = langs.build(write(files), Settings()).dockerfile

    before = text[: text.index("COPY . .")]
    assert "COPY packages/money/composer.json ./packages/money/" in before
    assert "COPY copied ./copied/" in before
    assert "Money.php" not in before


def test_laravel_writes_below_tmp_only_and_holds_no_key(write: Write) -> None:
    files = {
        **app(require={"laravel/framework": "^12.0"}),
        "artisan": "#!/usr/bin/env php\n",
        ".env": "APP_KEY=secret\n",
    }

    built = langs.build(write(files), Settings())

    assert built.start_command is not None
    assert built.start_command.startswith("mkdir -p /tmp/storage/app ")
    assert built.start_command.endswith(SERVE)
    assert "LARAVEL_STORAGE_PATH=/tmp/storage" in built.dockerfile
    assert "secret" not in built.dockerfile
    assert built.dockerignore is not None
    assert "**/.env" in built.dockerignore.splitlines()
    assert "Laravel" in {evidence.reason for evidence in built.evidence}


def test_symfony_is_built_for_production_with_its_committed_defaults(write: Write) -> None:
    files = {
        **app(require={"symfony/framework-bundle": "7.*"}),
        "bin/console": "",
        "symfony.lock": "{}",
        ".env": "A=1\n",
    }

    built = langs.build(write(files), Settings())

    assert built.dockerfile.count("APP_ENV=prod") == 2
    assert "COPY composer.json composer.lock symfony.lock ./" in built.dockerfile
    assert built.dockerignore is not None
    lines = built.dockerignore.splitlines()
    assert lines.index("!.env") > lines.index("**/.env")
    assert "!.env.local" not in lines


def test_an_own_caddyfile_is_used_and_must_read_the_port(write: Write) -> None:
    deaf = langs.build(write({**app(), "Caddyfile": ":80 {\n}\n"}), Settings())
    listening = langs.build(write({**app(), "Caddyfile": "{$SERVER_NAME} {\n}\n"}), Settings())

    assert deaf.start_command is not None
    assert "--config /app/Caddyfile" in deaf.start_command
    assert deaf.warnings == ("Caddyfile does not read $PORT: let its site address be {$SERVER_NAME}",)
    assert listening.warnings == ()


def test_credentials_of_composer_are_a_secret_and_never_a_file(write: Write) -> None:
    root = write({**app(), "auth.json": '{"http-basic": {"a": {"password": "hunter2"}}}'})

    open_ = langs.build(root, Settings())
    declared = langs.build(root, Settings(secrets=("COMPOSER_AUTH",)))

    assert open_.dockerignore is not None
    assert "auth.json" in open_.dockerignore.splitlines()
    assert any("COMPOSER_AUTH" in warning for warning in open_.warnings)
    assert declared.warnings == ()
    assert 'export COMPOSER_AUTH="$(cat /run/secrets/COMPOSER_AUTH)"' in declared.dockerfile
    assert "hunter2" not in open_.dockerfile + declared.dockerfile


def test_an_app_without_composer_is_copied_as_it_is(write: Write) -> None:
    built = langs.build(write({"index.php": INDEX, "vendor/lib.php": "<?php"}), Settings())

    assert "composer install" not in built.dockerfile
    assert "AS composer" not in built.dockerfile
    assert "builder-php" not in built.dockerfile
    assert built.dockerignore is not None
    assert "vendor" not in built.dockerignore.splitlines()


@pytest.mark.parametrize(
    ("files", "is_app"),
    [
        (app(), True),
        ({"composer.json": '{"type": "library"}', "src/A.php": INDEX}, False),
        ({"composer.json": '{"type": "library"}', "index.php": INDEX}, False),
        ({"composer.json": "{}"}, False),
        ({"composer.json": '{"type": "library"}', "Procfile": "web: php server.php\n"}, True),
    ],
)
def test_an_app_has_a_front_controller_or_says_what_it_runs(
    write: Write, files: Mapping[str, str], *, is_app: bool
) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == ("php", is_app)


@pytest.mark.parametrize(
    "files",
    [
        {"composer.json": "[]"},
        {"composer.json": "{"},
        {"composer.json": "{" * 5000},
        {"composer.json": '{"require": {"php": "8.3\\nRUN evil"}}'},
        {"composer.json": '{"require": {"php": "$(id)"}}'},
        {"composer.json": '{"config": []}', ".php-version": "8.3; id"},
        {"composer.json": '{"config": {"platform": {"php": "{{ 7 }}"}}}'},
        {"composer.json": '{"extra": {"public-dir": "../../etc"}}'},
        {"composer.json": '{"extra": {"public-dir": ["x"]}}'},
        {"composer.json": '{"repositories": [{"type": "path", "url": "../lib"}]}'},
        {"composer.json": '{"repositories": [{"type": "path", "url": 1}]}'},
        {"composer.json": "{}", "composer.lock": "junk"},
    ],
)
def test_hostile_manifests_are_clear_errors(write: Write, files: Mapping[str, str]) -> None:
    with pytest.raises(LangError) as raised:
        langs.build(write({"public/index.php": INDEX, **files}), Settings())

    assert raised.value.hint


@pytest.mark.parametrize("name", ["ext-a b", "ext-$(id)", "ext-x\nRUN evil", "ext-", "ext--x"])
def test_what_is_no_extension_is_not_installed(write: Write, name: str) -> None:
    text = langs.build(write(app(require={name: "*"})), Settings()).dockerfile

    assert "install-php-extensions opcache" in text
    assert splitter.keywords(text).count("RUN") == splitter.keywords(
        langs.build(write(app()), Settings()).dockerfile
    ).count("RUN")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["php", "type", "url", "ext-gd", "x"]), inner)
    ),
    max_leaves=8,
)
KEYS = ["name", "type", "require", "config", "extra", "repositories", "packages", "platform", "platform-overrides"]


@given(manifest=st.dictionaries(st.sampled_from(KEYS), JSON), lock=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_the_manifests_say_there_is_an_answer_or_a_clear_error(
    manifest: dict[str, object], lock: dict[str, object]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "composer.json").write_text(json.dumps(manifest), encoding="utf-8")
        Path(directory, "composer.lock").write_text(json.dumps(lock), encoding="utf-8")
        try:
            found = composer.read_locked(AppFiles(Path(directory)))
        except LangError as error:
            refused = error
            assert refused.file in {"composer.json", "composer.lock"}
        else:
            assert found is not None
            assert found.locked
