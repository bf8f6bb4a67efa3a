"""Apps that serve nobody: a Procfile without a `web`."""

from collections.abc import Mapping

import pytest

import langs
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

PLAIN = Settings()
CELERY = "worker: celery -A tasks worker\n"
SERVES = "import flask\napp = flask.Flask('x')\nif __name__ == '__main__':\n    app.run()\n"


@pytest.mark.parametrize(
    ("files", "language", "start", "processes"),
    [
        (
            {"package.json": "{}", "w.js": "", "Procfile": "worker: node w.js\n"},
            "nodejs",
            "node w.js",
            {"worker": "node w.js"},
        ),
        (
            {"requirements.txt": "celery\n", "tasks.py": "", "Procfile": f"{CELERY}beat: celery -A tasks beat\n"},
            "python",
            "celery -A tasks worker",
            {"worker": "celery -A tasks worker", "beat": "celery -A tasks beat"},
        ),
        (
            {"Procfile": "release: python migrate.py\nclock: python clock.py\n", "clock.py": ""},
            "python",
            "python clock.py",
            {"release": "python migrate.py", "clock": "python clock.py"},
        ),
    ],
    ids=["node", "celery", "no manifest"],
)
def test_a_procfile_without_web_is_an_app_that_listens_nowhere(
    write: Write, files: Mapping[str, str], language: str, start: str, processes: Mapping[str, str]
) -> None:
    root = write(files)

    detection = langs.detect(root, PLAIN)
    app = langs.build(root, PLAIN)

    assert detection is not None
    assert (detection.language, detection.is_app, detection.obstacles) == (language, True, ())
    assert "Procfile" in [evidence.file for evidence in detection.evidence]
    assert app.start_command == start
    assert {process.name: process.command for process in app.processes} == processes
    assert "EXPOSE" not in app.dockerfile
    assert langs.look(root, PLAIN).problem is None


def test_an_app_that_serves_has_its_worker_beside_it(write: Write) -> None:
    root = write({"requirements.txt": "flask\ncelery\n", "app.py": SERVES, "Procfile": CELERY})

    app = langs.build(root, PLAIN)

    assert app.start_command == "flask --app app run --host 0.0.0.0 --port $PORT"
    assert [process.name for process in app.processes] == ["web", "worker"]
    assert "EXPOSE 5000\n" in app.dockerfile


@pytest.mark.parametrize(
    ("settings", "start"),
    [(PLAIN, "bin/run --all"), (Settings(run_command="python other.py"), "python other.py")],
    ids=["the Procfile's", "configuration's"],
)
def test_a_program_of_no_language_works_where_somebody_declares_it(
    write: Write, settings: Settings, start: str
) -> None:
    root = write({"requirements.txt": "x\n", "Procfile": "worker: bin/run --all\n"})

    detection = langs.detect(root, settings)
    app = langs.build(root, settings)

    assert detection is not None
    assert not detection.is_app
    assert app.start_command == start
    assert ("web" in [process.name for process in app.processes]) == (settings.run_command is not None)


def test_the_language_may_be_said(write: Write) -> None:
    root = write({"Procfile": "worker: bin/run\n"})

    app = langs.build(root, Settings(language="python"))

    assert app.start_command == "bin/run"
    assert "EXPOSE" not in app.dockerfile


def test_the_procfile_of_a_workspaces_root_is_for_its_developers(write: Write) -> None:
    root = write({"package.json": '{"workspaces": ["a"]}', "Procfile": "api: node a\nworker: node b\n"})

    detection = langs.detect(root, PLAIN)

    assert detection is not None
    assert not detection.is_app


def test_a_worker_that_is_no_command_line_is_an_error_at_its_place(write: Write) -> None:
    root = write({"package.json": "{}", "Procfile": "worker: node 'w.js\n"})

    with pytest.raises(LangError, match=r"worker: the command .* does not close its quotes") as caught:
        langs.build(root, PLAIN)

    assert caught.value.file == "Procfile"
