"""Apps without files: names and plans are pure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from langs.model import Detection, Settings
from orchestrator.model import App

MakeApp = Callable[..., App]


@pytest.fixture
def make_app() -> MakeApp:
    def make(path: str, *, name: str | None = None, secrets: tuple[str, ...] = (), ssh: tuple[str, ...] = ()) -> App:
        return App(
            name=name or path.rpartition("/")[2],
            path=path,
            directory=Path("/shop") / path,
            detection=Detection(language="go", evidence=()),
            settings=Settings(secrets=secrets, ssh=ssh),
        )

    return make
