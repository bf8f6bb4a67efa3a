"""The Dockerfiles that `runtimes` holds against the planned one: another end, and nothing else."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import runtimes, variants
from tests.langs import splitter

_APPS = Path(__file__).parents[1] / "apps"
_SPRING = (_APPS / "java-maven-spring" / "Dockerfile.golden").read_text(encoding="utf-8")
_RUST = (_APPS / "rust-axum" / "Dockerfile.golden").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("planned", "change"),
    [
        pytest.param(_SPRING, partial(variants.on, base="scratch"), id="on"),
        pytest.param(_SPRING, partial(variants.linked, base="debian:bookworm-slim"), id="linked"),
        pytest.param(_SPRING, variants.launched, id="launched"),
        pytest.param(_SPRING, variants.archived, id="archived"),
        pytest.param(_RUST, variants.with_own_libraries, id="with_own_libraries"),
    ],
)
def test_what_is_built_before_the_last_stage_and_how_the_image_ends_stays(
    planned: str, change: Callable[[str], str]
) -> None:
    ending = splitter.split(planned)[-6:-1]

    made = change(planned)

    assert made.startswith(variants.cut(planned).before)
    assert splitter.split(made)[-6:-1] == ending
    assert variants.cut(made).steps.endswith("\n")


def test_the_archive_is_made_by_the_image_that_runs_and_read_at_its_start() -> None:
    instructions = splitter.split(variants.archived(_SPRING))

    bases = [rest for keyword, rest in instructions if keyword == "FROM"]
    trained = [rest for keyword, rest in instructions if keyword == "RUN" and "ArchiveClassesAtExit" in rest]
    assert bases[-3:] == ["eclipse-temurin:21-jre AS app", "app AS trained", "app AS runtime"]
    assert len(trained) == 1
    assert "SharedArchiveFile" not in trained[0]
    assert splitter.cmd(variants.archived(_SPRING))[-1].endswith("-XX:SharedArchiveFile=app.jsa -jar app.jar")


def test_the_launcher_starts_what_was_not_taken_apart() -> None:
    text = variants.launched(_SPRING)

    copied = [rest for keyword, rest in splitter.split(text) if keyword == "COPY"]
    assert "--from=builder" not in text
    assert [each.split()[-1] for each in copied[-2:]] == ["./BOOT-INF/lib", "./"]
    assert splitter.cmd(text)[-1].endswith("-cp . org.springframework.boot.loader.launch.JarLauncher")


@pytest.mark.parametrize("text", ["", "FROM a\n", "FROM a AS b\nRUN c\n", "FROM a AS b\nFROM c\n"])
def test_what_is_no_planned_dockerfile_is_not_cut(text: str) -> None:
    with pytest.raises(ValueError, match="expected a last stage"):
        variants.cut(text)


@pytest.mark.parametrize("case", runtimes.CHANGES)
def test_what_is_changed_in_a_source_is_there(case: str) -> None:
    file, before, after = runtimes.CHANGES[case]

    text = (_APPS / case / "app" / file).read_text(encoding="utf-8")

    assert text.count(before) == 1
    assert after % "word" not in text
