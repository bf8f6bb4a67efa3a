"""Django's static files: collected while the image is built, where the settings' text shows that it can be done."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import wsgi
from langs.errors import LangError
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
APPS = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\n'
KEY = 'SECRET_KEY = "x"\n'
ROOT = 'STATIC_ROOT = BASE_DIR / "collected"\n'
FILES = {"requirements.txt": "django\ngunicorn\n", "manage.py": MANAGE, "shop/wsgi.py": WSGI}


def collects(text: str) -> list[str]:
    """The steps that collect."""
    return [rest for keyword, rest in splitter.split(text) if keyword == "RUN" and "collectstatic" in rest]


@pytest.mark.parametrize(
    ("root", "collected"),
    [
        ('STATIC_ROOT = BASE_DIR / "collected"', True),
        ('STATIC_ROOT: str = os.path.join(BASE_DIR, "a", "b")', True),
        ('STATIC_ROOT = str(BASE_DIR.joinpath("collected"))', True),
        ('STATIC_ROOT = "collected"', True),
        ('STATIC_ROOT = "/app/collected"', True),
        ('STATIC_ROOT = ""', False),
        ("STATIC_ROOT = None", False),
        ('STATIC_ROOT = "/var/www/static"', False),
        ('STATIC_ROOT = BASE_DIR.parent / "collected"', False),
        ('STATIC_ROOT = os.path.join(BASE_DIR, "../collected")', False),
        ('STATIC_ROOT = os.getenv("STATIC_ROOT", "collected")', False),
        ('STATIC_ROOT = os.environ["STATIC_ROOT"]', False),
        ('STATIC_ROOT = "a" if DEBUG else "/b"', False),
        ('if not DEBUG:\n    STATIC_ROOT = "a"', False),
        ("", False),
    ],
)
def test_static_files_are_collected_into_a_directory_of_the_app(write: Write, root: str, *, collected: bool) -> None:
    built = langs.build(write({**FILES, "shop/settings.py": APPS + KEY + root}), Settings())

    assert bool(collects(built.dockerfile)) is collected


def test_static_files_are_collected_after_the_build_and_before_the_runtime_image(write: Write) -> None:
    root = write({**FILES, "shop/settings.py": APPS + KEY + ROOT})

    text = langs.build(root, Settings(build_command="make front")).dockerfile

    places = [text.index(part) for part in ("COPY . .", "make front", "collectstatic --noinput", "AS runtime")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ('SECRET_KEY = os.environ["SHOP_KEY"]', {"SECRET_KEY", "SHOP_KEY"}),
        ('SECRET_KEY = os.environ.get("SHOP_KEY")', {"SECRET_KEY", "SHOP_KEY"}),
        ('SECRET_KEY = env.str("SHOP_KEY")', {"SECRET_KEY", "SHOP_KEY"}),
        ('SECRET_KEY = config("SECRET_KEY")', {"SECRET_KEY"}),
        ('SECRET_KEY = "$(id)"', {"SECRET_KEY"}),
        ('SECRET_KEY = os.getenv("A\\nUSER 0")', {"SECRET_KEY"}),
    ],
)
def test_a_secret_key_is_made_up_for_the_step_and_stands_nowhere_else(write: Write, key: str, names: set[str]) -> None:
    text = langs.build(write({**FILES, "shop/settings.py": APPS + key + "\n" + ROOT}), Settings()).dockerfile

    (step,) = collects(text)
    assert set(re.findall(r"(\S+)=made-up", step)) == names
    assert text.count("=made-up") == step.count("=made-up")
    assert "ENV SECRET" not in text


def test_a_key_that_is_a_declared_secret_is_not_made_up(write: Write) -> None:
    root = write({**FILES, "shop/settings.py": APPS + 'SECRET_KEY = os.environ["SHOP_KEY"]\n' + ROOT})

    text = langs.build(root, Settings(secrets=("SHOP_KEY",))).dockerfile

    (step,) = collects(text)
    assert "SHOP_KEY=made-up" not in step
    assert 'export SHOP_KEY="$(cat /run/secrets/SHOP_KEY)"' in step


@pytest.mark.parametrize(
    ("line", "variable"),
    [
        ('A = os.environ["PLACE"]', "PLACE"),
        ('A = env("PLACE")', "PLACE"),
        ('A = {"x": env.int("PLACE")}', "PLACE"),
        ('A = config("PLACE", cast=int)', "PLACE"),
        ('A = os.environ.get("PLACE")', None),
        ('A = env("PLACE", default=1)', None),
        ('A = config("PLACE", default="x")', None),
        ('env = environ.Env(PLACE=(bool, False))\nA = env("PLACE")', None),
        ('if DEBUG:\n    A = os.environ["PLACE"]', None),
        ('def a():\n    return os.environ["PLACE"]', None),
    ],
)
def test_settings_that_need_a_variable_are_left_alone_until_it_is_given(
    write: Write, line: str, variable: str | None
) -> None:
    root = write({**FILES, "shop/settings.py": APPS + KEY + ROOT + line + "\n"})

    bare = langs.build(root, Settings())
    given = langs.build(root, Settings(env={"PLACE": "here"}))

    assert bool(collects(bare.dockerfile)) is (variable is None)
    assert any(f"need ${variable}" in warning for warning in bare.warnings) is (variable is not None)
    assert collects(given.dockerfile)
    assert not given.warnings


@pytest.mark.parametrize(
    ("files", "settings", "module"),
    [
        ({"shop/settings.py": APPS + ROOT}, Settings(), "shop.settings"),
        (
            {
                "shop/wsgi.py": MANAGE.replace("shop.settings", "shop.live") + WSGI,
                "shop/live.py": "from .base import *\n",
                "shop/base.py": APPS + ROOT,
            },
            Settings(),
            "shop.live",
        ),
        (
            {
                "manage.py": 'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings.live"\n',
                "shop/settings/__init__.py": "",
                "shop/settings/live.py": "from shop.settings.base import *\n" + APPS,
                "shop/settings/base.py": "from . import *\nfrom .live import *\n" + ROOT,
            },
            Settings(),
            "shop.settings.live",
        ),
        ({"a/b.py": APPS + ROOT}, Settings(env={"DJANGO_SETTINGS_MODULE": "a.b"}), "a.b"),
        ({"shop/settings.py": APPS + ROOT}, Settings(env={"DISABLE_COLLECTSTATIC": "1"}), None),
        ({"shop/settings.py": APPS + ROOT}, Settings(env={"DJANGO_SETTINGS_MODULE": "a; id"}), None),
        ({"shop/settings.py": ROOT}, Settings(), None),
        (
            {"shop/settings.py": "from .base import *\nSTATIC_ROOT = None\n", "shop/base.py": APPS + ROOT},
            Settings(),
            None,
        ),
        (
            {"shop/settings.py": APPS + ROOT + 'STATICFILES_STORAGE = "storages.backends.s3boto3.S3Boto3Storage"\n'},
            Settings(),
            None,
        ),
        (
            {"shop/settings.py": APPS + ROOT + 'STORAGES = {"staticfiles": {"BACKEND": "storages.backends.s3.S3"}}\n'},
            Settings(),
            None,
        ),
        (
            {"shop/settings.py": APPS + ROOT + 'STORAGES = {"default": {"BACKEND": "storages.backends.s3.S3"}}\n'},
            Settings(),
            "shop.settings",
        ),
        ({"shop/settings.py": "(" * 5000}, Settings(), None),
        ({"manage.py": "import sys\n"}, Settings(), None),
        ({"manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"shop.{place}")\n'}, Settings(), None),
    ],
)
def test_the_settings_that_count_are_found_and_read(
    write: Write, files: dict[str, str], settings: Settings, module: str | None
) -> None:
    text = langs.build(write({**FILES, **files}), settings).dockerfile

    assert [re.findall(r"DJANGO_SETTINGS_MODULE=(\S+) /app", step)[0] for step in collects(text)] == (
        [module] if module else []
    )


def test_what_collects_by_itself_is_not_repeated(write: Write) -> None:
    root = write({**FILES, "shop/settings.py": APPS + ROOT})

    built = langs.build(root, Settings(build_command="python manage.py collectstatic --noinput --clear"))

    assert len(collects(built.dockerfile)) == 1
    assert "--clear" in collects(built.dockerfile)[0]


@given(st.text(alphabet=st.sampled_from("STATIC_ROOT=\"'/.()[]{}$ \nenviro,:abX"), max_size=60))
def test_no_settings_end_the_step(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("app")
    for name, content in {**FILES, "shop/settings.py": APPS + ROOT + text}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    wsgi.parse_present.cache_clear()

    try:
        built = langs.build(root, Settings())
    except LangError:
        return

    assert all(
        re.fullmatch(r"(?:[A-Z_a-z0-9]+=\S+ )+/app/.venv/bin/python .*", step) for step in collects(built.dockerfile)
    )
