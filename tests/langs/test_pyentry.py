"""What of a Python app is started: application objects and programs in all the places where templates put them."""

from collections.abc import Mapping

import pytest

import langs
from langs.model import Settings
from tests.langs.conftest import Write

FLASK = "from flask import Flask\n"
FACTORY = f"{FLASK}def create_app():\n    app = Flask(__name__)\n    return app\n"
FASTAPI = "from fastapi import FastAPI\n"
DJANGO = {
    "manage.py": "",
    "shop/settings.py": "",
    "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "shop/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
}
AIOHTTP = "from aiohttp import web\nif __name__ == '__main__':\n    web.run_app(web.Application())\n"


@pytest.mark.parametrize(
    ("files", "start"),
    [
        pytest.param(
            {
                "requirements.txt": "flask\ngunicorn\n",
                "wsgi.py": "from project import create_app\n\napp = create_app()\n",
                "project/__init__.py": FACTORY,
            },
            "gunicorn --bind 0.0.0.0:$PORT wsgi:app",
            id="made by a package",
        ),
        pytest.param(
            {
                "requirements.txt": "flask\ngunicorn\n",
                "web/wsgi.py": "from .factory import build as made\n\napp = made('production')\n",
                "web/__init__.py": "",
                "web/factory.py": FACTORY.replace("create_app()", "build(name)"),
            },
            "gunicorn --bind 0.0.0.0:$PORT web.wsgi:app",
            id="made by a neighbour under another name",
        ),
        pytest.param(
            {
                "requirements.txt": "fastapi\nuvicorn\n",
                "svc/main.py": f"{FASTAPI}def get():\n    return FastAPI()\n\napp = get()\n",
            },
            "uvicorn --host 0.0.0.0 --port $PORT svc.main:app",
            id="made by the same module",
        ),
        pytest.param(
            {"requirements.txt": "flask\ngunicorn\n", "hello.py": f"{FLASK}app = Flask(__name__)\n"},
            "gunicorn --bind 0.0.0.0:$PORT hello:app",
            id="a module of any name at the root",
        ),
        pytest.param(
            {
                "requirements.txt": "fastapi\nuvicorn\n",
                "backend/main.py": f"{FASTAPI}from database import engine\napp = FastAPI()\n",
                "backend/database.py": "engine = 1\n",
            },
            "uvicorn --host 0.0.0.0 --port $PORT main:app",
            id="a directory that imports its neighbours by their names",
        ),
        pytest.param(
            {
                "requirements.txt": "fastapi\nuvicorn\n",
                "backend/app/__init__.py": "",
                "backend/app/main.py": f"{FASTAPI}app = FastAPI()\n",
            },
            "uvicorn --host 0.0.0.0 --port $PORT app.main:app",
            id="a package two directories down",
        ),
        pytest.param(
            {
                "requirements.txt": "fastapi\nuvicorn\n",
                "src/main.py": f"{FASTAPI}from src.db import engine\napp = FastAPI()\n",
                "src/db.py": "engine = 1\n",
            },
            "uvicorn --host 0.0.0.0 --port $PORT src.main:app",
            id="src as a package",
        ),
        pytest.param(
            {
                "requirements.txt": "dash\ngunicorn\n",
                "app.py": "import dash\napp = dash.Dash(__name__)\nserver = app.server\n",
            },
            "gunicorn --bind 0.0.0.0:$PORT app:server",
            id="Dash",
        ),
        pytest.param(
            {"requirements.txt": "falcon\nuvicorn\n", "app.py": "import falcon.asgi\napp = falcon.asgi.App()\n"},
            "uvicorn --host 0.0.0.0 --port $PORT app:app",
            id="Falcon",
        ),
        pytest.param(
            {"requirements.txt": "litestar[standard]\n", "app.py": "from litestar import Litestar\napp = Litestar()\n"},
            "uvicorn --host 0.0.0.0 --port $PORT app:app",
            id="Litestar",
        ),
        pytest.param(
            {
                "Pipfile": '[packages]\nfastapi = {extras = ["standard"], version = "*"}\n',
                "main.py": f"{FASTAPI}app = FastAPI()\n",
            },
            "uvicorn --host 0.0.0.0 --port $PORT main:app",
            id="an extra in a Pipfile",
        ),
        pytest.param(
            {"requirements.txt": "sanic\n", "server.py": "from sanic import Sanic\napp = Sanic('x')\n"},
            "sanic --host 0.0.0.0 --port $PORT server:app",
            id="Sanic",
        ),
        pytest.param(
            {"requirements.txt": "quart\n", "app.py": "from quart import Quart\napp = Quart(__name__)\n"},
            "hypercorn --bind 0.0.0.0:$PORT app:app",
            id="Quart",
        ),
        pytest.param(
            {**DJANGO, "requirements.txt": "django\nuvicorn\n"},
            "uvicorn --host 0.0.0.0 --port $PORT shop.asgi:application",
            id="Django with a server for asgi alone",
        ),
        pytest.param(
            {**DJANGO, "requirements.txt": "django\ngunicorn\nuvicorn\n"},
            "gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application",
            id="Django with servers of both kinds",
        ),
        pytest.param(
            {
                "requirements.txt": "channels[daphne]\ndaphne\n",
                "manage.py": "",
                "chat/asgi.py": "from channels.routing import ProtocolTypeRouter\n"
                "application = ProtocolTypeRouter({'http': 1})\n",
            },
            "daphne -b 0.0.0.0 -p $PORT chat.asgi:application",
            id="Channels",
        ),
        pytest.param(
            {"requirements.txt": "gradio\n", "app.py": "import gradio as gr\ngr.Interface().launch()\n"},
            "GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python app.py",
            id="Gradio",
        ),
        pytest.param(
            {"requirements.txt": "streamlit\n", "Home.py": "import streamlit\n", "pages/a.py": "import streamlit\n"},
            "streamlit run Home.py --server.port $PORT",
            id="Streamlit's pages",
        ),
        pytest.param(
            {"requirements.txt": "aiohttp\n", "src/main.py": AIOHTTP}, "python src/main.py", id="a program in src"
        ),
        pytest.param(
            {"requirements.txt": "aiohttp\n", "service/__init__.py": "", "service/main.py": AIOHTTP},
            "python -m service.main",
            id="a program in a package",
        ),
        pytest.param(
            {"requirements.txt": "aiohttp\n", "src/service/__init__.py": "", "src/service/__main__.py": AIOHTTP},
            "PYTHONPATH=src python -m service",
            id="a package in src",
        ),
        pytest.param(
            {"requirements.txt": "discord.py\n", "ticketbot.py": "import discord\ndiscord.Client().run('x')\n"},
            "python ticketbot.py",
            id="the only program",
        ),
    ],
)
def test_an_app_is_started_wherever_it_lies(write: Write, files: Mapping[str, str], start: str) -> None:
    assert langs.build(write(files), Settings()).start_command == start


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"requirements.txt": "pytest\n", "api/requirements.txt": "flask\n", "api/app.py": FACTORY},
            id="an app below that has its own manifest",
        ),
        pytest.param(
            {"requirements.txt": "pytest\n", "svc/api/pyproject.toml": "", "svc/api/main.py": AIOHTTP},
            id="the same two directories down",
        ),
        pytest.param({"requirements.txt": "flask\n", "tests/app.py": FACTORY}, id="tests"),
        pytest.param({"requirements.txt": "flask\n", "conftest.py": "import flask\n"}, id="a test's set-up"),
        pytest.param(
            {"requirements.txt": "flask\n", "app.py": "from nowhere import create_app\n"}, id="nothing is made"
        ),
        pytest.param(
            {"requirements.txt": "flask\n", "wsgi.py": "from ...up import create_app\napp = create_app()\n"},
            id="imported from outside of the app",
        ),
        pytest.param(
            {"requirements.txt": "x\n", "one.py": "import discord\n", "two.py": "import discord\n"}, id="two programs"
        ),
        pytest.param({"requirements.txt": "x\n", "a b.py": "import discord\n"}, id="a name that needs quotes"),
    ],
)
def test_what_starts_nothing_is_no_app(write: Write, files: Mapping[str, str]) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert not detection.is_app
