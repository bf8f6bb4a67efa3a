"""What tests of daemons of our own begin with."""

import os
from pathlib import Path

import pytest

DAEMONS = [
    pytest.mark.real,
    pytest.mark.apart,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces, mounts and bridges"),
]
"""The marks of tests that start them."""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of a test lies. A socket's path must be short."""
    return tmp_path_factory.mktemp("o")
