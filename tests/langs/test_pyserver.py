"""Programs that start a server for development by themselves: what is started so that somebody can reach it."""

import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import pyserver
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings
from tests.langs.conftest import Write

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n"
GUARD = 'if __name__ == "__main__":\n    '
RUN = f"{GUARD}app.run(debug=True)\n"
DASH = "from dash import Dash\napp = Dash(__name__)\n"
SERVER = "server = app.server\n"
FLASK_RUN = "flask --app app run --host 0.0.0.0 --port $PORT"
PORT = 'port=int(os.environ.get("PORT", 5000))'


@pytest.mark.parametrize(
    ("files", "start", "warning"),
    [
        pytest.param({"app.py": FLASK + RUN}, FLASK_RUN, "for development", id="the first page of Flask's tutorial"),
        pytest.param({"app.py": FLASK + "app.run()\n"}, FLASK_RUN, "for development", id="no guard"),
        pytest.param(
            {"app.py": f"{FACTORY}{GUARD}create_app().run(debug=True)\n"}, FLASK_RUN, "for development", id="a factory"
        ),
        pytest.param(
            {"app.py": f"{FACTORY}{GUARD}app = create_app()\n    app.run()\n"}, FLASK_RUN, "gunicorn", id="in the guard"
        ),
        pytest.param(
            {"app.py": f"{FLASK}def main():\n    app.run(debug=True)\n{GUARD}main()\n"},
            FLASK_RUN,
            "gunicorn",
            id="in a function",
        ),
        pytest.param(
            {"app.py": f'{FLASK}{GUARD}app.run(host="0.0.0.0", port=8080)\n'}, FLASK_RUN, "gunicorn", id="a fixed port"
        ),
        pytest.param(
            {"app.py": f'{FLASK}{GUARD}app.run("localhost", {PORT})\n'}, FLASK_RUN, "gunicorn", id="a fixed machine"
        ),
        pytest.param(
            {"app.py": f'{FLASK}{GUARD}app.run(host=os.getenv("HOST", "127.0.0.1"), {PORT})\n'},
            FLASK_RUN,
            "gunicorn",
            id="a machine that somebody would have to say",
        ),
        pytest.param(
            {"hello.py": FLASK.replace("app =", "site =") + f"{GUARD}site.run()\n"},
            "flask --app hello:site run --host 0.0.0.0 --port $PORT",
            "gunicorn",
            id="a name that Flask does not look for",
        ),
        pytest.param(
            {"run.py": f"from shop import app\nimport pages\n{RUN}", "shop/__init__.py": FLASK, "pages.py": ""},
            "flask --app run:app run --host 0.0.0.0 --port $PORT",
            "gunicorn",
            id="a program that adds to what it imports",
        ),
        pytest.param(
            {"run.py": f"import shop\n{GUARD}shop.create_app().run()\n", "shop/__init__.py": FACTORY},
            "flask --app shop run --host 0.0.0.0 --port $PORT",
            "gunicorn",
            id="a program that calls what it imports",
        ),
        pytest.param(
            {"requirements.txt": "Flask-SQLAlchemy\n", "app.py": FLASK + RUN}, FLASK_RUN, "gunicorn", id="an extension"
        ),
        pytest.param(
            {"app.py": f'{FLASK}{GUARD}app.run(host="0.0.0.0", {PORT})\n'}, "python app.py", "gunicorn", id="all said"
        ),
        pytest.param(
            {"app.py": f'{FLASK}{PORT}\n{GUARD}app.run("::", port)\n'}, "python app.py", "gunicorn", id="by position"
        ),
        pytest.param(
            {"app.py": f'{FLASK}{GUARD}app.run(host=os.getenv("HOST", "0.0.0.0"), {PORT}, debug=True)\n'},
            "python app.py",
            "leave out `debug=True`",
            id="all said, and too much",
        ),
        pytest.param(
            {"app.py": f"{FLASK}import eventlet\n{GUARD}eventlet.wsgi.server(eventlet.listen(('', 1)), app)\n"},
            "python app.py",
            None,
            id="another server",
        ),
        pytest.param(
            {"app.py": f"{FLASK}import asyncio\n{GUARD}asyncio.run(main())\n"}, "python app.py", None, id="another run"
        ),
        pytest.param(
            {"app.py": f"{FACTORY.replace('create_app()', 'create_app(name)')}{GUARD}create_app('x').run()\n"},
            "python app.py",
            'host="0.0.0.0"',
            id="a factory that needs something",
        ),
        pytest.param(
            {"requirements.txt": "flask\ngunicorn\n", "app.py": FLASK + RUN},
            "gunicorn --bind 0.0.0.0:$PORT app:app",
            None,
            id="gunicorn",
        ),
        pytest.param(
            {"requirements.txt": "dash\n", "app.py": DASH + SERVER + RUN},
            "flask --app app:server run --host 0.0.0.0 --port $PORT",
            "gunicorn",
            id="Dash with a server",
        ),
        pytest.param(
            {"requirements.txt": "dash\ngunicorn\n", "app.py": DASH + SERVER + RUN},
            "gunicorn --bind 0.0.0.0:$PORT app:server",
            None,
            id="Dash with gunicorn",
        ),
        pytest.param(
            {"requirements.txt": "dash\ngunicorn\n", "app.py": DASH + RUN},
            "python -c 'from app import app; app.run(host=\"0.0.0.0\")'",
            "server = app.server",
            id="Dash without a server",
        ),
        pytest.param(
            {"requirements.txt": "dash<3\n", "index.py": f"{DASH}{GUARD}app.run_server(port=8050)\n"},
            "python -c 'from index import app; app.run_server(host=\"0.0.0.0\")'",
            "server = app.server",
            id="an older Dash under another name",
        ),
        pytest.param(
            {"requirements.txt": "dash\n", "app.py": f"{DASH}app.run(debug=True)\n"},
            "HOST=0.0.0.0 python app.py",
            "server = app.server",
            id="Dash that an import would start",
        ),
        pytest.param(
            {"requirements.txt": "dash\n", "app.py": f'{DASH}{GUARD}app.run(host="0.0.0.0", {PORT})\n'},
            "python app.py",
            "for development",
            id="Dash with all said",
        ),
    ],
)
def test_what_is_started_can_be_reached(
    write: Write, files: Mapping[str, str], start: str, warning: str | None
) -> None:
    built = langs.build(write({"requirements.txt": "flask\n", **files}), Settings())

    assert built.start_command == start
    assert len(built.warnings) == (warning is not None)
    assert all(warning is not None and warning in each for each in built.warnings)


