"""What the templates of front-end frameworks become: a site of files, or the server that their build makes."""

import json
from collections.abc import Mapping

import pytest

import langs
from langs import sites
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write

CADDY = "caddy run --config /etc/caddy/Caddyfile"
PAGE = {"index.html": "<div>"}
EXPRESS = "import express from 'express'\nexpress().listen(process.env.PORT)\n"


def manifest(scripts: Mapping[str, str], *dependencies: str, **more: object) -> str:
    return json.dumps({"scripts": scripts, "dependencies": dict.fromkeys(dependencies, "*"), **more})


@pytest.mark.parametrize(
    ("scripts", "dependencies"),
    [
        ({"start": "ng serve", "build": "ng build"}, ("@angular/core",)),
        ({"start": "react-scripts start", "build": "react-scripts build"}, ("react", "react-scripts")),
        ({"start": "craco start", "build": "craco build"}, ("react-scripts",)),
        ({"dev": "astro dev", "build": "astro build", "preview": "astro preview"}, ("astro",)),
        ({"start": "astro dev", "build": "astro build"}, ("astro",)),
        ({"start": "docusaurus start", "build": "docusaurus build"}, ("@docusaurus/core",)),
        ({"start": "npx @11ty/eleventy --serve", "build": "npx @11ty/eleventy"}, ("@11ty/eleventy",)),
        ({"start": "gatsby develop", "build": "gatsby build"}, ("gatsby",)),
        ({"dev": "vite dev", "build": "vite build"}, ("@sveltejs/kit", "@sveltejs/adapter-static")),
        ({"serve": "vue-cli-service serve", "build": "vue-cli-service build"}, ("@vue/cli-service",)),
        ({"docs:dev": "vitepress dev", "docs:build": "vitepress build"}, ("vitepress",)),
        ({"docs:dev": "vuepress dev docs", "docs:build": "vuepress build docs"}, ("vuepress",)),
        ({"start": "astro preview", "build": "astro build"}, ("astro",)),
        ({"start": "gatsby serve", "build": "gatsby build"}, ("gatsby",)),
        ({"start": "npm run preview", "build": "vite build", "preview": "vite preview"}, ("@sveltejs/adapter-static",)),
        ({"start": "serve -s build", "build": "react-scripts build"}, ("react-scripts",)),
        ({"start": "npx serve --single out", "build": "webpack"}, ("webpack",)),
        ({"start": "npm run build && serve -s dist -l 3000", "build": "esbuild"}, ("serve",)),
    ],
)
def test_a_build_that_makes_files_is_a_site(
    write: Write, scripts: Mapping[str, str], dependencies: tuple[str, ...]
) -> None:
    root = write({"package.json": manifest(scripts, *dependencies)})

    built = langs.build(root, Settings())

    assert (built.language, built.start_command) == ("static", CADDY)
    assert any(each.file == "package.json" for each in built.evidence)
    assert "AS assets" in built.dockerfile


@pytest.mark.parametrize(
    ("lock", "step"), [("package-lock.json", "npm run docs:build"), ("bun.lock", "bun run docs:build")]
)
def test_documents_that_are_all_there_is_are_built_by_their_own_script(write: Write, lock: str, step: str) -> None:
    package = manifest(
        {"docs:dev": "vitepress dev docs", "docs:build": "vitepress build docs"}, "vitepress", main="index.js"
    )
    root = write({"package.json": package, lock: "{}", "docs/index.md": "# Shop\n"})

    built = langs.build(root, Settings())

    assert built.language == "static"
    assert f"    {step}" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "language"),
    [
        pytest.param(
            {
                "package.json": manifest(
                    {"docs:build": "vitepress build", "start": "node server.js"}, "vitepress", "express"
                )
            },
            "nodejs",
            id="a server that a script starts",
        ),
        pytest.param(
            {"package.json": manifest({"docs:build": "vitepress build"}, "vitepress", "express"), "server.js": EXPRESS},
            "nodejs",
            id="a server that stands there",
        ),
        pytest.param(
            {
                "package.json": manifest({"docs:build": "vitepress build"}, "vitepress"),
                "go.mod": "module example.com/shop\n\ngo 1.24\n",
                "main.go": "package main\n\nfunc main() {}\n",
            },
            "go",
            id="a program in another language",
        ),
    ],
)
def test_documents_of_something_else_are_no_part_of_its_image(
    write: Write, files: Mapping[str, str], language: str
) -> None:
    built = langs.build(write(files), Settings())

    assert built.language == language
    assert "docs:build" not in built.dockerfile


