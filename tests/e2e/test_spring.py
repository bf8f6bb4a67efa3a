"""Spring Boot's jars are taken apart, whichever release and configuration made them; what cannot be is a directory."""

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start, need_bases
from tests.e2e.languages import cases
from tests.lab import Lab
from tests.lab.container import answering, unpacked

pytestmark = [pytest.mark.real, pytest.mark.full]

_CASE = next(case for case in cases() if case.name == "java-maven-spring")
_RELEASE, _PLUGIN = "<version>3.4.1<", "<artifactId>spring-boot-maven-plugin</artifactId>"
_CHANGES: Mapping[str, tuple[str, str]] = {
    "before-jarmode-tools": (_RELEASE, "<version>3.2.12<"),
    "generation-2": (_RELEASE, "<version>2.7.18<"),
    "executable": (_PLUGIN, f"{_PLUGIN}<configuration><executable>true</executable></configuration>"),
    "properties-launcher": (_PLUGIN, f"{_PLUGIN}<configuration><layout>ZIP</layout></configuration>"),
}
"""App -> what its pom says in the place of what the example's does."""


async def test_a_jar_of_any_release_and_kind_is_taken_apart_as_far_as_it_may_be_and_answers(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    await need_bases(lab, _CASE)
    for app, (before, after) in _CHANGES.items():
        shutil.copytree(_CASE.source, tmp_path / app)
        pom = tmp_path / app / "pom.xml"
        text = pom.read_text(encoding="utf-8")
        assert text.count(before) == 1
        pom.write_text(text.replace(before, after), encoding="utf-8")
    place = f"{lab.registry}/spring-{secrets.token_hex(4)}"

    async with build(tmp_path, *_CHANGES, image=f"{place}/{{app}}") as running:
        ran = await running.end()
    found: dict[str, tuple[set[str], object]] = {}
    for app in _CHANGES:
        async with unpacked(lab, f"{place}/{app}:latest") as here:
            names = {path.name for path in (here.root / "app").iterdir()}
            async with answering(here, path="/?name=lab") as container, httpx.AsyncClient(trust_env=False) as http:
                found[app] = names, json.loads((await http.get(f"{container.url}/?name=lab")).text)

    assert ran.code == 0, [*ran.failed().values(), ran.err]
    real_count.record("build", times=len(_CHANGES))
    real_count.record("start", times=len(_CHANGES))
    real_count.record("answer", times=len(_CHANGES))
    answer = {"greeting": "Hello, lab!"}
    apart = {"app.jar", "lib"}
    assert found == {
        app: (apart | {"BOOT-INF", "META-INF", "org"} if app == "properties-launcher" else apart, answer)
        for app in _CHANGES
    }
