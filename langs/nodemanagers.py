"""The package managers of Node.js: a row of data each, which of them an app uses, and in which version.

`packageManager` in package.json, Corepack's pin, decides; then lockfiles; then npm. Corepack itself is not asked for:
new Node.js images have none, and old ones one whose keys have expired. npm installs the pinned version instead, and the
pin's hash is checked as Corepack would: of the package's archive, or for later Yarns of the program itself.
"""

import re
import shlex
from typing import Final

import msgspec

from langs import nodeworkspace, packagejson, spans, statements, versions, yarnrc
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings
from langs.packagejson import PackageJson

NPM_LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json")

_ORIGIN: Final = "https://registry.npmjs.org"
_KEPT: Final = (
    'const fs = require("fs"), file = "node_modules/.modules.yaml"; '
    'const mirror = process.env.NPM_CONFIG_REGISTRY.replace(/[/]+$/, ""), quoted = mirror.split("\'").join("\'\'"); '
    f'const change = process.argv[1] === "forget" ? [[quoted, "{_ORIGIN}"], [mirror, "{_ORIGIN}"]] '
    f': quoted === mirror ? [["{_ORIGIN}", mirror]] : []; '
    "if (fs.existsSync(file)) fs.writeFileSync(file, "
    'change.reduce((text, [old, said]) => text.split(old).join(said), fs.readFileSync(file, "utf8")))'
)
"""pnpm notes beside the packages from where it has them, and installs all anew where it is told another place."""

_NO_TTY: Final = "CI=true "
"""pnpm asks before it removes something, or stops where it cannot ask."""


class Manager(msgspec.Struct, frozen=True, kw_only=True):
    """One package manager: what it reads, what it is told, where it keeps what it fetched."""

    name: str
    """What `packageManager` calls it, and the program."""
    package: str
    """The npm package that holds it."""
    file: str | None = None
    """The file of that package which a pin's hash is of; None for the archive."""
    locks: tuple[str, ...]
    reads: tuple[str, ...]
    """Files besides package.json and the lockfile which an installation reads."""
    directories: tuple[str, ...] = ()
    """Directories which it reads."""
    mount: str
    """The name of its cache among the others."""
    cache: str
    """Where it keeps what it fetched."""
    sharing: str = "shared"
    environment: tuple[tuple[str, str], ...] = ()
    """Variables of all steps."""
    install: str
    """Installs what the lockfile says, and nothing else."""
    unlocked: str
    """Installs without a lockfile."""
    run: str
    """Runs a script, whose name follows."""
    prune: str
    """Removes what only development needs; nothing of the app runs."""
    prune_member: str = ""
    """The same in a workspace whose other members are gone: what only they need goes with them."""
    tidy: str = ""
    """What it leaves behind then."""
    focus: str = ""
    """Installs what the app needs and what it is made of, run in its directory: where no member may be missing."""
    dated: str = ""
    """What it leaves behind and tells the time: nothing but itself reads it. Words of a shell."""
    default: str = ""
    """The range whose newest release is taken where nothing is said."""
    programs: str = "node_modules/.bin/"
    """How a program of the installed packages is called from the root, up to its name."""
    kept: str = ""
    """A program of Node.js that has it forget, or know again, the mirror whose address it keeps beside the packages."""

    def forgetting(self, command: str, *, again: bool) -> str:
        """A command that leaves nothing of a mirror in the layer that it makes.

        Args:
            command: what asks the mirror.
            again: whether one like it was executed before, and what it kept is asked for.
        """
        if not self.kept:
            return command
        program = f"node -e {shlex.quote(self.kept)}"
        return f"{f'{program} recall && ' if again else ''}{command} && {program} forget"


