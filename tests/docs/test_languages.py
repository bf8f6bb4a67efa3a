"""The table of languages and the README's claim are made from what was seen, and never by hand."""

from msgspec.structs import replace

from orchestrator.bases.recipes import load
from tests.e2e.documents import PAGES, documents
from tests.e2e.languages import Answered, Case, cases, claim, table


def answered(case: Case) -> Case:
    """The case, as if it had been built a moment ago."""
    seen = Answered(dockerfile=case.digest, date="2026-11-21", commit="0" * 12, machine="", seconds={})
    return replace(case, answered=seen)


def a_case(dockerfile: str) -> Case:
    real = next(case for case in cases() if case.real is not None and case.real.stand_in is None)
    return answered(replace(real, dockerfile=dockerfile, plan=replace(real.plan, language="python")))


def test_the_documents_say_what_was_seen() -> None:
    wanted = documents(cases())

    old = [file.name for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    assert old == [], "`poe languages` writes them anew"
    assert set(PAGES.glob("*.md")) <= set(wanted)


def test_an_app_whose_dockerfile_has_changed_since_it_answered_counts_as_not_built() -> None:
    case = a_case("FROM python:3.13 AS runtime\n")

    changed = replace(case, dockerfile="FROM python:3.13-slim AS runtime\n")

    assert case.status == "built and answered"
    assert changed.status == "checked by lint and outline only"


def test_a_base_image_that_holds_another_version_is_a_stand_in() -> None:
    case = a_case("FROM python:3.12 AS builder\nFROM python:3.12-slim AS runtime\n")

    assert case.status == "built with stand-in"
    assert case.stand_ins() == ("Python 3.13 as `python:3.12`",)
    assert "| built with stand-in Python 3.13 as `python:3.12` |" in table([case])
    assert claim([case]) == "Of 1 languages, the apps of 0 were built and answered, those of 1 more with a stand-in."


def test_the_bases_of_every_app_that_is_built_have_recipes() -> None:
    made = {name for recipe in load().images for name in recipe.names}

    assert {name: case.name for case in cases() if case.real for name in case.bases() if name not in made} == {}
