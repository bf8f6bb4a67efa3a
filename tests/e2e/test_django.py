"""A new Django project, as it is begun with: it answers where nothing can be written, and works where it may write."""

import secrets

import httpx
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start, need_bases
from tests.e2e.languages import cases
from tests.lab import Lab
from tests.lab.container import answering, unpacked

pytestmark = [pytest.mark.real, pytest.mark.full]

_CASE = next(case for case in cases() if case.name == "python-django-new")
_LOGIN = "/admin/login/"


async def test_a_new_project_has_its_tables_where_it_may_write_and_answers_without_them_elsewhere(
    lab: Lab, build: Start, real_count: RealCount
) -> None:
    await need_bases(lab, _CASE)
    image = f"{lab.registry}/django-{secrets.token_hex(4)}"
    said: dict[bool, tuple[int, bool]] = {}

    async with build(_CASE.source, image=image) as running:
        ran = await running.end()
    assert ran.code == 0, [*ran.failed().values(), ran.err]
    async with unpacked(lab, image) as here:
        for writable in (False, True):
            async with (
                answering(here, path=_LOGIN, writable=writable) as container,
                httpx.AsyncClient(trust_env=False, base_url=container.url) as http,
            ):
                await http.get(_LOGIN)
                form = {"csrfmiddlewaretoken": http.cookies["csrftoken"], "username": "a", "password": "b"}
                answer = await http.post(_LOGIN, data=form)
                said[writable] = answer.status_code, "no such table" in answer.text
        owner = (here.root / "app").lstat().st_uid
    real_count.record("build")
    real_count.record("start", times=2)
    real_count.record("answer", times=4)

    assert owner == 1000
    assert said == {False: (500, True), True: (200, False)}