NPM: Final = Manager(
    name="npm",
    package="npm",
    locks=NPM_LOCKS,
    reads=(".npmrc",),
    directories=("patches",),
    mount="npm",
    cache="/root/.npm",
    install="npm ci --no-audit --no-fund",
    unlocked="npm install --no-audit --no-fund",
    run="npm run",
    prune="npm prune --omit=dev --no-audit --no-fund",
    prune_member="npm prune --omit=dev --no-audit --no-fund",
)
YARN: Final = Manager(
    name="yarn",
    package="yarn",
    locks=("yarn.lock",),
    reads=(".npmrc", ".yarnrc"),
    directories=(".yarn/releases", "patches"),
    mount="yarn",
    cache="/root/.cache/yarn",
    # Yarn's documentation tells to keep two of them apart by `--mutex`.
    sharing="locked",
    environment=(("YARN_CACHE_FOLDER", "/root/.cache/yarn"),),
    install="yarn install --frozen-lockfile --non-interactive --no-progress",
    unlocked="yarn install --non-interactive --no-progress",
    run="yarn run",
    prune="yarn install --production --frozen-lockfile --ignore-scripts --prefer-offline --non-interactive",
    prune_member="yarn install --production --frozen-lockfile --ignore-scripts --prefer-offline --non-interactive",
    default=">=1 <2",
)
BERRY: Final = Manager(
    name="yarn",
    package="@yarnpkg/cli-dist",
    file="bin/yarn.js",
    locks=("yarn.lock",),
    reads=(".yarnrc.yml",),
    directories=(".yarn/releases", ".yarn/plugins", ".yarn/patches", ".yarn/cache", "patches"),
    mount="yarn-berry",
    cache="/root/.yarn/berry",
    environment=(
        ("YARN_GLOBAL_FOLDER", "/root/.yarn/berry"),
        ("YARN_ENABLE_TELEMETRY", "0"),
        ("YARN_ENABLE_PROGRESS_BARS", "0"),
        ("YARN_ENABLE_GLOBAL_CACHE", "true"),
    ),
    install="yarn install --immutable",
    unlocked="yarn install --no-immutable",
    run="yarn run",
    prune="yarn workspaces focus --all --production",
    focus="yarn workspaces focus",
    default=">=4 <5",
)
PLUG_AND_PLAY: Final = msgspec.structs.replace(
    BERRY,
    # Packages are read where the cache has them: it is kept beside the app, filled from the one that is mounted.
    environment=(*BERRY.environment[:-1], ("YARN_ENABLE_GLOBAL_CACHE", "false")),
    programs="yarn run ",
    # Yarn leaves in its cache, which the app runs from, what nothing refers to any more.
    tidy='for file in .yarn/cache/*.zip; do grep -qF "${file##*/}" .pnp.cjs || rm "$file"; done',
)
PNPM: Final = Manager(
    name="pnpm",
    package="pnpm",
    locks=("pnpm-lock.yaml",),
    reads=(".npmrc", nodeworkspace.FILE, ".pnpmfile.cjs", ".pnpmfile.mjs"),
    directories=("patches",),
    mount="pnpm",
    cache="/root/.local/share/pnpm/store",
    install=f"{_NO_TTY}pnpm install --frozen-lockfile --store-dir /root/.local/share/pnpm/store",
    unlocked=f"{_NO_TTY}pnpm install --no-frozen-lockfile --store-dir /root/.local/share/pnpm/store",
    run="pnpm run",
    prune=f"{_NO_TTY}pnpm prune --prod --ignore-scripts",
    # `pnpm prune` knows no workspaces. Not frozen, it forgets the members that are gone; whatever stays is as locked.
    prune_member=f"{_NO_TTY}pnpm install --prod --no-frozen-lockfile --prefer-offline --ignore-scripts"
    " --config.modules-cache-max-age=0 --store-dir /root/.local/share/pnpm/store",
    dated="node_modules/.modules.yaml node_modules/.pnpm-workspace-state*.json",
    default=">=10 <11",
    kept=_KEPT,
)
MANAGERS: Final = (NPM, YARN, PNPM)

_OTHERS: Final = (
    (YARN, ("yarn.lock", ".yarnrc.yml")),
    (PNPM, ("pnpm-lock.yaml", nodeworkspace.FILE)),
)
"""What shows a package manager where there is no pin and no lockfile of npm's."""
_BUNS: Final = {"bun.lock": "bun", "bun.lockb": "bun"}
_HASH: Final = re.compile(r"(sha1|sha224|sha256|sha384|sha512)\.([0-9a-f]{40,128})", re.ASCII)
_PNPM_OF_LOCK: Final = {"9": ">=9 <10", "6": ">=8 <9", "5": ">=7 <8"}
"""lockfileVersion's first number -> the first pnpm that writes it; 10 has 9's, too, and builds fewer dependencies."""
_LOCK_VERSION: Final = re.compile(r"^lockfileVersion: '?([0-9]{1,3})\.", re.MULTILINE)
_BERRY_LOCK: Final = re.compile(r"^__metadata:", re.MULTILINE)
_FIRST_BERRY: Final = 2
_FOCUSES: Final = 4
_FOCUS: Final = ".yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs"


