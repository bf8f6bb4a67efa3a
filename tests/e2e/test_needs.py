"""An app whose Dockerfile stands on another app's image, built by real builders."""

import secrets
from pathlib import Path

import httpx
import pytest

from orchestrator.events import AppCompleted, AppStarted
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.lab import Engine, Lab
from tests.lab.container import started

pytestmark = pytest.mark.real

_SERVE = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("/srv/words.txt", "rb").read() + open("/srv/extra.txt", "rb").read())

http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
_WEB = """
FROM base
COPY --from=extra /extra.txt /srv/
COPY serve.py /
USER 1000:1000
CMD ["python", "/serve.py"]
"""
_BASE = "FROM python:3.12-slim\nCOPY words.txt /srv/\n"
_EXTRA = "FROM scratch\nCOPY extra.txt /\n"


def write(root: Path, word: str, *, base: str = _BASE) -> Path:
    files = {
        # By their names, the needed apps would come last.
        "admin/Dockerfile": _WEB,
        "admin/serve.py": _SERVE,
        "admin/fleetpacks.toml": 'contexts = { base = "app:zbase", extra = "app:yextra" }\n',
        "yextra/Dockerfile": _EXTRA,
        "yextra/extra.txt": f"extra {word}",
        "zbase/Dockerfile": base,
        "zbase/words.txt": f"base {word}, ",
        "other/Dockerfile": "FROM scratch\nCOPY x /\n",
        "other/x": word,
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def times(ran: Ran, app: str) -> tuple[float, float]:
    """When an app was started, and when it was there."""
    [began] = [event.time for event in ran.events if isinstance(event, AppStarted) and event.app == app]
    [ended] = [event.time for event in ran.events if isinstance(event, AppCompleted) and event.app == app]
    return began, ended


async def test_an_app_waits_for_the_images_that_it_stands_on_and_answers_with_what_they_hold(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    place = f"{lab.registry}/needs-{secrets.token_hex(4)}"
    root = write(tmp_path / "source", first)

    # Who builds one builds what it needs, and nothing else.
    async with build(root, "admin", image=f"{place}/{{app}}") as running:
        ran = await running.end()
    assert (ran.code, ran.err, set(ran.completed())) == (0, "", {"admin", "yextra", "zbase"})
    async with started(lab, f"{place}/admin:latest") as container, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(container.url)
    write(root, second)
    async with build(root, image=f"{place}/{{app}}") as running:
        again = await running.end()
    assert (again.code, set(again.completed())) == (0, {"admin", "other", "yextra", "zbase"})

    for needed in ("yextra", "zbase"):
        assert times(ran, needed)[1] <= times(ran, "admin")[0]
    assert answer.text == f"base {first}, extra {first}"
    # The images are used by their digests: their tags are the same.
    assert again.completed()["admin"].digest != ran.completed()["admin"].digest
    real_count.record("build", times=7)
    real_count.record("start")
    real_count.record("answer")


async def test_what_stands_on_a_failed_app_is_not_built_and_nothing_else_is_the_worse(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root = write(tmp_path / "source", secrets.token_hex(8), base=f"{_BASE}RUN exit 3\n")

    async with build(root, image=f"{lab.registry}/needs-{secrets.token_hex(4)}/{{app}}") as running:
        ran = await running.end()

    failed = ran.failed()
    assert {name: event.kind for name, event in failed.items()} == {"zbase": "build", "admin": "needed"}
    assert failed["admin"].message == "not built: it needs zbase, which failed"
    assert failed["admin"].hint
    assert set(ran.completed()) == {"other", "yextra"}
    assert ran.code == 1
    real_count.record("build", times=2)


async def test_a_services_image_stands_on_another_services(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    word = secrets.token_hex(8)
    root = write(tmp_path / "source", word)
    (root / "admin/fleetpacks.toml").unlink()
    (root / "compose.yaml").write_text(
        """
services:
  web:
    build:
      context: admin
      additional_contexts:
        base: service:words
        extra: service:extra
  words: { build: zbase }
  extra: { build: yextra }
"""
    )
    place = f"{lab.registry}/needs-{secrets.token_hex(4)}"

    async with build(root, "compose.yaml#web", image=f"{place}/{{app}}") as running:
        ran = await running.end()
    assert (ran.code, set(ran.completed())) == (0, {"web", "words", "extra"})
    async with started(lab, f"{place}/web:latest") as container, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(container.url)

    assert answer.text == f"base {word}, extra {word}"
    real_count.record("build", times=3)
    real_count.record("start")
    real_count.record("answer")


async def test_of_a_chain_only_what_a_change_reaches_is_built_again(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root = tmp_path / "source"
    files = {
        "base/Dockerfile": "FROM scratch\nCOPY word /\n",
        "base/word": secrets.token_hex(8),
        "middle/Dockerfile": "FROM below\nCOPY Dockerfile /\n",
        "middle/fleetpacks.toml": 'contexts = { below = "app:base" }\n',
        "top/Dockerfile": "FROM scratch\nCOPY --from=below /word /\n",
        "top/fleetpacks.toml": 'contexts = { below = "app:middle" }\n',
        "other/Dockerfile": f"FROM scratch\nLABEL word={secrets.token_hex(8)}\n",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    image = f"{lab.registry}/needs-{secrets.token_hex(4)}/{{app}}"

    async def built() -> set[str]:
        async with build(root, image=image) as running:
            ran = await running.end()
        assert (ran.code, len(ran.completed())) == (0, 4)
        return {name for name, event in ran.completed().items() if not event.skipped}

    first = await built()
    unchanged = await built()
    (root / "base/word").write_text(secrets.token_hex(8))
    below = await built()
    (root / "middle/Dockerfile").write_text("FROM below\nCOPY Dockerfile /\nLABEL new=er\n")
    between = await built()

    assert first == {"base", "middle", "top", "other"}
    assert unchanged == set()
    assert below == {"base", "middle", "top"}
    assert between == {"middle", "top"}
    real_count.record("build", times=9)


async def test_an_engine_with_an_image_store_does_the_same(
    lab: Lab, build: Start, real_count: RealCount, engine_containerd: Engine, tmp_path: Path
) -> None:
    root = write(tmp_path / "source", secrets.token_hex(8))
    image = f"{lab.registry}/needs-{secrets.token_hex(4)}/{{app}}"

    async with build(root, "admin", image=image, host=f"docker://{engine_containerd.socket}") as running:
        ran = await running.end()

    assert (ran.code, set(ran.completed())) == (0, {"admin", "yextra", "zbase"})
    real_count.record("build", times=3)


async def test_a_builder_that_would_look_for_an_image_of_that_name_is_not_asked(
    lab: Lab, build: Start, engine_graph: Engine, tmp_path: Path
) -> None:
    root = write(tmp_path / "source", secrets.token_hex(8))
    image = f"{lab.registry}/needs-{secrets.token_hex(4)}/{{app}}"

    async with build(root, "admin", image=image, host=f"docker://{engine_graph.socket}") as running:
        refused = await running.end()

    assert (refused.code, refused.completed()) == (2, {})
    assert "contexts: this builder (engine, graph driver) cannot" in refused.err
