"""The servers that builds of JavaScript's frameworks make, a row for each: what starts it, and what it must be told.

Of some, the build puts together all that runs (an output): the image then has neither the sources nor what was
installed for them. That is done where nothing but the framework's own server is started. A start command or a process
that asks for more gets the whole app, in which every framework's server starts as well.
"""

import posixpath
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from langs import commands, jsconfig
from langs.files import AppFiles
from langs.packagejson import PackageJson
from langs.render import shell

BUILD: Final = "build"
OUTPUT: Final = "/output"
"""Where an output is put together: what was installed in `modules`, so that it is a layer of its own, else in `app`."""

_ENDINGS: Final = ("js", "mjs", "ts")
NEXT_CONFIGS: Final = tuple(f"next.config.{ending}" for ending in _ENDINGS)
_TOLD: Final = frozenset({"HOST", "HOSTNAME", "NITRO_HOST", "NITRO_PORT", "NODE_ENV", "PORT"})
_TELLING: Final = frozenset({"-H", "-p", "--hostname", "--port"})
"""Variables and options of a start command that the image's own variables say: where the server listens."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a framework's configuration says."""

    files: tuple[str, ...]
    key: str
    value: str

    def holds(self, files: AppFiles) -> bool:
        """Whether the app's does."""
        return jsconfig.states(files, self.files, self.key, self.value)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of an output: where the build left it, and where it belongs, both from the app's directory."""

    source: str
    target: str = "."
    optional: bool = False
    mirrors: bool = False
    """Whether it holds the app below its own place in the workspace, with what it shares with other members."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """All that runs, as a build puts it together."""

    parts: tuple[Part, ...]
    entry: str
    """A file of it without which it is none."""
    start: str
    starts: tuple[tuple[str, str], ...]
    """What starts the same server in the whole app: a program and its first word."""
    variables: tuple[tuple[str, str], ...] = ()
    said: Statement | None = None
    """What the app says where its build makes it; None: it always does."""


class Framework(msgspec.Struct, frozen=True, kw_only=True):
    """A framework whose build makes a server."""

    package: str
    """Whoever depends on it has the framework."""
    start: str
    """By its documentation."""
    variables: tuple[tuple[str, str], ...] = ()
    """What it must be told beside $PORT, or nobody outside of the container is heard."""
    evident: bool = True
    """Whether its package alone shows that the build makes a server; else a developers' server in `start` must, too."""
    output: Output | None = None


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A package that says what a framework's build makes: here, nothing that starts in an image."""

    package: str
    others: tuple[tuple[str, str], ...]
    """Those of the framework that make something for an image, and what."""

    @property
    def choice(self) -> str:
        """What there is to choose from."""
        return " or ".join(f"{package} ({made})" for package, made in self.others)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the image of an app is told, and consists of."""

    variables: tuple[tuple[str, str], ...] = ()
    output: Output | None = None


def _nitro(package: str, *starts: tuple[str, str]) -> Framework:
    entry = ".output/server/index.mjs"
    output = Output(
        parts=(Part(source=".output", target=".output"),),
        entry=entry,
        start=f"node {entry}",
        starts=(("node", entry), *starts),
    )
    return Framework(package=package, start=output.start, output=output)


_NEXT: Final = Output(
    parts=(
        Part(source=".next/standalone", mirrors=True),
        Part(source=".next/static", target=".next/static"),
        Part(source="public", target="public", optional=True),
    ),
    entry="server.js",
    start="node server.js",
    starts=(("next", "start"), ("node", ".next/standalone/server.js")),
    # Container runtimes set it to the container's name, and it would listen there only.
    variables=(("HOSTNAME", "0.0.0.0"),),  # noqa: S104 -- inside of a container
    said=Statement(files=NEXT_CONFIGS, key="output", value="standalone"),
)
FRAMEWORKS: Final = (
    Framework(
        package="@astrojs/node",
        start="node ./dist/server/entry.mjs",
        variables=(("HOST", "0.0.0.0"),),  # noqa: S104 -- inside of a container
    ),
    Framework(package="@react-router/serve", start="react-router-serve ./build/server/index.js"),
    Framework(package="@remix-run/serve", start="remix-serve ./build/server/index.js"),
    Framework(package="@sveltejs/adapter-node", start="node build"),
    _nitro("nuxt", ("nuxt", "start"), ("nuxt", "preview"), ("nuxi", "preview")),
    _nitro("vinxi", ("vinxi", "start")),
    _nitro("nitropack", ("nitropack", "preview"), ("nitro", "preview")),
    Framework(package="next", start="next start", output=_NEXT),
    Framework(package="@nestjs/core", start="node dist/main", evident=False),
)
"""In this order, because frameworks stand on each other: whatever renders pages before what serves anything."""

_ADAPTERS: Final = (
    Adapter(
        package="@sveltejs/adapter-auto",
        others=(("@sveltejs/adapter-node", "a server"), ("@sveltejs/adapter-static", "files")),
    ),
)
_LEFT_OVER: Final[Mapping[str, tuple[str, ...]]] = {
    "@angular/core": (".angular",),
    "@sveltejs/kit": (".svelte-kit",),
    "next": (".next/cache",),
}
"""What only the next build would read of what a build leaves behind."""


def of(package: PackageJson) -> Framework | None:
    """The framework whose server the app's build makes."""
    if BUILD not in package.scripts:
        return None
    return next((each for each in FRAMEWORKS if each.package in package.everything), None)