class Hash(msgspec.Struct, frozen=True, kw_only=True):
    """The hash in a Corepack pin."""

    program: str
    """The program of coreutils that checks it."""
    digits: str


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The package manager of an app."""

    manager: Manager
    file: str
    """What says so."""
    lock: str | None
    pin: str | None = None
    """The version in `packageManager`, as written."""
    hash: Hash | None = None


def choose(files: AppFiles, package: PackageJson | None) -> Chosen | None:
    """The package manager, or None where another runtime's (Bun's) is pinned or alone has a lockfile.

    Raises:
        LangError: the pin's hash is none.
    """
    name, pin, digest = _pin(package)
    if name == "bun":
        return None
    if name is not None:
        manager = next(row for row in MANAGERS if row.name == name)
        return _chosen(files, manager, packagejson.FILE, pin=pin, digest=digest)
    lock = files.first(*NPM_LOCKS)
    if lock is not None:
        return _chosen(files, NPM, lock)
    for manager, names in _OTHERS:
        file = files.first(*names)
        if file is not None:
            return _chosen(files, manager, file)
    return None if files.first(*_BUNS) else _chosen(files, NPM, packagejson.FILE)


def reading_json5(files: AppFiles, chosen: Chosen | None) -> Chosen | None:
    """The same choice, where nothing but the default made it that of the one who reads package.json5."""
    if chosen is None or chosen.lock or chosen.pin or chosen.file != packagejson.FILE:
        return chosen
    return _chosen(files, next(row for row in MANAGERS if row.name == "pnpm"), packagejson.JSON5)


def choose_for(files: AppFiles, package: PackageJson | None, member: nodeworkspace.Member | None) -> Chosen | None:
    """The package manager of an app, which is its workspace's where it is a member of one.

    Raises:
        LangError: as `choose`.
    """
    return choose(files, package) if member is None else choose(member.root, member.manifest)


def rivals(files: AppFiles, chosen: Chosen) -> str | None:
    """What there is to warn of where a lockfile decided, and others lie beside it.

    Args:
        files: where they are.
        chosen: the manager.
    """
    others = {file: row.name for row in MANAGERS for file in row.locks if row.name != chosen.manager.name}
    there = {file: name for file, name in {**others, **_BUNS}.items() if files.exists(file)}
    if chosen.file != chosen.lock or not there:
        return None
    name = next(iter(there.values()))
    return (
        f"{chosen.manager.name} installs what {chosen.lock} says; {', '.join(there)} beside it counts for nothing: "
        f'delete what is out of date, or say another manager in package.json: "packageManager": "{name}@VERSION"'
    )


def version(
    files: AppFiles, settings: Settings, package: PackageJson, chosen: Chosen
) -> tuple[str | None, tuple[str, ...]]:
    """The manager's version to install, None for the npm that the image has; and what there is to warn of.

    Raises:
        LangError: a version cannot be understood, or none is known.
    """
    manager = chosen.manager
    stated = [_stated(chosen.pin, "packageManager")] if chosen.pin else []
    stated += [_stated(tool.version, "devEngines.packageManager") for tool in package.managers if _says(tool, manager)]
    volta: str | None = getattr(package.volta, manager.name)
    stated += [_stated(volta, "volta")] if volta else []
    engine = package.engines.get(manager.name) if manager is not NPM else None
    wanted = _stated(engine, f"engines.{manager.name}") if engine else None
    if stated:
        stated += [wanted] if wanted else []
    elif manager is NPM:
        return None, ()
    else:
        stated = _ranged(files, manager, wanted)
    found, warnings = versions.resolve(stated, settings=settings, table=manager.name, default="", line=1)
    return found.value, warnings


def prune(manager: Manager, member: nodeworkspace.Member | None, *, keeps: bool) -> str | None:
    """What removes whatever only development needs, run in the app's directory, or in the workspace's.

    Args:
        manager: whose installation it is.
        member: the app in its workspace; the other members go, and what only they need.
        keeps: whether devDependencies stay.
    """
    tidy = (manager.tidy,) if manager.tidy else ()
    if member is None:
        return None if keeps else " && ".join((manager.prune, *tidy))
    gone = (f"rm -rf {' '.join(map(shlex.quote, member.gone))}",) if member.gone else ()
    if keeps:
        steps = gone
    elif manager.focus:
        steps = (f"cd {shlex.quote(member.path)}", f"{manager.focus} --production", "cd /app", *tidy, *gone)
    else:
        steps = (*gone, manager.prune_member)
    return " && ".join(steps) or None


def install(manager: Manager, member: nodeworkspace.Member | None, *, locked: bool) -> str:
    """What installs everything, run in the app's directory, or in the workspace's."""
    if member is not None and member.unfit and manager.focus:
        return f"cd {shlex.quote(member.path)} && {manager.focus} && cd /app"
    return manager.install if locked else manager.unlocked


def is_berry(manager: Manager) -> bool:
    """Whether it is a Yarn of 2 or later."""
    return manager.package == BERRY.package


def focuses(files: AppFiles, tool: str | None) -> bool:
    """Whether a later Yarn can remove devDependencies: from 4 on, or with its plugin."""
    major = (tool or "").partition(".")[0]
    return (major.isdigit() and int(major) >= _FOCUSES) or files.exists(_FOCUS)


def _says(tool: packagejson.Tool, manager: Manager) -> bool:
    return tool.name == manager.name and bool(tool.version)


def _stated(text: str | None, key: str) -> statements.Statement:
    return versions.npm(text or "", source=f"{packagejson.FILE} {key}", file=packagejson.FILE)


def _pin(package: PackageJson | None) -> tuple[str | None, str | None, Hash | None]:
    said = package.package_manager if package else None
    name, _, rest = (said or "").partition("@")
    if name not in {row.name for row in MANAGERS} | {"bun"}:
        return None, None, None
    pin, plus, digest = rest.partition("+")
    match = _HASH.fullmatch(digest)
    if plus and digest.startswith("sha") and match is None:
        raise LangError(
            f"packageManager: {digest[:80]!r} is no hash",
            file=packagejson.FILE,
            hint="Write it as Corepack does: `pnpm@10.1.0+sha512.` and hexadecimal digits. `corepack use` does so.",
        )
    return name, pin or None, Hash(program=f"{match[1]}sum", digits=match[2]) if match else None


def _chosen(
    files: AppFiles, manager: Manager, file: str, *, pin: str | None = None, digest: Hash | None = None
) -> Chosen:
    if manager is YARN and _is_berry(files, pin):
        manager = PLUG_AND_PLAY if yarnrc.plug_and_play(files) else BERRY
    return Chosen(manager=manager, file=file, lock=files.first(*manager.locks), pin=pin, hash=digest)


def _is_berry(files: AppFiles, pin: str | None) -> bool:
    major = (pin or "").partition(".")[0]
    if major.isdigit():
        return int(major) >= _FIRST_BERRY
    if files.exists(".yarnrc.yml"):
        return True
    return _BERRY_LOCK.search(files.read_head("yarn.lock", 1 << 12) or "") is not None


def _ranged(files: AppFiles, manager: Manager, engine: statements.Statement | None) -> list[statements.Statement]:
    """What the lockfile says of its manager, within what `engines` allows, which the manager checks itself."""
    source, text = f"{packagejson.FILE} packageManager", manager.default
    lock = manager.locks[0]
    if manager is PNPM and (head := files.read_head(lock, 1 << 12)):
        match = _LOCK_VERSION.search(head)
        said = nodeworkspace.read(files)
        source, text = lock, _PNPM_OF_LOCK.get(match[1] if match and not (said and said.recent) else "", text)
    written = versions.npm(text, source=source, file=lock)
    if engine is None:
        return [written]
    both = spans.both(engine.spans, written.spans)
    return [statements.ranged(engine.text, both, source=engine.source, file=engine.file) if both else engine]
