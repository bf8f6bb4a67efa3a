"""Native libraries: which of Debian's packages a dependency needs, to be compiled and to run, in all languages.

What decides is in the app's files: the lockfile, where it is understood, else the manifest. A dependency that brings
its libraries along (a wheel, sharp, psycopg[binary]) has no row, or says in `unless` or `compiled` when it needs
nothing.

The image that builds is the large one of its language, which stands on buildpack-deps: compilers, headers of the usual
libraries, Python for node-gyp. What it has is not installed again. The image that runs is the slim one, which has next
to nothing. Names are such as Debian 12 and 13 know both: what 13 has renamed for 64-bit times (`libmagic1t64`) it knows
by the old name as well.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from langs import debian, hardened
from langs.model import Evidence, Settings

Table = Literal["gems", "npm", "pypi"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one dependency needs."""

    run: tuple[str, ...] = ()
    """The packages whose libraries it loads, or whose programs it starts."""
    build: tuple[str, ...] = ()
    """The packages that it is compiled with."""
    unless: tuple[str, ...] = ()
    """Dependencies beside which it needs none of them."""
    compiled: bool = False
    """Whether it needs them only where it is compiled, because what is published brings its libraries along."""
    env: Mapping[str, str] = {}
    """Variables that let it find what is there."""


_CAIRO: Final = "libcairo2"
_FFMPEG: Final = Row(run=("ffmpeg",), unless=("ffmpeg-static", "@ffmpeg-installer/ffmpeg"))
_MARIADB: Final = Row(run=("libmariadb3",), build=("default-libmysqlclient-dev", "pkg-config"))
_OPENCV: Final = Row(run=("libgl1", "libglib2.0-0"))
_POSTGRES: Final = Row(run=("libpq5",), build=("libpq-dev",))
_PRISMA: Final = Row(run=("openssl",))
# playwright.dev/docs/browsers: with 0, browsers are put beside the package, and so come into the image. What Chromium
# needs is in `nativeDeps.ts` of playwright-core; each Debian calls ALSA's library otherwise, but what depends on it.
_PLAYWRIGHT: Final = Row(
    run=(
        *("fonts-liberation", "libasound2-dev", "libatk-bridge2.0-0", "libatk1.0-0", "libatspi2.0-0", "libcairo2"),
        *("libcups2", "libdbus-1-3", "libdrm2", "libgbm1", "libglib2.0-0", "libnspr4", "libnss3", "libpango-1.0-0"),
        *("libx11-6", "libxcb1", "libxcomposite1", "libxdamage1", "libxext6", "libxfixes3", "libxkbcommon0"),
        "libxrandr2",
    ),
    env={"PLAYWRIGHT_BROWSERS_PATH": "0"},
)

_GEMS: Final[Mapping[str, Row]] = {
    "charlock_holmes": Row(run=("libicu-dev",)),
    "curb": Row(run=("libcurl4",)),
    "ethon": Row(run=("libcurl4",)),
    "image_processing": Row(run=("libvips42",)),
    "mini_magick": Row(run=("imagemagick",)),
    "mysql2": Row(run=("libmariadb3",)),
    "pg": Row(run=("libpq5",)),
    "rbnacl": Row(run=("libsodium23",)),
    "rmagick": Row(run=("imagemagick",)),
    "ruby-filemagic": Row(run=("libmagic1",)),
    "ruby-vips": Row(run=("libvips42",)),
    "sqlite3": Row(run=("libsqlite3-0",)),
    "tiny_tds": Row(run=("libsybdb5",)),
}
_NPM: Final[Mapping[str, Row]] = {
    # github.com/Automattic/node-canvas, "Compiling". What it fetches ready-made has them in it, but no fonts.
    "canvas": Row(
        run=("fontconfig", _CAIRO, "libgif7", "libjpeg62-turbo", "libpangocairo-1.0-0", "librsvg2-2"),
        build=("libcairo2-dev", "libgif-dev", "libjpeg-dev", "libpango1.0-dev", "librsvg2-dev"),
    ),
    "fluent-ffmpeg": _FFMPEG,
    "gm": Row(run=("graphicsmagick",)),
    "kerberos": Row(run=("libgssapi-krb5-2",), build=("libkrb5-dev",)),
    "libpq": _POSTGRES,
    "odbc": Row(run=("unixodbc",), build=("unixodbc-dev",)),
    "pg-native": _POSTGRES,
    "playwright": _PLAYWRIGHT,
    "playwright-chromium": _PLAYWRIGHT,
    # prisma.io/docs, "System requirements": its engines load libssl, and look at `openssl version` for which.
    "@prisma/client": _PRISMA,
    "prisma": _PRISMA,
    # pptr.dev/guides/configuration: its own browser is put into a home directory, which stays behind, and there is none
    # for arm64. Debian's comes with all that it needs.
    "puppeteer": Row(
        run=("chromium",),
        env={"PUPPETEER_SKIP_DOWNLOAD": "true", "PUPPETEER_EXECUTABLE_PATH": "/usr/bin/chromium"},
    ),
    # sharp has no row: sharp.pixelplumbing.com/install, libvips is a dependency of its own.
}
_PYPI: Final[Mapping[str, Row]] = {
    "cairocffi": Row(run=(_CAIRO,)),
    "cairosvg": Row(run=(_CAIRO,)),
    "ffmpeg-python": Row(run=("ffmpeg",)),
    "graphviz": Row(run=("graphviz",)),
    "lxml": Row(run=("libxml2", "libxslt1.1"), build=("libxml2-dev", "libxslt-dev"), compiled=True),
    "mariadb": Row(run=("libmariadb3",), build=("default-libmysqlclient-dev",)),
    # github.com/PyMySQL/mysqlclient, "Install": for Linux there are no wheels.
    "mysqlclient": _MARIADB,
    "opencv-contrib-python": _OPENCV,
    "opencv-python": _OPENCV,
    "pdf2image": Row(run=("poppler-utils",)),
    "playwright": _PLAYWRIGHT,
    # www.psycopg.org/psycopg3/docs/basic/install.html: alone it loads libpq when it starts, [c] is compiled with it,
    # and [binary] brings it along, as psycopg2-binary does.
    "psycopg": Row(run=("libpq5",), unless=("psycopg-binary",)),
    "psycopg-c": _POSTGRES,
    "psycopg2": _POSTGRES,
    "pyaudio": Row(run=("libportaudio2",), build=("portaudio19-dev",)),
    "pycairo": Row(run=(_CAIRO,), build=("libcairo2-dev", "pkg-config")),
    "pycurl": Row(run=("libcurl4",), build=("libcurl4-openssl-dev",), compiled=True),
    "pygraphviz": Row(run=("graphviz",), build=("libgraphviz-dev",)),
    "pylibmc": Row(run=("libmemcached11",), build=("libmemcached-dev",)),
    "pyodbc": Row(run=("unixodbc",), build=("unixodbc-dev",)),
    "pytesseract": Row(run=("tesseract-ocr",)),
    # Each Debian calls the library otherwise; the programs bring it.
    "python-ldap": Row(run=("ldap-utils",), build=("libldap-dev", "libsasl2-dev")),
    "python-magic": Row(run=("libmagic1",)),
    # It takes libxml2 where it is compiled beside it.
    "uwsgi": Row(run=("libxml2",)),
    # doc.courtbouillon.org/weasyprint/stable/first_steps.html, "Debian".
    "weasyprint": Row(run=("libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0")),
    "xmlsec": Row(run=("libxmlsec1", "libxmlsec1-openssl"), build=("libxmlsec1-dev", "pkg-config"), compiled=True),
}
TABLES: Final[Mapping[Table, Mapping[str, Row]]] = {"gems": _GEMS, "npm": _NPM, "pypi": _PYPI}