@pytest.mark.parametrize(
    "start",
    [
        "vite",
        "vite --host",
        "vite preview",
        "vite preview --port $PORT",
        "npm run dev",
        "npm run build && npm run look",
    ],
)
def test_what_vite_makes_of_a_page_is_a_site_whatever_shows_it(write: Write, start: str) -> None:
    scripts = {"start": start, "dev": "vite", "build": "vite build", "look": "vite preview"}

    built = langs.build(write({"package.json": manifest(scripts, "vite"), **PAGE}), Settings())

    assert (built.language, built.start_command) == ("static", CADDY)
    assert "npm run build" in built.dockerfile


@pytest.mark.parametrize(
    ("start", "roots"),
    [
        ("serve -s www", "www dist build"),
        ("serve -l 3000 -s public/app", "public/app dist build"),
        ("serve -s -p 5000", "dist build"),
        ("serve -s ../dist", "dist build"),
        ("serve -s $(id)", "dist build"),
    ],
)
def test_a_site_is_taken_from_where_its_start_would(write: Write, start: str, roots: str) -> None:
    root = write({"package.json": manifest({"start": start, "build": "webpack"}, "serve")})

    assert f"for root in {roots} out _site" in langs.build(root, Settings()).dockerfile


@pytest.mark.parametrize(
    ("build", "package", "roots"),
    [
        ("ng build", "@angular/core", "dist/*/browser dist/* dist build"),
        ("nuxt generate", "nuxt", ".output/public dist build"),
        ("vitepress build docs", "vitepress", "docs/.vitepress/dist .vitepress/dist dist build"),
        ("astro build", "astro", "dist build"),
    ],
)
def test_a_site_is_taken_from_where_its_tool_puts_it(write: Write, build: str, package: str, roots: str) -> None:
    root = write({"package.json": manifest({"build": build}, package)})

    assert f"for root in {roots} out _site public .;" in langs.build(root, Settings()).dockerfile


@pytest.mark.parametrize(
    ("package", "files", "roots"),
    [
        pytest.param(
            manifest({"build": "next build", "start": "next start"}, "next"),
            {"next.config.mjs": "export default { output: 'export' }\n"},
            "dist build",
            id="Next.js",
        ),
        pytest.param(
            manifest(
                {"build": "react-router build", "start": "react-router-serve ./build/server/index.js"},
                *("@react-router/dev", "@react-router/serve"),
            ),
            {"react-router.config.ts": "export default {\n  ssr: false,\n} satisfies Config;\n"},
            "build/client dist build",
            id="React Router",
        ),
        pytest.param(
            manifest({"build": "remix vite:build", "preview": "vite preview"}, "@remix-run/react", "@remix-run/dev"),
            {"vite.config.ts": "export default defineConfig({\n  plugins: [remix({ ssr: false })],\n});\n"},
            "build/client dist build",
            id="Remix",
        ),
    ],
)
def test_an_app_whose_configuration_says_so_is_a_site(
    write: Write, package: str, files: Mapping[str, str], roots: str
) -> None:
    built = langs.build(write({"package.json": package, **files}), Settings())

    assert built.language == "static"
    assert f"for root in {roots} out" in built.dockerfile


def test_a_comment_in_a_configuration_says_nothing(write: Write) -> None:
    package = manifest({"build": "next build", "start": "next start"}, "next")
    root = write({"package.json": package, "next.config.js": "module.exports = {\n  // output: 'export',\n}\n"})

    assert langs.build(root, Settings()).start_command == "next start"


def test_a_site_that_is_built_comes_before_a_dockerfile(write: Write) -> None:
    package = manifest({"dev": "vite", "build": "vite build"}, "vite")
    root = write({"package.json": package, "index.html": "<div>", "Dockerfile": "FROM nginx\n"})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert (detection.language, detection.considered[:1]) == ("static", ("dockerfile",))


