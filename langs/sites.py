"""What the tools of front ends make of their sources: files that any server sends, or a server of their own.

Their templates have a `build` script, and often no `start`; or one that serves while somebody works on it. Which of the
two a build makes is known from the packages that it depends on, and for some from its configuration.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from langs import commands, frameworks, packagejson, scripts
from langs.errors import LangError
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
_PREVIEWS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("astro", "vite"), frozenset({"preview"})),
    **dict.fromkeys(("docusaurus", "gatsby"), frozenset({"serve"})),
    **dict.fromkeys(("serve", "sirv"), frozenset({"-s", "--single"})),
    "vitepress": frozenset({"preview", "serve"}),
}
"""Programs that send what a build made, with the words of which one makes them that: for a look at it, as most say
(then they listen to the machine itself), or with a page for every path, as our own server does."""
_START: Final = "start"
_VITE: Final = "vite"
_PAGE: Final = "index.html"
"""What its build begins with, where it makes a site; it makes other things, too."""
_SERVERS: Final = frozenset({"serve", "sirv"})
_VALUED: Final = frozenset({"-c", "-l", "-p", "--config", "--listen", "--port"})
"""Options of theirs that have a value."""
_SAID_MORE: Final = "serve.json"
"""What says more of how files are sent than we read."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/-]+")
_ANGULARS_SERVER: Final = "serve:ssr"


def development_server(command: str) -> str | None:
    """The server for development that a command starts: one that compiles while it runs."""
    name, words = _program(command)
    telling = _DEVELOPMENT.get(name)
    if telling is None or (telling and telling.isdisjoint(words)):
        return None
    return None if name == "vite" and "preview" in words else name


def warnings(command: str) -> tuple[str, ...]:
    """What there is to warn of in the command that starts an image."""
    serving = development_server(command)
    return (f"the start command runs {serving}, which is a server for development",) if serving else ()


def previewer(command: str) -> str | None:
    """The program with which a command sends the files that a build made, and does no more than to build before."""
    *before, last = command.split("&&")
    name, words = _program(last)
    does_more = not all(frameworks.BUILD in part.split() for part in before)
    return None if does_more or _PREVIEWS.get(name, frozenset()).isdisjoint(words) else name


def _program(command: str) -> tuple[str, list[str]]:
    name, words = commands.program(command), command.split()
    if name in {"npx", "bunx", "pnpx"} and len(words) > 1:
        name = words[1]
    return name, words


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
    if script(files, package, site=True) is None or package.library or server_script(package):
        return None
    exported = _export(files, package)
    if exported is not None:
        return exported.package
    shown = shown_by(package, _START)
    if (_START in package.scripts and not _sends_files(files, shown)) or server(files, package):
        return None
    return next((name for name in _SITES if name in package.everything), None) or _told(files, package, shown)


def _told(files: AppFiles, package: PackageJson, shown: str | None) -> str | None:
    """What `start` shows, where that alone says that it is a site."""
    plain = _looked_at_by(package, _START) is not None or not scripts.is_compound(_followed(package, _START))
    begins = shown == _VITE and files.exists(_PAGE)
    return shown if plain and (begins or shown in _SERVERS) else None


def _sends_files(files: AppFiles, shown: str | None) -> bool:
    """Whether a program does nothing that our own server would not."""
    return shown is not None and not (shown in _SERVERS and files.exists(_SAID_MORE))


def shown_by(package: PackageJson, name: str) -> str | None:
    """The program with which a script shows what a build makes, or will: a server for development, or for a look."""
    return _looked_at_by(package, name) or development_server(_followed(package, name))


def _looked_at_by(package: PackageJson, name: str) -> str | None:
    """The same, but for servers for development; a script may call that which builds by its name."""
    return previewer(package.scripts.get(name, "")) or previewer(_followed(package, name))


def outputs(files: AppFiles, package: PackageJson) -> tuple[str, ...]:
    """Where the site is put by a tool that has places of its own, or by what `start` says."""
    exported = _export(files, package)
    if exported:
        return exported.outputs
    said = _served(_followed(package, _START))
    return (*((said,) if said else ()), *_OUTPUTS.get(maker(files, package) or "", ()))


def _followed(package: PackageJson, name: str) -> str:
    """What a script runs in the end."""
    text = package.scripts.get(name, "")
    with suppress(LangError):
        return scripts.expand(package, text)
    return text


def _served(command: str) -> str | None:
    """The directory that a small server sends."""
    name, words = _program(command.rpartition("&&")[2])
    before = ""
    for word in words[words.index(name) + 1 :] if name in _SERVERS and name in words else ():
        if not word.startswith("-") and before not in _VALUED:
            return word if _PLAIN.fullmatch(word) and packagejson.beneath(word) else None
        before = word
    return None


def _export(files: AppFiles, package: PackageJson) -> Export | None:
    return next((each for each in _EXPORTS if each.holds(files, package)), None)
