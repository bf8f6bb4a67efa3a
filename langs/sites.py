"""What the tools of front ends make of their sources: files that any server sends, or a server of their own.

Their templates have a `build` script, and often no `start`; or one that serves while somebody works on it. Which of the
two a build makes is known from the packages that it depends on, and for Next.js from its configuration.
"""

import re
from collections.abc import Mapping
from typing import Final

from langs import commands
from langs.errors import LangError
from langs.files import AppFiles
from langs.packagejson import PackageJson

BUILD: Final = "build"

_SERVERS: Final[Mapping[str, str]] = {
    "@astrojs/node": "HOST=0.0.0.0 node ./dist/server/entry.mjs",
    "@react-router/serve": "react-router-serve ./build/server/index.js",
    "@remix-run/serve": "remix-serve ./build/server/index.js",
    "@sveltejs/adapter-node": "node build",
    "nitropack": "node .output/server/index.mjs",
    "nuxt": "node .output/server/index.mjs",
    "next": "next start",
}
"""Package -> what starts the server that the build makes, by the framework's documentation."""
_SITES: Final = (
    *("@11ty/eleventy", "@angular/core", "@docusaurus/core", "@sveltejs/adapter-static", "@vue/cli-service", "astro"),
    *("gatsby", "hexo", "parcel", "preact-cli", "react-scripts", "vitepress", "vuepress"),
)
"""Packages whose builds make files to be sent, where none of the others is there."""
_OUTPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "@angular/core": ("dist/*/browser", "dist/*"),
    "vitepress": ("docs/.vitepress/dist", ".vitepress/dist"),
    "vuepress": ("docs/.vuepress/dist", "src/.vuepress/dist", ".vuepress/dist"),
}
"""Where they are put, when that is a place of the tool's own; the shell knows what a pattern stands for."""
_DEVELOPMENT: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(
        (
            "craco",
            "nodemon",
            "parcel",
            "react-app-rewired",
            "react-scripts",
            "ts-node-dev",
            "vite",
            "webpack-dev-server",
        ),
        frozenset(),
    ),
    **dict.fromkeys(("astro", "next", "nuxi", "nuxt", "vitepress", "vuepress"), frozenset({"dev"})),
    **dict.fromkeys(("hexo", "ng", "vue-cli-service", "webpack"), frozenset({"serve", "server"})),
    **dict.fromkeys(("docusaurus",), frozenset({"start"})),
    **dict.fromkeys(("gatsby",), frozenset({"develop"})),
    **dict.fromkeys(("eleventy", "@11ty/eleventy"), frozenset({"--serve"})),
}
"""Servers for development, with the words of which one makes them that; none, where they are nothing else."""
_ANGULARS_SERVER: Final = "serve:ssr"
_EXPORTS: Final = re.compile(r"""\boutput\s*:\s*['"]export['"]""")
_NEXT_CONFIGS: Final = tuple(f"next.config.{ending}" for ending in ("js", "mjs", "ts"))


def development_server(command: str) -> str | None:
    """The server for development that a command starts: one that compiles while it runs."""
    name = commands.program(command)
    words = command.split()
    if name in {"npx", "bunx", "pnpx"} and len(words) > 1:
        name = words[1]
    telling = _DEVELOPMENT.get(name)
    if telling is None or (telling and telling.isdisjoint(words)):
        return None
    return None if name == "vite" and "preview" in words else name


def server(files: AppFiles, package: PackageJson) -> str | None:
    """What starts the server that the build makes, where no script says it."""
    if BUILD not in package.scripts:
        return None
    found = next((name for name in _SERVERS if name in package.everything), None)
    return None if found is None or _exports(files, package) else _SERVERS[found]


def server_script(package: PackageJson) -> str | None:
    """The script that starts the server which Angular's build makes."""
    return next((name for name in package.scripts if name.startswith(_ANGULARS_SERVER)), None)


def maker(files: AppFiles, package: PackageJson) -> str | None:
    """The package whose build makes a site of files, where nothing in the app starts a server of its own."""
    start = package.scripts.get("start")
    if BUILD not in package.scripts or package.library or server_script(package):
        return None
    if _exports(files, package):
        return "next"
    if (start is not None and development_server(start) is None) or server(files, package):
        return None
    return next((name for name in _SITES if name in package.everything), None)


def outputs(files: AppFiles, package: PackageJson) -> tuple[str, ...]:
    """Where the site is put by a tool that has places of its own."""
    return _OUTPUTS.get(maker(files, package) or "", ())


def _exports(files: AppFiles, package: PackageJson) -> bool:
    """Whether it is an app of Next.js that says that it becomes files."""
    if "next" not in package.everything:
        return False
    config = files.first(*_NEXT_CONFIGS)
    try:
        text = files.read_text(config) if config else None
    except LangError:
        return False
    return text is not None and _EXPORTS.search(text) is not None
