"""Static sites: files that a small server sends, as nobody special and from a read-only root.

The server is Caddy, which takes its port from the environment when it starts. Its official binary carries a file
capability (to listen below 1024) and does not even start where a cluster has taken that one away, so that a plain copy
without it runs instead.

A site whose package.json has a build script is built first: what is served is then the first of the usual output
directories that has an index.html. `Staticfile` (Cloud Foundry's and others' name) says otherwise: `root: DIRECTORY`,
and `pushstate: enabled` for an application that does its routing in the browser; a built site is taken for one of
those, unless it brings a 404.html and no 200.html. `/about` is the page about.html there, too.
"""

import re
from collections.abc import Mapping
from typing import Final

from langs import base, caddyfile, packagejson, procfile, sites
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import AppBuild, Detection, Evidence, Settings

NAME: Final = "static"
PROGRAMS: Final = frozenset({"caddy"})
VERSION_VARIABLES: Final = ()
FILE: Final = "Staticfile"
MANIFESTS: Final = (FILE,)
ENTRY_POINTS: Final = ("index.html",)
IMAGES: Final = ("caddy", "debian")

_SERVER: Final = "2"
_START: Final = "caddy run --config /etc/caddy/Caddyfile"
_ROOTS: Final = ("dist", "build", "out", "_site", "public", ".")
"""Where builds put a site, the likeliest first."""
_LINE: Final = re.compile(r"([a-z_]+)[ \t]*:[ \t]*(\S.*)", re.ASCII)
_YES: Final = frozenset({"enabled", "true", "yes", "on"})
_NOT_SERVED: Final = ("/Staticfile", "/Procfile", "/app.json")


def detect(files: AppFiles) -> Detection | None:
    """A Staticfile, a package.json that builds a site, or an index.html; beside a package.json where that builds."""
    evidence = [Evidence(file=FILE, reason="says what is served")] if files.exists(FILE) else []
    page = files.first("index.html", "public/index.html")
    if page is not None:
        evidence.append(Evidence(file=page, reason="a page"))
    package = packagejson.read(files)
    maker = sites.maker(files, package) if package else None
    # A library has a page to try it out.
    script = sites.script(files, package, site=True) if package else None
    builds = package is not None and script is not None and not package.library
    if maker or (evidence and builds):
        evidence.append(Evidence(file=packagejson.FILE, reason=f"{maker or 'its build script'} makes a site"))
    if not evidence:
        return None
    return Detection(language=NAME, evidence=tuple(evidence), is_app=package is None or builds or files.exists(FILE))


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A small image with the server and the files.

    Raises:
        LangError: the Staticfile cannot be understood, or names what is not there.
    """
    said = _said(files)
    built = settings.assets is not None or settings.build_command is not None
    root = _root(files, said, built=built)
    declared = procfile.read(files)
    start = base.start(settings, declared, _START)
    pushed = said.get("pushstate")
    text = base.dockerfile(
        "static.Dockerfile.j2",
        settings=settings,
        command=start.command,
        values={
            "server": base.image(settings, "caddy", _SERVER),
            "copier": base.image(settings, "debian", "bookworm-slim", runs=False),
            "runtime": base.image(settings, "caddy", _SERVER, runs=True)
            if settings.hardened
            else base.image(settings, "debian", "bookworm-slim"),
            "root": root,
            "roots": (*_own_roots(files), *_ROOTS),
            "head": caddyfile.HEAD,
            "fallback": caddyfile.FALLBACK if pushed in _YES or (pushed is None and built) else (),
            # A build may make the page that says otherwise.
            "unless_404": pushed is None,
            "pages": caddyfile.PAGES if built else (),
            "missing": caddyfile.MISSING,
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=None,
        package_manager=None,
        dockerfile=text,
        start=start,
        ignored=_NOT_SERVED,
    )


def _root(files: AppFiles, said: Mapping[str, str], *, built: bool) -> str | None:
    """The directory that is served; None when the build will show it."""
    if "root" in said:
        root = said["root"].removeprefix("./").strip("/") or "."
        if ".." in root.split("/"):
            raise LangError(f"`root`: {root[:80]!r} leaves the app", file=FILE, hint="Name a directory of the app.")
        require_plain_name(root)
        if not built and root != "." and not files.has_directory(root):
            raise LangError(f"`root`: {root[:80]!r} is not there", file=FILE, hint="Name a directory of the app.")
        return root
    if built:
        return None
    return "public" if not files.exists("index.html") and files.exists("public/index.html") else "."


def _own_roots(files: AppFiles) -> tuple[str, ...]:
    package = packagejson.read(files)
    return sites.outputs(files, package) if package else ()


def _said(files: AppFiles) -> Mapping[str, str]:
    said: dict[str, str] = {}
    for number, raw in enumerate((files.read_text(FILE) or "").split("\n"), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise LangError(
                f"expected `key: value`, found {line[:80]!r}", file=FILE, line=number, hint="As in `root: dist`."
            )
        said[match[1]] = match[2].strip("\"'")
    return said