@pytest.mark.parametrize(
    ("files", "start"),
    [
        pytest.param(
            {"package.json": manifest({"build": "nuxt build", "dev": "nuxt dev"}, "nuxt")},
            "node .output/server/index.mjs",
            id="Nuxt",
        ),
        pytest.param(
            {"package.json": manifest({"build": "vite build"}, "@sveltejs/kit", "@sveltejs/adapter-node")},
            "node build",
            id="SvelteKit",
        ),
        pytest.param(
            {"package.json": manifest({"start": "astro dev", "build": "astro build"}, "astro", "@astrojs/node")},
            "node ./dist/server/entry.mjs",
            id="Astro",
        ),
        pytest.param(
            {
                "package.json": manifest(
                    {"start": "ng serve", "build": "ng build", "serve:ssr:shop": "node dist/shop/server/server.mjs"},
                    "@angular/core",
                    "express",
                )
            },
            "node dist/shop/server/server.mjs",
            id="Angular",
        ),
        pytest.param(
            {"package.json": manifest({"build": "nest build", "start:prod": "node dist/main"}, "@nestjs/core")},
            "node dist/main",
            id="Nest",
        ),
        pytest.param(
            {"package.json": manifest({"build": "nest build", "start": "nest start"}, "@nestjs/core")},
            "node dist/main",
            id="Nest's own start",
        ),
        pytest.param(
            {"package.json": manifest({"build": "nest build", "start": "node dist/src/main"}, "@nestjs/core")},
            "node dist/src/main",
            id="Nest, started as somebody chose",
        ),
        pytest.param(
            {"package.json": manifest({"start": "serve build", "build": "react-scripts build"}, "react-scripts")},
            "serve build",
            id="a server that somebody chose",
        ),
        pytest.param(
            {
                "package.json": manifest({"start": "serve -s build", "build": "react-scripts build"}, "react-scripts"),
                "serve.json": "{}",
            },
            "serve -s build",
            id="a server with a configuration",
        ),
        pytest.param(
            {"package.json": manifest({"start": "node seed.js && serve -s build", "build": "x"}, "serve")},
            "node seed.js && serve -s build",
            id="a server, and more",
        ),
        pytest.param(
            {
                "package.json": manifest({"start": "vite build && node server.js", "build": "vite build"}, "vite"),
                **PAGE,
            },
            "vite build && node server.js",
            id="a server behind a build",
        ),
        pytest.param(
            {
                "package.json": manifest(
                    {"start": "vite preview", "build": "vite build"}, "@sveltejs/kit", "@sveltejs/adapter-node"
                )
            },
            "node build",
            id="SvelteKit, for a look",
        ),
        pytest.param(
            {"package.json": manifest({"start": "astro preview", "build": "astro build"}, "astro", "@astrojs/node")},
            "node ./dist/server/entry.mjs",
            id="Astro, for a look",
        ),
        pytest.param(
            {
                "package.json": manifest({"build": "tsc"}, "express", main="dist/index.js"),
                "source/index.ts": EXPRESS,
            },
            "node dist/index.js",
            id="an entry that the build makes",
        ),
        pytest.param(
            {
                "package.json": manifest({"dev": "tsx watch src/index.ts"}, "express", devDependencies={"tsx": "4"}),
                "src/index.ts": EXPRESS,
            },
            "tsx src/index.ts",
            id="an entry that a loader runs",
        ),
    ],
)
def test_a_build_that_makes_a_server_is_started(write: Write, files: Mapping[str, str], start: str) -> None:
    built = langs.build(write(files), Settings())

    assert (built.language, built.start_command) == ("nodejs", start)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"package.json": manifest({"build": "astro build"}, "astro", peerDependencies={"astro": "5"})},
            id="an integration of Astro",
        ),
        pytest.param(
            {"package.json": manifest({"build": "tsc"}, "@nestjs/core", types="dist/index.d.ts")},
            id="a module for Nest",
        ),
        pytest.param({"package.json": manifest({"lint": "ng lint"}, "@angular/core")}, id="nothing is built"),
        pytest.param(
            {"package.json": manifest({"docs:build": "vitepress build docs"}, "vitepress", exports="./shop.js")},
            id="a library with documents",
        ),
        pytest.param(
            {
                "package.json": manifest({"docs:build": "vitepress build docs"}, "vitepress", main="index.js"),
                "index.js": "module.exports = {}\n",
            },
            id="a library that says nothing of itself, with documents",
        ),
        pytest.param(
            {"package.json": manifest({"docs:build": "vitepress build docs"}, "vitepress", bin="shop.js")},
            id="a program for others, with documents",
        ),
        pytest.param(
            {"package.json": manifest({"build": "tsc"}, "express", main="dist/i.js", types="dist/i.d.ts")},
            id="a library that is built",
        ),
        pytest.param(
            {
                "package.json": manifest({"build": "ncc build"}, "@actions/core", main="dist/index.js"),
                "action.yml": "runs: {using: node20, main: dist/index.js}\n",
                "dist/index.js": "require('http').createServer()\n",
            },
            id="an action of GitHub",
        ),
    ],
)
def test_what_is_built_for_others_is_no_app(write: Write, files: Mapping[str, str]) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert not detection.is_app


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("vite preview --host", "vite"),
        ("NODE_ENV=production vite preview", "vite"),
        ("tsc && vite build && vite preview", None),
        ("vite build && vite preview", "vite"),
        ("npx serve -s dist", "serve"),
        ("serve dist", None),
        ("sirv public --single", "sirv"),
        ("sirv public", None),
        ("astro dev", None),
        ("vite", None),
        ("", None),
    ],
)
def test_programs_for_a_look_at_what_was_built_are_known(command: str, program: str | None) -> None:
    assert sites.previewer(command) == program


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("vite", "vite"),
        ("vite preview --host", None),
        ("vite build", "vite"),
        ("PORT=3000 react-scripts start", "react-scripts"),
        ("next start", None),
        ("next dev", "next"),
        ("react-router dev", "react-router"),
        ("nest start", "nest"),
        ("npx @11ty/eleventy", None),
        ("npx @11ty/eleventy --serve", "@11ty/eleventy"),
        ("gatsby serve", None),
        ("npx", None),
        ("", None),
    ],
)
def test_servers_for_development_are_known(command: str, server: str | None) -> None:
    assert sites.development_server(command) == server


