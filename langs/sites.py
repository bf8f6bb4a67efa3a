"""What the tools of front ends make of their sources: files that any server sends, or a server of their own.

Their templates have a `build` script, and often no `start`; or one that serves while somebody works on it. Which of the
two a build makes is known from the packages that it depends on, and for some from its configuration.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from langs import commands, frameworks
from langs.files import AppFiles
from langs.frameworks import NEXT_CONFIGS, Statement
from langs.packagejson import PackageJson


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A framework whose build makes a server, or files where the app says so."""

    package: str
    said: Statement | None = None
    """What its configuration says then."""
    script: str | None = None
    """The word of the build script that says so."""
    outputs: tuple[str, ...] = ()
    """As `_OUTPUTS`."""

    def holds(self, files: AppFiles, package: PackageJson) -> bool:
        """Whether the app becomes files."""
        if self.package not in package.everything:
            return False
        scripted = self.script is not None and self.script in package.scripts.get(frameworks.BUILD, "").split()
        return scripted or (self.said is not None and self.said.holds(files))


_EXPORTS: Final = (
    Export(package="next", said=Statement(files=NEXT_CONFIGS, key="output", value="export")),
    Export(
        package="@react-router/dev",
        said=Statement(
            files=("react-router.config.ts", "react-router.config.js", "react-router.config.mjs"),
            key="ssr",
            value="false",
        ),
        outputs=("build/client",),
    ),
    Export(
        package="@remix-run/dev",
        said=Statement(files=("vite.config.ts", "vite.config.js", "vite.config.mjs"), key="ssr", value="false"),
        outputs=("build/client",),
    ),
    Export(package="nuxt", script="generate", outputs=(".output/public",)),
)
_SITES: Final = (
    *("@11ty/eleventy", "@angular/core", "@docusaurus/core", "@sveltejs/adapter-static", "@vue/cli-service", "astro"),
    *("gatsby", "hexo", "parcel", "preact-cli", "react-scripts", "vitepress", "vuepress"),
)
"""Packages whose builds make files to be sent, where none of the others is there."""
_SCRIPTS: Final = dict.fromkeys(("vitepress", "vuepress"), "docs:build")
"""What their beginnings call the script that builds: documents often lie beside what has a `build` of its own."""
_NPMS_ENTRY: Final = "index.js"
"""What `npm init` says of every package."""
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
    **dict.fromkeys(("react-router", "vinxi"), frozenset({"dev"})),
    **dict.fromkeys(("hexo", "ng", "vue-cli-service", "webpack"), frozenset({"serve", "server"})),
    **dict.fromkeys(("docusaurus", "nest"), frozenset({"start"})),
    **dict.fromkeys(("gatsby",), frozenset({"develop"})),
    **dict.fromkeys(("eleventy", "@11ty/eleventy"), frozenset({"--serve"})),
}
"""Servers for development, with the words of which one makes them that; none, where they are nothing else."""
_ANGULARS_SERVER: Final = "serve:ssr"


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
    found = frameworks.of(package)
    return None if found is None or not found.evident or _export(files, package) else found.start


def instead(files: AppFiles, package: PackageJson) -> str | None:
    """What starts the server that the build makes, where a script starts one for development."""
    found = frameworks.of(package)
    return None if found is None or _export(files, package) else found.start


def server_script(package: PackageJson) -> str | None:
    """The script that starts the server which Angular's build makes."""
    return next((name for name in package.scripts if name.startswith(_ANGULARS_SERVER)), None)


def script(files: AppFiles, package: PackageJson, *, site: bool) -> str | None:
    """The script that builds the app.

    Args:
        files: the app's.
        package: its package.json.
        site: whether files are all that is made; in any other app, a script for documents is for whoever works on it.
    """
    if frameworks.BUILD in package.scripts:
        return frameworks.BUILD
    more = package.library or package.programs or package.module or package.main not in {None, _NPMS_ENTRY}
    if not site or more or files.exists(_NPMS_ENTRY):
        return None
    names = (name for tool, name in _SCRIPTS.items() if tool in package.everything)
    return next((name for name in names if name in package.scripts), None)


def maker(files: AppFiles, package: PackageJson) -> str | None:
    """The package whose build makes a site of files, where nothing in the app starts a server of its own."""
    start = package.scripts.get("start")
    if script(files, package, site=True) is None or package.library or server_script(package):
        return None
    exported = _export(files, package)
    if exported is not None:
        return exported.package
    if (start is not None and development_server(start) is None) or server(files, package):
        return None
    return next((name for name in _SITES if name in package.everything), None)


def outputs(files: AppFiles, package: PackageJson) -> tuple[str, ...]:
    """Where the site is put by a tool that has places of its own."""
    exported = _export(files, package)
    return exported.outputs if exported else _OUTPUTS.get(maker(files, package) or "", ())


def _export(files: AppFiles, package: PackageJson) -> Export | None:
    return next((each for each in _EXPORTS if each.holds(files, package)), None)
