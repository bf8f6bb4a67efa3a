"""Secrets that invalidate, in generated Dockerfiles: each step that reads one is told of another value, no image is."""

from pathlib import Path

import msgspec
import pytest

from langs.model import SECRETS_VERSION
from tests.langs import splitter
from tests.langs.test_apps import GENERATED, build, settings_of

_TEMPLATES = Path(__file__).parents[2] / "langs/templates"
_ARG = ("ARG", SECRETS_VERSION)


def _stages(text: str) -> list[list[tuple[str, str]]]:
    stages: list[list[tuple[str, str]]] = [[]]
    for instruction in splitter.split(text):
        if instruction[0] == "FROM":
            stages.append([])
        stages[-1].append(instruction)
    return stages


@pytest.mark.parametrize("case", GENERATED)
def test_each_step_that_reads_one_comes_after_its_version_and_the_last_stage_has_none(case: str) -> None:
    plain = msgspec.structs.replace(settings_of(case), secrets=("LICENCE", "TOKEN"))

    text = build(case, msgspec.structs.replace(plain, invalidating=("LICENCE",))).dockerfile

    *stages, last = _stages(text)
    reading = [
        (stage, index)
        for stage in stages
        for index, (keyword, rest) in enumerate(stage)
        if keyword == "RUN" and "id=LICENCE," in rest
    ]
    assert all(_ARG in stage[:index] for stage, index in reading)
    assert (_ARG in splitter.split(text)) == bool(reading)
    assert not any(keyword == "ARG" or "LICENCE" in rest for keyword, rest in last)
    # Turborepo's own cache knows nothing of secrets, and is not asked then.
    same = text.replace(f"ARG {SECRETS_VERSION}\n", "").replace(" --force --filter=", " --filter=")
    assert same == build(case, plain).dockerfile


@pytest.mark.parametrize("template", sorted(_TEMPLATES.glob("*.Dockerfile.j2")), ids=lambda file: file.name)
def test_no_step_of_a_last_stage_reads_secrets_whatever_the_app(template: Path) -> None:
    last = template.read_text().rpartition("FROM {{ runtime }}")[2]

    assert "step.ending(" in last
    assert "step.run(" not in last
    assert "step.user_command(" not in last
