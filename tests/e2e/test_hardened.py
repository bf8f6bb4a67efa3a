"""Hardened images: an app is built and answers on an image that has no shell, as the user `nonroot`.

The hardened images themselves are not to be had here. In their place stand the lab's Node.js under their names, the one
that runs without a shell and with their user.
"""

import json
import secrets
from pathlib import Path

import httpx
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.lab import Lab
from tests.lab.container import started

pytestmark = pytest.mark.real

_SERVER = """
const { existsSync } = require('node:fs')
require('node:http').createServer((_, answer) => {
  answer.end(JSON.stringify({ shell: existsSync('/bin/sh'), uid: process.getuid(), port: process.argv[2] }))
}).listen(process.env.PORT)
"""
_RUN = """
FROM node:22.16.0
RUN groupadd --gid 65532 nonroot && useradd --uid 65532 --gid nonroot nonroot && rm -f /bin/*sh /usr/bin/*sh
USER nonroot
"""


async def test_an_app_answers_on_an_image_without_a_shell(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    place = f"{lab.registry}/hardened-{secrets.token_hex(4)}"
    files = {
        "dev/Dockerfile": "FROM node:22.16.0\n",
        "run/Dockerfile": _RUN,
        "app/server.js": _SERVER,
        "app/package.json": '{"scripts": {"start": "node server.js $PORT"}, "engines": {"node": "22.16.0"}}',
        "app/package-lock.json": '{"lockfileVersion": 3, "packages": {}}',
    }
    for name, text in files.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(text)

    async def built(app: str, image: str, variables: dict[str, str]) -> Ran:
        document = tmp_path / f"{app}.json"
        async with build(
            tmp_path / "source" / app, "--result-file", str(document), image=image, variables=variables
        ) as running:
            ran = await running.end()
        assert ran.code == 0, [*ran.failed().values(), ran.err]
        real_count.record("build")
        return ran

    await built("dev", f"{place}/node:22.16.0-dev", {})
    await built("run", f"{place}/node:22.16.0", {})
    await built("app", f"{place}/app:v1", {"USE_DHI": "true", "DHI_MIRROR": f"http://{place}"})
    async with started(lab, f"{place}/app:v1") as container, httpx.AsyncClient(trust_env=False) as http:
        real_count.record("start")
        answer = await http.get(container.url)
        real_count.record("answer")

    assert answer.json() == {"shell": False, "uid": 65532, "port": "5000"}
    assert json.loads((tmp_path / "app.json").read_text())["_shell"] is False
    assert json.loads((tmp_path / "dev.json").read_text())["_shell"] is True
