"""Builders that are not what they should be: one error for the run, and within a bounded time."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app import builder

Run = Callable[..., Any]


def test_a_builder_that_never_answers_is_unreachable(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_GREETING_SECONDS", 0.2)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    path = tmp_path / "s"

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        ran = run("build", "-C", tmp_path, "--host", f"unix://{path}")

    assert ran.code == 75
    assert "gives no answer" in ran.err
    assert "hint: " in ran.err
