"""Every example of every document: commands are executed, configuration is loaded, data is parsed.

A command that a test session cannot run inside itself must be run by what calls the session (`ELSEWHERE`), or the
document that shows it fails.
"""

import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from sybil import Example
from sybil.evaluators.python import PythonEvaluator
from sybil.example import SybilFailure

from orchestrator.config import environment, load
from orchestrator.errors import ConfigError
from tests.docs import console
from tests.docs.console import DOCUMENTS, PAGES, ROOT
from tests.lab import Lab

if TYPE_CHECKING:
    from tests.lab.state import Engine

ELSEWHERE = {
    "./quickstart": (".ci/run", "./quickstart"),
    "./check": (".ci/run", "./check"),
    ".ci/run": (".ci/full", "exec .ci/run"),
    ".ci/full": (".ci/full", "benchmarks"),
    "python -m benchmarks peers": (".ci/full", "-m benchmarks peers"),
    "python -m benchmarks detect": (".ci/full", "-m benchmarks detect"),
    "python -m benchmarks unchanged": (".ci/full", "-m benchmarks unchanged"),
    "python -m benchmarks isolated": (".ci/full", "-m benchmarks isolated"),
    "python -m benchmarks warm": (".ci/full", "-m benchmarks warm"),
    "python -m benchmarks runtimes": (".ci/full", "-m benchmarks runtimes"),
    "python -m benchmarks cold": (".ci/full", "-m benchmarks cold"),
    "python -m benchmarks plan": (".ci/full", "-m benchmarks plan"),
    "python -m benchmarks.fleet": (".ci/full", "-m benchmarks.fleet"),
    "python -m benchmarks.images": ("benchmarks/images/__main__.py", "anyio.run(measuring"),
    "python -m benchmarks.images --migetpacks DIR --nixpacks FILE": ("benchmarks/images/__main__.py", '"--nixpacks"'),
    "python -m benchmarks.documents": ("tests/benchmarks/test_result.py", "documents.main()"),
    "python -m benchmarks.storage run": ("benchmarks/storage/__main__.py", 'add_parser("run"'),
    "python -m benchmarks.storage repeats": ("benchmarks/storage/__main__.py", 'add_parser("repeats"'),
    "python -m benchmarks.fleet scale": ("benchmarks/fleet/__main__.py", 'add_parser("scale"'),
    "python -m tests.lab up": ("check", "python -m tests.lab up"),
    "python -m tests.lab down": (".ci/run", "python -m tests.lab down"),
    "python -m tests.lab down --delete": ("tests/lab_tests/test_commands.py", '"down", "--delete"'),
    "fleetpacks lock": ("tests/cli/test_lock.py", 'run("lock", "-C", root, variables=said)'),
    "fleetpacks update": ("tests/cli/test_lock.py", 'run("update", "-C", root, variables=said)'),
    "poe check": ("check", "poe check"),
    "poe lint": ("pyproject.toml", 'check = ["lint", "types", "test"]'),
    "poe types": ("pyproject.toml", 'check = ["lint", "types", "test"]'),
    "poe test": ("pyproject.toml", 'check = ["lint", "types", "test"]'),
    "poe coverage": ("pyproject.toml", '{ cmd = "python -m tests --coverage" }'),
    "poe format": ("pyproject.toml", '{ cmd = "ruff format --check ." }'),
    "poe protos": ("tests/buildkit/test_protos.py", "compile_protos("),
    "poe schemas": ("tests/config/test_settings.py", "schema.text("),
    "poe facts": ("tests/langs/test_registry.py", "registry.facts("),
    "poe release": ("tests/releases/test_release.py", '"-m", "tests.release", "--root"'),
    "poe release --image registry.example/team": ("tests/releases/test_release.py", '"-m", "tests.release", "--root"'),
    "poe languages": ("tests/docs/test_languages.py", "documents("),
    "poe site": (".ci/full", "-m tests.site"),
    "poe options": ("tests/docs/test_options.py", "table.document("),
    "python -m tests.lab up --languages": ("check", "python -m tests.lab up --languages"),
    "python -m tests.lab up --ceph": ("tests/lab_tests/test_ceph.py", '"--ceph"'),
    "python -m tests.lab up --bases NAME": ("tests/lab_tests/test_bases.py", "repositories("),
    "pytest tests/e2e/test_languages.py": ("pyproject.toml", 'testpaths = ["tests"]'),
    "pytest tests/langs --rewrite-goldens": ("tests/langs/conftest.py", '"--rewrite-goldens"'),
    "pytest -m real": ("pyproject.toml", '"real: needs the lab'),
}
"""Command -> the file that runs it, or that holds what it does, and the words there."""

_TYPED = re.compile(r"(fleetpacks|tail|echo|exit|\.) [^;&|]*(; echo \$\?)?|python -m tests\.lab status")
"""What the session types. Anything else could end the lab that other tests use, or change the checkout."""

_LANGUAGES = frozenset({"console", "dockerfile", "json", "python", "text", "toml"})


def run_elsewhere(command: str) -> bool:
    """Whether something outside of this session runs the command."""
    file, words = ELSEWHERE.get(command.removeprefix(".venv/bin/"), ("", ""))
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines() if file else []
    return any(words in line for line in lines if not line.lstrip().startswith("#"))


def _needs_lab(document: Path) -> bool:
    typed = [command for command in console.commands(document) if _TYPED.fullmatch(command)]
    return any(word in command for command in typed for word in ("$REGISTRY", "fleetpacks build", "tests.lab"))


def _needs_engine(document: Path) -> bool:
    """Whether examples in Python speak to a Docker Engine, at `SOCKET`."""
    return "path=SOCKET" in document.read_text(encoding="utf-8")