_THERE: Final = frozenset(
    {
        *("default-libmysqlclient-dev", "imagemagick", "libcurl4-openssl-dev", "libffi-dev", "libjpeg-dev"),
        *("libkrb5-dev", "libpng-dev", "libpq-dev", "libsqlite3-dev", "libssl-dev", "libwebp-dev", "libxml2-dev"),
        *("libxslt-dev", "libyaml-dev", "pkg-config", "zlib1g-dev"),
    }
)
"""What buildpack-deps has of them: its Dockerfile, github.com/docker-library/buildpack-deps; pkg-config by GLib's."""


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed for an app, as far as its files say."""

    names: Mapping[str, str] = {}
    """Each with the file that says so."""
    compiled: frozenset[str] = frozenset()
    """Those that are compiled, because nothing ready-made is published or wanted."""


def spoken(table: Table, text: str) -> bool:
    """Whether a lockfile's text may name something that needs a package: few do, and to read one takes its time."""
    return any(f'"{name}"' in text or f'/{name}"' in text for name in TABLES[table])


def needing(settings: Settings, table: Table, found: Dependencies, *, image: str, builds: bool = True) -> Settings:
    """The settings of an app with the packages that its dependencies need, and why.

    Args:
        settings: the app's, which may name packages, too.
        table: whose dependencies they are.
        found: what is installed.
        image: the well-known name of what it builds and runs on. Where that is replaced by one without apt, as far as
            its name tells, or where the others are hardened, nothing is installed: whoever made it has put there what
            is needed.
        builds: whether the image that builds stands on buildpack-deps; else nothing is compiled there anyhow.
    """
    rows = {
        name: row
        for name, row in TABLES[table].items()
        if name in found.names
        and (not row.compiled or name in found.compiled)
        and found.names.keys().isdisjoint(row.unless)
    }
    replaced = settings.images.get(image)
    theirs = replaced is not None and (settings.hardened or "alpine" in replaced or hardened.is_bare(replaced))
    if not rows or theirs:
        return settings
    build = {name: () if not builds else _missing(row.build) for name, row in rows.items()}
    run = {name: () if settings.part else row.run for name, row in rows.items()}
    env: dict[str, str] = {}
    for row in rows.values():
        env |= {} if settings.part else row.env
    return msgspec.structs.replace(
        settings,
        apt=debian.merged(settings.apt, _all(build.values())),
        apt_run=debian.merged(settings.apt_run, _all(run.values())),
        needs=tuple(
            Evidence(file=found.names[name], reason=reason)
            for name in rows
            if (reason := _reason(name, build[name], run[name]))
        ),
        env={**env, **settings.env},
    )


def _missing(packages: Iterable[str]) -> tuple[str, ...]:
    return tuple(package for package in packages if package not in _THERE)


def _all(groups: Iterable[tuple[str, ...]]) -> Iterable[str]:
    return (package for group in groups for package in group)


def _reason(name: str, build: tuple[str, ...], run: tuple[str, ...]) -> str:
    parts = (f"is compiled with {', '.join(build)}" if build else "", f"runs with {', '.join(run)}" if run else "")
    said = " and ".join(part for part in parts if part)
    return f"{name} {said}" if said else ""
