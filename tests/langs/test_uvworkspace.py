"""Members of uv's workspaces: what their builds see and install."""

from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

ROOT = '[tool.uv.workspace]\nmembers = ["services/*", "packages/*"]\nexclude = ["packages/old*"]\n'
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
PLAIN = Settings()


def project(name: str, *needs: str) -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {list(needs)}\n'


def monorepo(write: Write, /, **more: str) -> Path:
    return write(
        {
            "pyproject.toml": ROOT,
            "uv.lock": 'version = 1\nrequires-python = ">=3.11"\n',
            ".python-version": "3.11\n",
            "services/web/pyproject.toml": project("web", "flask", "Acme_UI>=1"),
            "services/web/app.py": FLASK,
            "services/api/pyproject.toml": project("api", "flask"),
            "services/api/app.py": FLASK,
            "packages/ui/pyproject.toml": project("acme-ui", "acme.words"),
            "packages/words/pyproject.toml": project("acme-words"),
            "packages/unused/pyproject.toml": project("acme-unused"),
            "packages/old1/pyproject.toml": "not even TOML",
            **more,
        }
    )


def built(root: Path, path: str = "services/web") -> AppBuild:
    return langs.build(root / path, PLAIN, within=root)


def allowed(app: AppBuild) -> set[str]:
    return {line[1:] for line in (app.dockerignore or "").splitlines() if line.startswith("!")}


def test_a_member_is_built_with_what_it_depends_on_and_the_manifests_of_all(write: Write) -> None:
    root = monorepo(write)

    detection = langs.detect(root / "services/web", PLAIN, within=root)
    app = built(root)

    assert detection is not None
    assert (detection.is_app, detection.package_manager) == (True, "uv")
    assert detection.packages == ("packages/ui", "packages/words")
    manifests = {f"{place}/pyproject.toml" for place in ("services/web", "services/api")}
    manifests |= {f"packages/{name}/pyproject.toml" for name in ("ui", "unused", "words")}
    sources = {"services/web", "packages/ui", "packages/words"}
    assert allowed(app) == {"pyproject.toml", "uv.lock", ".python-version", *manifests, *sources}
    assert app.context == "../.."
    assert app.version is not None
    assert app.version.source == ".python-version"


def test_apps_of_one_workspace_have_their_dependencies_in_common(write: Write) -> None:
    root = monorepo(write)

    web, api = (built(root, f"services/{name}").dockerfile for name in ("web", "api"))

    assert web.partition("AS builder")[0] == api.partition("AS builder")[0]
    assert "--package web --no-install-workspace" in web
    assert web.index("--package web --no-install-workspace") < web.index("COPY . .")


def test_where_members_contradict_each_other_each_app_is_installed_by_itself(write: Write) -> None:
    conflicts = '[tool.uv]\nconflicts = [[{ package = "api" }, { package = "web" }]]\n'
    root = monorepo(write, **{"pyproject.toml": conflicts + ROOT})

    text = built(root).dockerfile

    assert "--all-packages" not in text
    assert "--package web --no-install-workspace" in text.partition("AS builder")[0]


@pytest.mark.parametrize(
    ("file", "text"), [("uv.lock", 'version = 1\nrequires-python = ">=3.11"\n'), ("requirements.txt", "flask\n")]
)
def test_who_says_otherwise_how_it_is_installed_is_built_alone(write: Write, file: str, text: str) -> None:
    root = monorepo(write, **{f"services/api/{file}": text})

    assert built(root, "services/api").context == "."


def test_a_workspace_without_a_lockfile_is_an_error(write: Write) -> None:
    root = monorepo(write)
    (root / "uv.lock").unlink()

    with pytest.raises(LangError, match=r"no uv.lock") as refused:
        built(root)

    assert "uv lock" in (refused.value.hint or "")


@pytest.mark.parametrize("name", ["a; touch $(id)", "a\\nRUN id", "-x"])
def test_a_name_that_is_none_never_reaches_a_shell(write: Write, name: str) -> None:
    root = monorepo(write, **{"services/api/pyproject.toml": project(name, "flask")})

    with pytest.raises(LangError, match="is no name of a package"):
        built(root, "services/api")