def unfit(package: PackageJson) -> Adapter | None:
    """What has the app's build make nothing for an image, where nothing else of it does."""
    known = package.everything.keys()
    if BUILD not in package.scripts or package.library or of(package) is not None:
        return None
    return next((each for each in _ADAPTERS if each.package in known and known.isdisjoint(dict(each.others))), None)


def prepared(files: AppFiles, package: PackageJson, processes: Iterable[str]) -> Prepared:
    """What the image is told, and the output where that is all that it needs.

    Args:
        files: the app's.
        package: its package.json.
        processes: the commands of all that is started in the image.
    """
    framework = of(package)
    if framework is None:
        return Prepared()
    output = framework.output
    if output is None or (output.said and not output.said.holds(files)) or not _starts(output, tuple(processes)):
        return Prepared(variables=framework.variables)
    return Prepared(variables=(*framework.variables, *output.variables), output=output)


def gather(output: Output, path: str = ".") -> str:
    """The command line that puts an output together, after the build, in the app's directory.

    Args:
        output: the framework's.
        path: the app's directory in its workspace.

    Raises:
        LangError: the directory has a name that cannot stand in a step.
    """
    app = f"{OUTPUT}/app"
    below = posixpath.normpath(f"{app}/{path}")
    entry = posixpath.join(below, output.entry)
    missing = f"the build left no {output.parts[0].source}/ with {posixpath.basename(output.entry)} in it"
    steps = [_copied(part, app, below, path, output.entry) for part in output.parts]
    steps += [
        f"{{ [ -f {shell(entry)} ] || {{ echo {shell(missing)} >&2; exit 1; }}; }}",
        f"mkdir -p {OUTPUT}/modules && cd {app}",
        f"find . -type d -name node_modules -prune -exec cp -R --parents -t {OUTPUT}/modules {{}} +",
        "find . -type d -name node_modules -prune -exec rm -rf {} +",
    ]
    return " && \\\n    ".join(steps)


def left_over(package: PackageJson) -> tuple[str, ...]:
    """What a build leaves behind in the app's directory that has no place in the image."""
    return tuple(place for name, places in _LEFT_OVER.items() if name in package.everything for place in places)


def _copied(part: Part, app: str, below: str, path: str, entry: str) -> str:
    copied = _copy(part.source, posixpath.normpath(posixpath.join(below, part.target)))
    if part.optional:
        return f"if [ -d {part.source} ]; then {copied}; fi"
    if part.mirrors and path != ".":
        whole = shell(posixpath.join(part.source, path, entry))
        return f"if [ -f {whole} ]; then {_copy(part.source, app)}; else {copied}; fi"
    return copied


def _copy(source: str, target: str) -> str:
    return f"mkdir -p {shell(target)} && cp -R {source}/. {shell(target)}"


def _starts(output: Output, processes: tuple[str, ...]) -> bool:
    """Whether nothing is started but the framework's server, as it is."""
    if len(processes) != 1:
        return False
    seen = commands.scan(processes[0])
    if seen is None or seen.operators:
        return False
    words = list(seen.words)
    while words and (words[0] in {"env", "exec"} or words[0].partition("=")[0] in _TOLD):
        words.pop(0)
    known = len(words) > 1 and (words[0], posixpath.normpath(words[1])) in output.starts
    return known and _only_where(words[2:])


def _only_where(options: list[str]) -> bool:
    """Whether options say nothing but where a server listens."""
    while options:
        option, joined, _ = options.pop(0).partition("=")
        if option not in _TELLING or not (joined or options):
            return False
        if not joined:
            options.pop(0)
    return True
