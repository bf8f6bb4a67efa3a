"""Every example app gives the Dockerfile and the plan that stand beside it.

`pytest tests/langs --rewrite-goldens` writes them anew; the change is then read in the diff.
"""

from pathlib import Path

import msgspec
import pytest

import langs
from langs import registry
from langs.model import AppBuild, Settings
from tests.langs import splitter

APPS = Path(__file__).parent.parent / "apps"
MONOREPO = Path(__file__).parent.parent.parent / "examples" / "monorepo"
CASES = sorted(path.name for path in APPS.iterdir() if (path / "app").is_dir())
_APART = ("dockerfile", "chosen")
"""What stands elsewhere: in a file of its own, and in `test_locked.py`."""
GENERATED = [case for case in CASES if not case.startswith(("dockerfile", "compose"))]


def settings_of(case: str) -> Settings:
    file = APPS / case / "settings.json"
    return msgspec.json.decode(file.read_bytes(), type=Settings) if file.exists() else Settings()


def build(case: str, settings: Settings | None = None) -> AppBuild:
    """The app of a case; in a workspace it lies below the case's directory, which is the monorepo then."""
    root = APPS / case / "app"
    return langs.build(root / place_of(case), settings or settings_of(case), within=root)


def place_of(case: str) -> str:
    """Where the app lies: said by `real.json`, or by `place.json` where nothing can be built really."""
    files = (APPS / case / name for name in ("real.json", "place.json"))
    return next((msgspec.json.decode(file.read_bytes(), type=Place).app for file in files if file.exists()), ".")


class Place(msgspec.Struct, frozen=True):
    """What is read of either."""

    app: str = "."


def test_every_language_has_example_apps() -> None:
    languages = {case.partition("-")[0] for case in CASES}

    assert languages >= set(registry.NAMES)


@pytest.mark.parametrize("case", CASES)
def test_an_app_gives_its_golden_dockerfile_and_plan(case: str, *, rewrite_goldens: bool) -> None:
    built = build(case)
    plan = {name: value for name, value in msgspec.to_builtins(built).items() if name not in _APART}
    goldens = {
        APPS / case / "Dockerfile.golden": built.dockerfile,
        APPS / case / "plan.golden.json": msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n",
    }
    if rewrite_goldens:
        for file, text in goldens.items():
            file.write_text(text, encoding="utf-8")

    assert {file: file.read_text(encoding="utf-8") for file in goldens} == goldens


@pytest.mark.parametrize("case", GENERATED)
def test_a_generated_image_runs_as_nobody_special_from_app_on_its_port(case: str) -> None:
    text = build(case).dockerfile

    instructions = splitter.split(text)
    last = instructions[max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM") :]
    assert ("USER", "1000:1000") in last
    assert ("WORKDIR", "/app") in last
    assert ("EXPOSE", "5000") in last
    assert ("ENV", "PORT=5000") in last
    assert last[-1][0] == "CMD"
    assert splitter.is_exec_form(last[-1][1])


@pytest.mark.parametrize("case", GENERATED)
def test_a_generated_dockerfile_keeps_to_the_syntax_of_1_2(case: str) -> None:
    text = build(case).dockerfile

    assert "syntax=" not in text
    for keyword, rest in splitter.split(text):
        assert "--link" not in rest
        assert "<<" not in rest
        plain = {"FROM", "WORKDIR", "ENV", "COPY", "RUN", "EXPOSE", "LABEL", "USER", "CMD", "HEALTHCHECK"}
        assert keyword in plain or (keyword, settings_of(case).platforms != ()) == ("ARG", True)


@pytest.mark.parametrize("case", GENERATED)
def test_every_cache_mount_of_the_text_stands_in_the_plan(case: str) -> None:
    built = build(case)

    mounts = {
        word.partition("id=")[2].partition(",")[0]
        for keyword, rest in splitter.split(built.dockerfile)
        if keyword == "RUN"
        for word in rest.split()
        if word.startswith("--mount=type=cache")
    }
    assert mounts <= {mount.id for mount in built.cache}


@pytest.mark.parametrize(
    ("path", "language", "start"),
    [
        ("apps/api", "nodejs", "node src/server.js"),
        ("apps/storefront", "nodejs", "node --enable-source-maps dist/server.js"),
        ("services/billing", "python", "uvicorn --host 0.0.0.0 --port $PORT main:app"),
        ("services/reports", "python", "gunicorn --bind 0.0.0.0:$PORT --workers 1 --access-logfile - app:app"),
        ("services/gateway", "go", "gateway"),
        ("services/ledger", "go", "ledger"),
        ("tools/legacy-cron", "dockerfile", None),
    ],
)
def test_the_example_monorepos_apps_are_understood(path: str, language: str, start: str | None) -> None:
    built = langs.build(MONOREPO / path, Settings())

    assert (built.language, built.start_command) == (language, start)
