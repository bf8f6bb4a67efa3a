"""What looks like a credential never becomes a variable of an image."""

import time
from pathlib import Path

import pytest

from orchestrator.config import Flags, credentials, load
from orchestrator.errors import ConfigError, UsageError

_GITHUB = "ghp_" + "a" * 36
_NAMES = (
    *("DOCKER_AUTH_CONFIG", "COMPOSER_AUTH", "NPM_CONFIG__AUTH", "NPM_AUTHTOKEN", "PGPASSWORD", "MYSQL_PWD", "DB_PASS"),
    *("SECRET_KEY_BASE", "SHOP_SECRET_KEY_BASE", "GH_PAT", "OPENAI_APIKEY", "SIGNING_PASSPHRASE", "SENTRY_DSN"),
    *(
        "BUNDLE_GEMS__CONTRIBSYS__COM",
        "BUNDLE_GEM__FURY__IO",
        "BUNDLE_MY___HOST__EXAMPLE",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ),
)
_REFERENCES = ("$(cat /run/x)", "$(DB_PASSWORD)", "$db_pass", "$DB_PASSWORD2", '"$X"', "{{ x }}", '""', "$$X", "${X}")
_NO_NAMES = (
    *("COMPASS", "BYPASS", "TOKENIZER", "TOKENIZERS_PARALLELISM", "MAX_TOKENS", "SECRETARY", "PASSWORDLESS", "PWD"),
    *("OLDPWD", "AUTHOR", "AUTH_URL", "OAUTH", "GIT_ASKPASS", "PATH", "PASSENGER_APP_ENV", "NEXT_PUBLIC_SENTRY_DSN"),
    *("BUNDLE_PATH__SYSTEM", "BUNDLE_BUILD__NOKOGIRI", "BUNDLE_LOCAL__RACK", "BUNDLE_GEM__TEST", "BUNDLE_PATH"),
)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("NPM_TOKEN", "x", "name"),
        ("npm_token", "x", "name"),
        ("TOKEN", "x", "name"),
        ("DB_PASSWORD", "x", "name"),
        ("AWS_REGION", "x", "name"),
        ("DHI_USERNAME", "x", "name"),
        ("DOCKER_CONFIG", "x", "name"),
        ("STRIPE_API_KEY", "x", "name"),
        ("DATABASE_URL", "postgres://u:p@db.example/x", "URL with a password"),
        ("ANY", _GITHUB, "GitHub token"),
        ("ANY", f"prefix {_GITHUB} suffix", "GitHub token"),
        ("VITE_X", _GITHUB, "GitHub token"),
        ("ANY", "AKIA" + "A" * 16, "AWS access key"),
        ("ANY", "-----BEGIN RSA PRIVATE KEY-----\n", "private key"),
        *((name, "x", "name") for name in _NAMES),
        ("VITE_X", "redis://:a/b@cache.example/0", "URL with a password"),
        ("ANY", "redis://:a/b@cache.example/0", "URL with a password"),
        ("ANY", "amqp://u:a/b@mq.example", "URL with a password"),
        ("ANY", "postgres://u:p1/b!@db.example/x", "URL with a password"),
        ("ANY", "jdbc:mysql://db.example/x?user=u&password=hunter2", "text with a password"),
        ("ANY", "Server=db;User Id=sa;Password=hunter2;", "text with a password"),
        ("ANY", "Server=db;Uid=sa;Pwd=hunter2;", "text with a password"),
        ("ANY", "-Djavax.net.ssl.trustStorePassword=changed1", "text with a password"),
        ("ANY", "jdbc:mysql://db.example/x?password='hunter2'", "text with a password"),
        ("SENTRY_DSN", "https://0123@o1.ingest.example/2", "name"),
        ("ANY", "AccountName=a;AccountKey=bm90IG9uZQ==;", "text with a password"),
        ("ANY", "u:p@tcp(db.example:3306)/x", "address with a password"),
        ("ANY", '{"auths": {"r.example": {"auth": "dTpodW50ZXIy"}}}', "registry's login"),
        *((name, "x", None) for name in _NO_NAMES),
        ("ENABLE_AUTH", "true", None),
        ("SBT_OPTS", "-Xmx2g -Djavax.net.ssl.trustStorePassword=changeit", None),
        *(("STARTED_BY", f"app --password={each} --x", None) for each in _REFERENCES),
        ("SETTINGS", '{"auth": "required", "sso": {"auth": "keycloak"}, "at": {"auth": "/api/auth/login"}}', None),
        ("NGINX_PROXY_PASS", "http://api:3000/x", None),
        ("DB_DSN", "sqlite:///app.db", None),
        ("BUILD_PWD", "/work", None),
        ("SMTP_AUTH", "login", None),
        ("BUNDLE_GITHUB__HTTPS", "true", None),
        ("BY_PASS", "off", None),
        ("BUNDLE_WITHOUT", "development:test", None),
        ("API_URL", "http://api.example:8080/@scope/x", None),
        ("API_URL", "http://${HOST}:${PORT}/@scope/x", None),
        ("API_URL", "http://[::1]:8080/@scope/x", None),
        ("BROKERS", "kafka://a.example:9092,b.example:9092/x@y", None),
        ("RESET", "https://app.example/?reset_password=true", None),
        ("DSN_TEMPLATE", "postgres://db/x?password=${DB_PASSWORD}", None),
        ("SETTINGS", '{"auth": {"kind": "none"}, "url": "http://a.example"}', None),
        ("CONTACTS", '{"url": "http://a.example:80/x", "mail": "a@b.example"}', None),
        ("VITE_API_KEY", "x", None),
        ("NEXT_PUBLIC_STRIPE_KEY", "pk_live_x", None),
        ("CACHE_KEY", "x", None),
        ("KEYBOARD", "x", None),
        ("MONKEY", "x", None),
        ("NODE_OPTIONS", "--max-old-space-size=512", None),
        ("API_URL", "https://api.example/x:y@z", None),
        ("DATABASE_URL", "postgres://u@db.example/x", None),
    ],
)
def test_a_shape_beats_a_public_prefix_and_that_a_name(name: str, value: str, why: str | None) -> None:
    found = credentials.reason(name, value)

    assert found is None if why is None else why in (found or "")
    assert value == "x" or value not in (found or "")


