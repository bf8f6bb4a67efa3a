"""A built site, served: which page a path gets, what is compressed, and what a browser may keep."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab
from tests.lab.container import started

pytestmark = pytest.mark.real

_HASHED = "/assets/index-DiwrgTda.js"
_FOREVER = "public, max-age=31536000, immutable"
_BUILD = """
const { mkdirSync, writeFileSync } = require("node:fs");
mkdirSync("dist/assets", { recursive: true });
writeFileSync("dist/index.html", "<h1>Shop</h1>\\n");
writeFileSync("dist/about.html", "<h1>About</h1>\\n");
writeFileSync("dist/assets/index-DiwrgTda.js", "console.log(1);\\n".repeat(100));
writeFileSync("dist/assets/logo.svg", "<svg/>\\n");
for (const name of process.argv.slice(2)) writeFileSync(`dist/${name}`, `<h1>${name}</h1>\\n`);
"""


def site(folder: Path, *pages: str) -> Path:
    """An app whose build leaves these pages beside the others."""
    folder.mkdir()
    (folder / "package.json").write_text(f'{{"scripts": {{"build": "node build.cjs {" ".join(pages)}"}}}}')
    (folder / "index.html").write_text("<p>for development</p>")
    (folder / "build.cjs").write_text(_BUILD)
    return folder


async def served(
    lab: Lab, build: Start, source: Path, real_count: RealCount, asked: Mapping[str, Mapping[str, str]]
) -> dict[str, httpx.Response]:
    """The answers of the built and started site to these paths, asked for with these headers."""
    image = f"{lab.registry}/e2e-{secrets.token_hex(4)}"
    async with build(source, image=image) as running:
        ran = await running.end()
    assert ran.code == 0, [*ran.failed().values(), ran.err]
    real_count.record("build")
    async with started(lab, image) as container, httpx.AsyncClient(trust_env=False) as http:
        real_count.record("start")
        answers = {path: await http.get(container.url + path, headers=dict(said)) for path, said in asked.items()}
        again = answers["/"].headers.get("ETag", "")
        answers["again"] = await http.get(container.url, headers={"If-None-Match": again})
        assert container.uid == 1000
    real_count.record("answer", times=len(answers))
    return answers


async def test_a_single_page_application_is_sent_small_and_kept_where_its_names_have_hashes(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    asked = {path: {"Accept-Encoding": "gzip"} for path in ("/", "/orders/42", "/about", "/assets/logo.svg", _HASHED)}
    gone = "/assets/index-Ab0Cd1Ef.js"

    answers = await served(lab, build, site(tmp_path / "app"), real_count, {**asked, gone: {}})

    pages = {path: answers[path].text.strip() for path in ("/", "/orders/42", "/about")}
    assert pages == {"/": "<h1>Shop</h1>", "/orders/42": "<h1>Shop</h1>", "/about": "<h1>About</h1>"}
    assert {answers[path].headers["Cache-Control"] for path in (*pages, "/assets/logo.svg")} == {"no-cache"}
    assert answers[_HASHED].headers["Cache-Control"] == _FOREVER
    assert answers[_HASHED].headers["Content-Encoding"] == "gzip"
    # A file of an earlier build is gone, and is not a page that a browser would keep under its name.
    assert answers[gone].status_code == httpx.codes.NOT_FOUND
    assert answers[gone].headers.get("Cache-Control") != _FOREVER
    assert answers["again"].status_code == httpx.codes.NOT_MODIFIED


async def test_a_site_with_a_page_for_what_is_not_there_says_so_but_where_it_routes_itself(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    plain: dict[str, Mapping[str, str]] = {"/": {}, "/about": {}, "/orders/42": {}}

    static = await served(lab, build, site(tmp_path / "static", "404.html"), real_count, plain)
    routed = await served(lab, build, site(tmp_path / "routed", "404.html", "200.html"), real_count, plain)

    assert (static["/about"].status_code, static["/about"].text) == (200, "<h1>About</h1>\n")
    assert (static["/orders/42"].status_code, static["/orders/42"].text) == (404, "<h1>404.html</h1>\n")
    assert (routed["/orders/42"].status_code, routed["/orders/42"].text) == (200, "<h1>200.html</h1>\n")