def test_what_somebody_wants_to_start_is_started_as_it_is(write: Write) -> None:
    root = write({"requirements.txt": "flask\n", "app.py": FLASK + RUN, "Procfile": "web: python app.py\n"})

    built = langs.build(root, Settings())

    assert (built.start_command, built.warnings) == ("python app.py", ())


@pytest.mark.parametrize(
    "program",
    [
        "app.run(host=a, port=a)\n" * 8_000,
        "a = 'x'\n" * 12_000 + "app.run(host=a, port=a)\n" * 4_000,
        "".join(f"a{index} = '{index}'\n" for index in range(6_000))
        + f"app.run([{', '.join(f'a{index}' for index in range(6_000))}])\n" * 2,
        "(" * 80 + "app" + ").run(" * 40,
    ],
    ids=["calls", "assignments", "names", "brackets"],
)
def test_a_program_made_to_be_slow_is_not(write: Write, program: str) -> None:
    begun = time.process_time()

    with suppress(LangError):
        langs.build(write({"requirements.txt": "flask\n", "app.py": FLASK + program}), Settings())

    assert time.process_time() - begun < 5


@given(
    st.lists(
        st.sampled_from(
            [
                "app = Dash()",
                "app.run(",
                ")",
                "host=",
                "port",
                "=",
                '"0.0.0.0"',
                '"PORT"',
                ",",
                "*a",
                "**b",
                "debug",
                "=True",
                "\n",
                "if __name__ == '__main__':",
                "\n ",
                "import app",
                "from x import app",
                ".server",
                "()",
            ]
        ),
        max_size=14,
    )
)
def test_any_program_is_understood_or_says_nothing(parts: list[str]) -> None:
    text = "".join(parts)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "app.py").write_text(text, encoding="utf-8")

        own = pyserver.find(AppFiles(Path(directory)), "app.py", None)

    assert own is None or "app.run(" in text
    assert own is None or not own.reachable or ('"0.0.0.0"' in text and '"PORT"' in text)