def test_a_password_with_a_slash_is_masked_in_any_text() -> None:
    said = "connecting to redis://:a/b@cache.example/0 and http://api.example:8080/@scope/x"

    masked = credentials.masked(said)

    assert masked == "connecting to redis://***@cache.example/0 and http://api.example:8080/@scope/x"


@pytest.mark.parametrize(
    "token",
    [
        *(f"gh{kind}_{'a' * 36}" for kind in "pousr"),
        *("github_pat_" + "a" * 22, "glpat-" + "a" * 20, "AKIA" + "A" * 16, "ASIA" + "A" * 16, "npm_" + "a" * 36),
        *("pypi-" + "a" * 50, *(f"xox{kind}-{'a' * 10}" for kind in "abeoprs")),
        *("sk_live_" + "a" * 16, "rk_live_" + "a" * 16, f"eyJ{'a' * 10}.eyJ{'a' * 10}.{'a' * 20}"),
        *('"auth": "dTpodW50ZXIy"', '\\"auth\\": \\"dTpodW50ZXIy\\"'),
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_has_the_shape_of_a_token_is_masked_in_any_text(token: str) -> None:
    assert credentials.masked(f"before {token} after") == "before *** after"


@pytest.mark.parametrize("word", ["a-", "a.b:", "a://x:yy", "a://:yy/", "x:y", '"auth": ', "password="])
def test_a_long_text_is_searched_in_no_time(word: str) -> None:
    text = word * (100_000 // len(word))
    begun = time.monotonic()

    credentials.masked(text)
    credentials.reason("ANY", text)

    # Half a second at most; it takes ten and more where each place is compared with all that follows.
    assert time.monotonic() - begun < 4


def test_a_credential_in_the_repositorys_file_is_refused_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text(f'[env]\nX = "{_GITHUB}"\n')

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert caught.value.message.startswith("fleetpacks.toml:2: env.X: its value looks like a GitHub token")
    assert _GITHUB not in caught.value.message + caught.value.hint
    assert 'secrets = ["X"]' in caught.value.hint


def test_a_credential_on_the_command_line_is_refused_without_its_value(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, {"NPM_TOKEN": "hunter2"}, Flags(env=("NPM_TOKEN",)))

    assert caught.value.message.startswith("--env NPM_TOKEN: its name is one of a credential")
    assert "hunter2" not in caught.value.message + caught.value.hint