SVELTEKIT = ("@sveltejs/adapter-auto", "@sveltejs/kit", "vite")


@pytest.mark.parametrize("start", [{}, {"start": "vite preview"}, {"start": "npm run dev"}])
def test_an_adapter_that_makes_nothing_for_an_image_is_a_problem_of_an_app(
    write: Write, start: Mapping[str, str]
) -> None:
    scripts = {"dev": "vite dev", "build": "vite build", **start}
    root = write({"package.json": manifest(scripts, *SVELTEKIT)})

    seen = langs.look(root, Settings())

    assert seen.detection is not None
    assert (seen.detection.language, seen.detection.is_app) == ("nodejs", True)
    assert isinstance(seen.problem, LangError)
    assert seen.problem.message == "@sveltejs/adapter-auto makes nothing that starts in an image"
    assert "@sveltejs/adapter-node (a server) or @sveltejs/adapter-static (files)" in seen.problem.hint


@pytest.mark.parametrize(
    ("said", "start"),
    [
        (manifest({"build": "vite build", "start": "node server.js"}, *SVELTEKIT), "node server.js"),
        (manifest({"build": "vite build"}, *SVELTEKIT, "@sveltejs/adapter-node"), "node build"),
        (manifest({"build": "vite build"}, *SVELTEKIT, "@sveltejs/adapter-static"), CADDY),
    ],
)
def test_such_an_adapter_is_none_beside_another_or_a_start(write: Write, said: str, start: str) -> None:
    assert langs.build(write({"package.json": said}), Settings()).start_command == start


def test_a_library_for_such_an_adapter_is_none(write: Write) -> None:
    root = write({"package.json": manifest({"build": "vite build"}, *SVELTEKIT, exports={".": "./dist/index.js"})})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert not detection.is_app
