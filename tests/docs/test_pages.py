"""The pages of languages: what they say to type is typed, and gives the Dockerfile that they show."""

import shlex
from pathlib import Path

import pytest

from orchestrator.cli import program
from orchestrator.config import environment
from tests.docs import console
from tests.docs.console import PAGES, ROOT
from tests.e2e import frameworks, pages
from tests.e2e.languages import Case, cases

_LARGEST = 1_000_000


def blocks(document: Path) -> list[console.Step]:
    """The commands of a document, with what stands below them."""
    parsed = console.parse(document, console.block("console", lambda _: None))
    return [step for example in parsed.examples() for step in console.steps_of(str(example.parsed))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_prints_what_stands_below_it(
    page: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # In this process, since starting the program costs more than the plan: the documents' other commands are typed.
    clean = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path)}
    monkeypatch.setattr(environment, "read", lambda: clean)
    monkeypatch.chdir(ROOT)
    planned = [case for case in cases() if case.plan.language == page.stem and case.settings is None]
    steps = blocks(page)
    wrong: dict[str, object] = {}

    for step in steps:
        program_name, *words = shlex.split(step.command.replace("~/", f"{tmp_path}/"))
        code = program.run(words)
        out = capfd.readouterr().out
        if program_name != "fleetpacks" or code != 0 or not console.agrees(step.shown, out):
            wrong[step.command] = (code, out)

    assert sorted(step.command for step in steps) == sorted(map(pages.command, planned))
    assert wrong == {}
    assert {case.name: written(tmp_path / case.name) for case in planned} == {
        case.name: [case.dockerfile] if case.generated else [] for case in planned
    }


def written(directory: Path) -> list[str]:
    """The Dockerfiles below a directory."""
    return [file.read_text(encoding="utf-8") for file in directory.glob("*/Dockerfile")]


@pytest.mark.parametrize(
    "case", [each for each in cases() if frameworks.of(each.name)], ids=lambda each: f"{each.name}"
)
def test_an_app_that_is_called_after_a_framework_speaks_of_it(case: Case) -> None:
    framework = frameworks.of(case.name)
    assert framework is not None

    small = [case.source / file for file in pages.files(case) if (case.source / file).stat().st_size < _LARGEST]
    assert any(framework.said.encode() in file.read_bytes().lower() for file in small)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("nodejs-next-standalone", "Next.js"),
        ("nodejs-pnpm-react-router", "React Router"),
        ("python-django-static", "Django"),
        ("java-maven-spring", "Spring Boot"),
        ("nodejs-nextcloud", None),
        ("python-bare", None),
    ],
)
def test_a_framework_is_told_by_whole_words_of_a_name(name: str, title: str | None) -> None:
    found = frameworks.of(name)

    assert (found.title if found else None) == title
