"""Which files of a site are kept by browsers without being asked for again: those whose names have a hash."""

import re

import pytest

from langs import caddyfile


def kept(path: str) -> bool:
    """As the server decides, of files that are there."""
    return re.search(caddyfile.HASHED, path) is not None and re.search(caddyfile.NO_HASH, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/assets/index-DiwrgTda.js",
        "/assets/deep/logo-B6tjYQ_-.svg",
        "/assets/guide.md.C3Zq0zvK.lean.js",
        "/_next/static/chunks/app/layout-0f4a5c2d9e8b7a61.js",
        "/_next/static/Zx81_abc/_buildManifest.js",
        "/_nuxt/DlAUqK2U.js",
        "/_astro/about.Bq3kYw1x.css",
        "/_app/immutable/entry/start.CX2kvP1z.js",
        "/main-5YZJ4XKE.js",
        "/static/js/main.073c9b0a.js",
        "/static/js/453.8d3b2a1c.chunk.js",
        "/app-3f1d2c4b5a69788796a5.js",
    ],
)
def test_a_name_with_a_hash_is_kept(path: str) -> None:
    assert kept(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/about/index.html",
        "/assets/logo.svg",
        "/assets/jquery-validate.js",
        "/assets/report-20241122.png",
        "/assets/index-DiwrgTda.html",
        "/_nuxt/builds/latest.json",
        "/_app/version.json",
        "/sw.js",
        "/service-worker.js",
        "/manifest.webmanifest",
        "/robots.txt",
        "/css/bootstrap.min.css",
        "/js/app.bundle.js",
    ],
)
def test_a_name_without_one_is_asked_for_again(path: str) -> None:
    assert not kept(path)
