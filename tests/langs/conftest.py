"""The example apps with their goldens, and the flag that writes the goldens anew."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

Write = Callable[[Mapping[str, str]], Path]

# A property is about what comes out: on a machine that builds images beside it, a time limit per example only lies.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-goldens", action="store_true", help="write Dockerfile.golden and plan.golden.json of tests/apps anew"
    )


@pytest.fixture
def rewrite_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are written instead of compared."""
    return bool(request.config.getoption("--rewrite-goldens"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Make an app of these files, by their paths, and return its directory."""

    def make(files: Mapping[str, str]) -> Path:
        root = tmp_path / "app"
        root.mkdir(exist_ok=True)
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return root

    return make
