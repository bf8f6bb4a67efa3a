"""Django's own server: where a project's program and its database lie, and what they need to start."""

import pytest

import langs
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write
from tests.langs.test_django import APPS, FILES, KEY, MANAGE, ROOT, collects

BASE = "BASE_DIR = Path(__file__).resolve().parent.parent\n"
SQLITE = '"ENGINE": "django.db.backends.sqlite3"'
NAMED = f'DATABASES = {{"default": {{{SQLITE}, "NAME": BASE_DIR / "db.sqlite3"}}}}\n'
ALONE = {**FILES, "requirements.txt": "django\n", "shop/__init__.py": ""}
SERVE = "python manage.py runserver --noreload 0.0.0.0:$PORT"


def named(name: str) -> str:
    return NAMED.replace('BASE_DIR / "db.sqlite3"', name)


def test_a_new_project_finds_its_database_and_migrates_it_where_it_can(write: Write) -> None:
    built = langs.build(write({**ALONE, "shop/settings.py": BASE + NAMED}), Settings())

    assert built.start_command == f"[ -w db.sqlite3 ] && python manage.py migrate --noinput; {SERVE}"
    assert [each for each in built.warnings if "gunicorn" in each and "db.sqlite3" in each]
    builder, _, runtime = built.dockerfile.rpartition("\nFROM ")
    assert splitter.split(builder).index(("RUN", "touch db.sqlite3")) > splitter.split(builder).index(("COPY", ". ."))
    lines = [line for line in runtime.splitlines() if line.startswith(("COPY", "WORKDIR"))]
    assert lines == [
        "COPY --from=install --chown=1000:1000 /app/.venv /app/.venv",
        "COPY --from=builder --chown=1000:1000 /app /app/",
        "WORKDIR /app",
    ]


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        (BASE + named('os.path.join(BASE_DIR, "db.sqlite3")'), "db.sqlite3"),
        (BASE + named('str(BASE_DIR / "data" / "shop.db")'), "data/shop.db"),
        (BASE + named('BASE_DIR.joinpath("data", "shop.db")'), "data/shop.db"),
        ("BASE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n" + NAMED, "db.sqlite3"),
        ("BASE_DIR = Path(__file__).parents[1].absolute()\n" + NAMED, "db.sqlite3"),
        ("ROOT = Path(__file__).parent\nBASE_DIR = ROOT\n" + NAMED, "shop/db.sqlite3"),
        (named('"db.sqlite3"'), "db.sqlite3"),
        (named('"/app/db.sqlite3"'), "db.sqlite3"),
        (named('"/data/db.sqlite3"'), None),
        (named('"../db.sqlite3"'), None),
        (named('":memory:"'), None),
        (named('"a b.sqlite3"'), None),
        (named('"db\\nUSER 0"'), None),
        (named('"$(id)"'), None),
        (named('"shop"'), None),
        (named('os.environ["NAME"]'), None),
        ("BASE_DIR = Path(__file__).parent.parent.parent\n" + NAMED, None),
        ("BASE_DIR = BASE_DIR / BASE_DIR\n" + NAMED, None),
        ("".join(f"A{index} = A{index + 1} / A{index + 1}\n" for index in range(99)) + named("A0"), None),
        (BASE + NAMED.replace("sqlite3", "postgresql", 1), None),
        (BASE + NAMED + 'if live:\n    DATABASES["default"] = {}\n', None),
        (BASE + "if live:\n    " + NAMED, None),
        ("DATABASES = {}\n", None),
        ("DATABASES = {**more}\n", None),
        ("DATABASES = other()\n", None),
        ("(" * 5000, None),
    ],
)
def test_a_database_is_found_where_it_lies_in_the_app(write: Write, settings: str, file: str | None) -> None:
    built = langs.build(write({**ALONE, "shop/settings.py": settings}), Settings())

    start = f"[ -w {file} ] && python manage.py migrate --noinput; {SERVE}" if file else SERVE
    assert built.start_command == start
    assert [step for step in splitter.split(built.dockerfile) if "touch" in step[1]] == (
        [("RUN", f"mkdir -p {file.rpartition('/')[0]} && touch {file}" if "/" in file else f"touch {file}")]
        if file
        else []
    )


def test_settings_of_several_modules_say_where_the_database_is(write: Write) -> None:
    manage = MANAGE.replace("shop.settings", "shop.settings.local")
    files = {"shop/settings/__init__.py": "", "shop/settings/local.py": "from .base import *\n" + NAMED}
    base = "BASE_DIR = Path(__file__).resolve().parent.parent.parent\n"

    built = langs.build(write({**ALONE, **files, "manage.py": manage, "shop/settings/base.py": base}), Settings())

    assert "RUN touch db.sqlite3\n" in built.dockerfile


@pytest.mark.parametrize(
    "settings",
    [
        Settings(run_command="gunicorn shop.wsgi"),
        Settings(run_command=SERVE),
        Settings(env={"DJANGO_SETTINGS_MODULE": "shop.live"}),
    ],
    ids=["another server", "the same, said", "other settings"],
)
def test_a_database_is_left_alone_where_it_is_not_asked_for(write: Write, settings: Settings) -> None:
    root = write({**ALONE, "shop/settings.py": BASE + NAMED, "shop/live.py": ""})

    built = langs.build(root, settings)

    assert "touch" not in built.dockerfile
    assert "migrate" not in (built.start_command or "")


@pytest.mark.parametrize(
    "settings",
    [Settings(hardened=True), Settings(images={"python": "gcr.io/distroless/python3:latest"})],
    ids=["hardened", "distroless"],
)
def test_without_a_shell_nothing_is_migrated(write: Write, settings: Settings) -> None:
    built = langs.build(write({**ALONE, "shop/settings.py": BASE + NAMED}), settings)

    assert built.start_command == SERVE
    assert "RUN touch db.sqlite3\n" in built.dockerfile


@pytest.mark.parametrize(
    ("requirements", "start"),
    [
        ("django\ngunicorn\n", "gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application"),
        (
            "django\n",
            (
                "[ -w backend/db.sqlite3 ] && python backend/manage.py migrate --noinput; python backend/manage.py "
                "runserver --noreload 0.0.0.0:$PORT"
            ),
        ),
    ],
)
def test_a_project_may_lie_in_a_directory_below(write: Write, requirements: str, start: str) -> None:
    files = {f"backend/{name}": text for name, text in ALONE.items() if name != "requirements.txt"}
    said = APPS + KEY + BASE + ROOT + NAMED
    root = write({**files, "requirements.txt": requirements, "backend/shop/settings.py": said})

    built = langs.build(root, Settings())

    assert built.start_command == start
    (step,) = collects(built.dockerfile)
    assert step.endswith(
        "DJANGO_SETTINGS_MODULE=shop.settings /app/.venv/bin/python backend/manage.py collectstatic --noinput"
    )
    assert "ENV PYTHONPATH=/app/backend\n" in built.dockerfile
    assert "backend/manage.py" in {evidence.file for evidence in built.evidence}


def test_a_project_below_whose_settings_cannot_be_read_is_warned_of(write: Write) -> None:
    files = {f"backend/{name}": text for name, text in FILES.items() if name != "requirements.txt"}
    computed = APPS + 'STATIC_ROOT = os.environ["PLACE"]\n'
    root = write(
        {
            **files,
            "requirements.txt": "django\ngunicorn\n",
            "backend/shop/__init__.py": "",
            "backend/shop/settings.py": computed,
        }
    )

    built = langs.build(root, Settings())

    assert not collects(built.dockerfile)
    assert [each for each in built.warnings if "static files are not collected" in each]