def _needs_buildkitd(document: Path) -> bool:
    """Whether examples in Python speak to a buildkitd, at `BUILDKITD`."""
    return bool(re.search(r"path=BUILDKITD|\{BUILDKITD\}", document.read_text(encoding="utf-8")))


_NEEDS = (_needs_lab, _needs_engine, _needs_buildkitd)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            document,
            id=str(document.relative_to(ROOT)),
            marks=[pytest.mark.real] if any(needs(document) for needs in _NEEDS) else [],
        )
        for document in DOCUMENTS
        if document not in PAGES
    ],
)
def test_every_example_of_a_document_does_what_the_document_says(
    document: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    names: dict[str, str] = {}
    if _needs_engine(document):
        engine: Engine = request.getfixturevalue("engine_graph")
        lab: Lab = request.getfixturevalue("lab")
        names = {"SOCKET": str(engine.socket), "REGISTRY": lab.registry}
    if _needs_buildkitd(document):
        lab = request.getfixturevalue("lab")
        names = {"BUILDKITD": str(lab.buildkitd), "REGISTRY": lab.registry, "HOME": str(tmp_path / "home")}
    _evaluate(document, tmp_path, request.getfixturevalue("lab") if _needs_lab(document) else None, names)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("```console\n$ exit 3\n```", "ended with 3"),
        ("```console\n$ fleetpacks appz examples/monorepo\n```", "ended with 2"),
        ("```console\n$ echo one\ntwo\n```", "printed:\none"),
        ("```console\n$ ./nothing-runs-this\n```", "is run by nothing"),
        ("```toml\n# fleetpacks.toml\nprot = 1\n```", "Did you mean 'port'"),
        ("```toml\n# fleetpacks.toml\nimage = 'registry.example/api'\n```", "operator's to say"),
        ("```toml\n# ~/.config/fleetpacks/config.toml\nport = 1\n```", "repository's to say"),
        ("```toml\nport = 1\n```", "expected a first line"),
        ('```json\n{"a": }\n```', "malformed"),
        ("```python\nassert False, 'never'\n```", "never"),
    ],
)
def test_an_example_that_does_not_hold_fails(tmp_path: Path, written: str, complaint: str) -> None:
    document = tmp_path / "broken.md"
    document.write_text(f"# Broken\n\n{written}\n", encoding="utf-8")

    with pytest.raises((AssertionError, ConfigError, msgspec.DecodeError)) as caught:
        _evaluate(document, tmp_path, None)

    assert complaint in f"{caught.value} {getattr(caught.value, 'hint', '')}"


def test_a_command_that_is_run_elsewhere_really_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    document = tmp_path / "broken.md"
    document.write_text("```console\n$ ./quickstart\n```\n", encoding="utf-8")
    monkeypatch.setitem(ELSEWHERE, "./quickstart", (".ci/run", "./quickstop"))

    with pytest.raises(SybilFailure, match="run by nothing"):
        _evaluate(document, tmp_path, None)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_block_of_a_document_is_of_a_language_that_is_checked(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()

    fences = [line.removeprefix("```") for line in lines if line.startswith("```")][::2]
    hidden = [line for before, line in zip(["", *lines], lines, strict=False) if line.startswith("    ") and not before]

    assert set(fences) <= _LANGUAGES
    assert hidden == []


def _evaluate(document: Path, directory: Path, lab: Lab | None, names: Mapping[str, str] | None = None) -> None:
    home = directory / "home"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{environment.read()['PATH']}"
    variables = {"HOME": str(home), "LC_ALL": "C.UTF-8", "PATH": path}
    if lab is not None:
        variables |= {"REGISTRY": lab.registry, "BUILDKIT_HOST": lab.buildkit_host, "FLEETPACKS_LAB": str(lab.state)}
    parsed = console.parse(
        document,
        console.block("console", partial(_type, variables)),
        console.block("toml", partial(_load, directory)),
        console.block("json", _decode),
        console.block("python", PythonEvaluator()),
    )
    parsed.namespace.update(names or {})
    for example in parsed.examples():
        example.evaluate()


def _type(variables: dict[str, str], example: Example) -> str | None:
    for step in console.steps_of(str(example.parsed)):
        if not _TYPED.fullmatch(step.command):
            if not run_elsewhere(step.command):
                return f"`{step.command}` is run by nothing: neither {_TYPED.pattern} nor in ELSEWHERE"
            continue
        status, printed = console.run(step.command, variables)
        if status != 0:
            return f"`{step.command}` ended with {status}:\n{printed}"
        if step.shown and not console.agrees(step.shown, printed):
            return f"`{step.command}` printed:\n{printed}"
    return None


def _load(directory: Path, example: Example) -> str | None:
    """Load a file by the real loader; the block's first line says which of the two it is."""
    text = str(example.parsed)
    name = text.splitlines()[0].removeprefix("# ")
    root = directory / "source"
    root.mkdir(exist_ok=True)
    files = {"fleetpacks.toml": root / "fleetpacks.toml", "config.toml": directory / "config.toml"}
    file = files.get(name.rpartition("/")[2])
    if file is None:
        return f"expected a first line such as `# fleetpacks.toml`, got {name!r}"
    file.write_text(text, encoding="utf-8")
    said = {"FLEETPACKS_CONFIG": str(file)} if file.parent == directory else {}
    config = load(root, {"HOME": str(directory), **said})
    for path in (".", *config.tables):
        config.settings_for(path)
    return None


def _decode(example: Example) -> None:
    msgspec.json.decode(str(example.parsed))
