"""Rust with Cargo: a layer with the compiled dependencies, then the app's own packages, then one image with the binary.

Cargo has no command that compiles dependencies only, so that the first step compiles the app with an empty source in
the place of each target, by the very command of the second step: features and profile are the same. What came of the
empty sources is removed in the same step (`cargo clean --package`), because Cargo tells old from new by the time of a
file, and the real sources may be older than their stand-ins. The target directory is a part of the layer and no cache
mount: a builder that gets the layer from a registry gets the compiled dependencies with it, and apps that build at the
same time in directories of the same name never see each other's files.

A changed Cargo.lock makes that step run again, and mostly one dependency of a hundred is another one. So the step
leaves a copy in a cache mount of the app's own, and begins with the copy that it finds; which of it is still right is
Cargo's to say, as on a developer's machine. It does not know the system's libraries that a build script has found:
the copy is of one state of the system's packages. Nor does it remove what nothing uses any more: a copy of twice the
size of the first one is not taken. Reproducible images are compiled from nothing.

A directory with one of a package's programs (src/bin/NAME/main.rs) is an app when somebody asks for it: each program
with an image of its own, as `langs.cargoprograms` finds them.

The build image is Debian's release of the runtime image: a binary needs the glibc that it was linked with, or a newer
one, and shared libraries of the build image (OpenSSL, ...) are copied with the binary.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from langs import base, cargo, cargoprograms, commands, documents, procfile, spans, versions
from langs import workspace as beside
from langs.cargo import Binary, Crate, Workspace
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import EPOCH, AppBuild, CacheMount, Detection, Evidence, Process, Settings, Version

NAME: Final = "rust"
PROGRAMS: Final = frozenset({"cargo"})
VERSION_VARIABLES: Final = ("RUSTUP_TOOLCHAIN",)
MANIFESTS: Final = (cargo.FILE,)
ENTRY_POINTS: Final = ()
IMAGES: Final = ("rust", "debian")

_DEFAULT: Final = "1.92.0"
_LINE: Final = 2
_LOCK: Final = "Cargo.lock"
_TOOLCHAINS: Final = ("rust-toolchain", "rust-toolchain.toml")
_DEBIAN: Final = "bookworm"
_FIRST_ON_DEBIAN: Final = (1, 70)
"""The first release that is published as `rust:V-bookworm`; older ones stand on older releases of Debian."""
_CHANNEL: Final = re.compile(
    r"(?P<channel>stable|beta|nightly|[0-9]{1,9}(?:\.[0-9]{1,9}){0,2})(?P<date>-[0-9]{4}-[0-9]{2}-[0-9]{2})?"
    r"(?:-[a-z0-9_]+){0,4}",
    re.ASCII,
)
"""A toolchain's name (https://rust-lang.github.io/rustup/concepts/toolchains.html): channel, date, host."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_BINARY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_FEATURE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*", re.ASCII)
_TRIPLE: Final = re.compile(r"[a-z0-9_]+(?:-[a-z0-9_.]+)+", re.ASCII)
_SERVER_FRAMEWORKS: Final = frozenset(
    {"actix-web", "axum", "gotham", "hyper", "ntex", "poem", "rocket", "salvo", "tide", "tonic", "warp"}
)
_TASKS: Final = "xtask"
"""The package that holds a workspace's own tooling, by convention (https://github.com/matklad/cargo-xtask)."""
_COMPILED: Final = "/var/cache/cargo-target"
_DIGITS: Final = 12
_ASSETS: Final = ("assets", "config", "migrations", "public", "static", "templates", "views")
"""Directories that programs read beside their binary when they do not embed them."""
_MADE: Final = ("build", "dist", "out")
"""Directories that builds of front ends write, besides those."""
_BUILT: Final = "target/release/"
_CREDENTIALS: Final = "**/.cargo/credentials*"
_RUN_FLAGS: Final = frozenset({"--release", "-r", "--locked", "--offline", "--frozen", "--quiet", "-q"})
_VERSION_HINT: Final = "Write a Rust release, such as 1.92 or 1.92.0, or stable."
_NIGHTLY_HINT: Final = (
    'There is no `rust` image of it: name one that has it, such as `images.rust = "rustlang/rust:nightly-bookworm"`, '
    "or state a release such as 1.92."
)


class _Channel(msgspec.Struct):
    channel: str | None = None
    path: str | None = None


class _Toolchain(msgspec.Struct):
    toolchain: _Channel = msgspec.field(default_factory=_Channel)


class _Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is compiled: the program that is started, and those that other processes start."""

    start: Binary
    others: tuple[Binary, ...] = ()

    @property
    def all(self) -> tuple[Binary, ...]:
        """All of them, the one that is started first."""
        return (self.start, *self.others)


def detect(files: AppFiles) -> Detection | None:
    """Cargo.toml; an app when a package makes a program.

    A workspace is one app where it is clear which of its programs that is; else its members with programs are apps.
    """
    workspace = cargo.read(files)
    if workspace is None:
        return _of_package(files)
    evidence = [Evidence(file=cargo.FILE, reason="a Cargo workspace" if workspace.virtual else "a Rust package")]
    if files.exists(_LOCK):
        evidence.append(Evidence(file=_LOCK, reason="locked by cargo"))
    above = cargo.member_of(files)
    needed: tuple[Crate, ...] = ()
    together = _is_one_app(files, workspace)
    if above is not None:
        evidence.append(Evidence(file=cargo.FILE, reason=f"a member of the workspace of {above.manifest}"))
        around = cargo.read(above.root)
        needed = around.needed(above.path) if around else ()
        together = around is not None and not _is_one_app(above.root, around)
        workspace = _alone(workspace)
    programs = _programs(workspace)
    evidence += [
        Evidence(file=binary.path, reason=f"the program {binary.name}")
        for _, binary in programs
        if _BINARY.fullmatch(binary.name) and binary.path.isprintable() and files.exists(binary.path)
    ]
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager="cargo",
        packages=beside.from_root(above.root, (crate.directory for crate in needed)) if above else (),
        is_app=bool(programs) and together,
        programs=() if _is_said(files, workspace) else cargoprograms.divided(workspace, _TASKS),
    )


def _of_package(files: AppFiles) -> Detection | None:
    """A directory with one of the programs of the package above it, which is built as a whole."""
    program = cargoprograms.program_of(files)
    if program is None:
        return None
    member = cargo.member_of(program.package)
    around = cargo.read(member.root) if member else None
    needed = around.needed(member.path) if around and member else ()
    main = posixpath.basename(program.binary.path)
    said = _BINARY.fullmatch(program.binary.name) and main.isprintable() and files.exists(main)
    found = Evidence(file=main, reason=f"the program {program.binary.name}")
    return Detection(
        language=NAME,
        evidence=(found if said else Evidence(file=files.glob("*.rs")[0], reason="Rust source"),),
        package_manager="cargo",
        packages=(
            *(beside.from_root(member.root, (crate.directory for crate in needed)) if member else ()),
            *beside.from_root(program.package, (".",)),
        ),
        is_app=False,
    )


def _is_said(files: AppFiles, workspace: Workspace) -> bool:
    """Whether it is said, and not only likely, which program is started."""
    web = any(process.name == base.WEB for process in procfile.read(files))
    return web or any(crate.default_run for crate in workspace.crates if not crate.directory)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with the toolchain, a runtime image with the binaries and the authorities' certificates.

    Raises:
        LangError: no program or several, or a package outside of the app and its workspace.
    """
    program = cargoprograms.program_of(files)
    declared = procfile.read(files)
    # What is compiled is a package, wherever in it the app is.
    files = program.package if program else files
    member = cargo.member_of(files)
    root = member.root if member else files
    workspace = cargo.read(root)
    if workspace is None:
        raise LangError("there is no Cargo.toml", hint="Run `cargo init`, or say which directory holds it.")
    _check(workspace, member)
    config = cargo.read_config(root)
    place = member.path if member else ""
    mine = _alone(workspace, place) if member or program else workspace
    chosen = _choose(root, mine, settings, declared, _in(mine, place, program) if program else None)
    version, warnings = _version(root, settings, workspace, chosen.start)
    rocket = "rocket" in _crate_of(workspace, chosen.start).dependencies
    # Rocket looks for its port in a variable of its own.
    told = rocket and not settings.hardened
    start = base.start(settings, declared, f'ROCKET_PORT="$PORT" {chosen.start.name}' if told else chosen.start.name)
    processes = tuple(Process(name=each.name, command=_without_cargo(each.command)) for each in start.processes)
    command = _without_cargo(start.command)
    locked = root.exists(_LOCK)
    if not locked:
        warnings += ("there is no Cargo.lock: the versions compiled may differ from build to build",)
    if settings.hardened:
        builder = base.image(settings, "rust", version.value)
        runtime = base.image(settings, "rust", version.value, runs=True)
    else:
        builder = base.image(settings, "rust", _tag(version.value))
        runtime = base.image(settings, "debian", f"{_DEBIAN}-slim")
    caches = (
        base.cache(settings, "cargo-registry", "/usr/local/cargo/registry"),
        base.cache(settings, "cargo-git", "/usr/local/cargo/git"),
    )
    compiled = None if EPOCH in settings.arguments else _compiled(settings, workspace)
    mounts = caches if compiled is None else (*caches, compiled)
    manifests = _manifests(root, workspace, config)
    text = base.dockerfile(
        "rust.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("crates",),
        values={
            "builder": builder,
            "runtime": runtime,
            "toolchain": _toolchain(version.value),
            "target": _target(config),
            "manifests": manifests,
            "home": f"/app/{member.path}" if member else "/app",
            "apps": tuple(_checked(crate) for crate in workspace.crates if _is_app(crate)) if member or program else (),
            "libraries": _sources(crate.library for crate in workspace.crates),
            "programs": _sources(
                path
                for crate in workspace.crates
                for path in (*crate.programs, *(each.path for each in crate.binaries))
            ),
            "caches": caches,
            "mounts": mounts,
            "compiled": compiled,
            "locked": "--locked " if locked else "",
            "options": _options(chosen),
            "own": tuple(_checked(crate) for crate in workspace.crates if crate.certain),
            "stand_ins": tuple(_checked(crate) for crate in workspace.crates if not crate.certain),
            "binaries": tuple(binary.name for binary in chosen.all),
            "as_built": any(_BUILT in process.command for process in (*processes, Process(name="", command=command))),
            "rocket": rocket,
            # What a front end's build makes is known only where it was built.
            "directories": () if settings.assets else tuple(name for name in _ASSETS if files.has_directory(name)),
            "made": (*_ASSETS, *_MADE) if settings.assets else (),
            "title": base.title(chosen.start.name if program else chosen.start.package),
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=base.Start(command=command, processes=processes),
        cache=mounts,
        ignored=_ignored(workspace) if member is None else ("target", _CREDENTIALS),
        warnings=warnings,
        place=_place(member, program, workspace, manifests) if member or program else None,
    )


def _compiled(settings: Settings, workspace: Workspace) -> CacheMount:
    """Where the compiled dependencies are kept for the next lockfile: of these packages together.

    Raises:
        LangError: the cache namespace could end the mount's option.
    """
    packages = "\n".join(sorted(crate.name for crate in workspace.crates))
    digest = hashlib.sha256(packages.encode()).hexdigest()[:_DIGITS]
    # Who copies from it must find it whole.
    return msgspec.structs.replace(base.cache(settings, f"cargo-target-{digest}", _COMPILED), sharing="locked")


def _check(workspace: Workspace, member: cargo.Member | None) -> None:
    if member is not None and all(crate.directory != member.path for crate in workspace.crates):
        raise LangError(
            f"this lies in the workspace of {member.manifest}, and is no member of it",
            file=cargo.FILE,
            hint="Add its directory to `members` there, or to `exclude`.",
        )
    if workspace.broken is not None:
        raise workspace.broken


def _is_one_app(files: AppFiles, workspace: Workspace) -> bool:
    """Whether a package or a workspace is an app by itself, because it is clear which program is started."""
    if len({crate.name for crate, _ in _programs(workspace)}) <= 1:
        return True
    try:
        _choose(files, workspace, Settings(), procfile.read(files))
    except LangError:
        return False
    return True


def _alone(workspace: Workspace, directory: str = "") -> Workspace:
    """The package in `directory`, as if there were no other."""
    crates = tuple(crate for crate in workspace.crates if crate.directory == directory)
    return msgspec.structs.replace(workspace, crates=crates, virtual=False, defaults=frozenset({directory}))


def _is_app(crate: Crate) -> bool:
    return bool(crate.binaries) and crate.name != _TASKS and crate.certain


def _in(workspace: Workspace, directory: str, program: cargoprograms.Program) -> Binary:
    """The program of an app's directory, as the workspace around its package has it."""
    path = posixpath.join(directory, program.binary.path)
    return next(binary for crate in workspace.crates for binary in crate.binaries if binary.path == path)


def _place(
    member: cargo.Member | None,
    program: cargoprograms.Program | None,
    workspace: Workspace,
    manifests: tuple[tuple[str, tuple[str, ...]], ...],
) -> beside.Place:
    """Where an app stands in its workspace, or in its package.

    Raises:
        LangError: a directory's name cannot stand in a Dockerfile.
    """
    home = member.path if member else ""
    needed = workspace.needed(home)
    own = [crate for crate in workspace.crates if crate.directory == home]
    # Cargo lets a target lie anywhere, and what is not sent here would be the empty source of the step before.
    sources = [path for crate in (*own, *needed) for path in (crate.library, *crate.mains) if path]
    files = (*(path for _, paths in manifests for path in paths), *sources)
    packages = [crate.directory or "." for crate in needed]
    members = [crate.directory for crate in workspace.crates if crate.directory]
    if program:
        return cargoprograms.place_of(program, member, packages, files=files, members=members)
    return beside.place(home, packages, files=files, members=members)


def _programs(workspace: Workspace) -> list[tuple[Crate, Binary]]:
    """The programs of all packages but the one for the workspace's own tasks."""
    return [(crate, binary) for crate in workspace.crates if crate.name != _TASKS for binary in crate.binaries]


def _choose(
    root: AppFiles,
    workspace: Workspace,
    settings: Settings,
    declared: tuple[Process, ...],
    own: Binary | None = None,
) -> _Chosen:
    """What is compiled.

    Args:
        root: where the paths of packages begin.
        workspace: the packages that it may be of.
        settings: the app's.
        declared: its processes.
        own: what is started unless the app says otherwise; None: that has to be found out.

    Raises:
        LangError: there is none, or it is not clear which.
    """
    programs = _programs(workspace)
    by_name = {binary.name: binary for _, binary in reversed(programs)}
    web = next((process.command for process in declared if process.name == base.WEB), None)
    wanted = _program(settings.run_command or web or "")
    others = dict.fromkeys(_program(process.command) for process in declared if process.name != base.WEB)
    start = by_name.get(wanted) or own or _obvious(root, workspace, programs)
    for binary in (start, *(by_name[name] for name in others if name in by_name)):
        if not _BINARY.fullmatch(binary.name) or not _NAME.fullmatch(binary.package):
            raise LangError(
                f"the program {binary.name[:80]!r} of the package {binary.package[:80]!r} cannot be built by its name",
                file=cargo.FILE,
                hint="Use letters, digits, `-` and `_` in names.",
            )
    rest = tuple(by_name[name] for name in others if name in by_name and name != start.name)
    return _Chosen(start=start, others=rest)


def _obvious(root: AppFiles, workspace: Workspace, programs: list[tuple[Crate, Binary]]) -> Binary:
    """The program to start when nobody names it, by ever weaker signs; several that are left are an error."""
    pairs = [pair for pair in programs if pair[0].directory in workspace.defaults] or programs
    if not pairs:
        hint = "Add src/main.rs, or say which directory holds the program."
        raise LangError("no package here makes a program", file=cargo.FILE, hint=hint)
    for crate, binary in pairs:
        if crate.default_run == binary.name and (not crate.directory or len({each.name for each, _ in pairs}) == 1):
            return binary
    # A package's main program beside others, then the packages that serve.
    mains = [(crate, binary) for crate, binary in pairs if binary.name == (crate.default_run or crate.name)]
    serving = [pair for pair in mains if pair[0].dependencies & _SERVER_FRAMEWORKS]
    for candidates in (pairs, mains if len({crate.name for crate, _ in pairs}) == 1 else [], serving):
        if len(candidates) == 1:
            return candidates[0][1]
    raise cargoprograms.several(root, workspace, pairs, _TASKS)


def _program(command: str) -> str:
    return commands.program(_without_cargo(command)) if command else ""


def _without_cargo(command: str) -> str:
    """`cargo run --release --bin api -- --verbose` as `api --verbose`: the image has no Cargo."""
    words = command.split()
    if words[:2] != ["cargo", "run"]:
        return command
    name: str | None = None
    rest = words[2:]
    while rest and rest[0] != "--":
        word = rest.pop(0)
        option, _, value = word.partition("=")
        if option in {"--bin", "-p", "--package"}:
            said = value or (rest.pop(0) if rest else "")
            name = said if option == "--bin" or name is None else name
        elif word not in _RUN_FLAGS:
            return command
    return " ".join([name, *rest[1:]]) if name else command


def _crate_of(workspace: Workspace, binary: Binary) -> Crate:
    return next(crate for crate in workspace.crates if crate.name == binary.package)


def _options(chosen: _Chosen) -> str:
    """Which packages, programs and features are compiled; names are checked."""
    packages = dict.fromkeys(binary.package for binary in chosen.all)
    features = dict.fromkeys(feature for binary in chosen.all for feature in binary.features)
    for feature in features:
        if not _FEATURE.fullmatch(feature):
            raise LangError(f"{feature[:80]!r} is no feature", file=cargo.FILE, hint="Correct `required-features`.")
    words = [*(f"--package {name}" for name in packages), *(f"--bin {binary.name}" for binary in chosen.all)]
    if features:
        words.append(f"--features {','.join(features)}")
    return " ".join(words)


def _checked(crate: Crate) -> str:
    if not _NAME.fullmatch(crate.name):
        hint = "Use letters, digits, `-` and `_`."
        raise LangError(f"{crate.name[:80]!r} is no name of a package", file=crate.manifest, hint=hint)
    return crate.name


def _sources(paths: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(require_plain_name(path) for path in paths if path))


def _target(config: cargo.Config) -> str | None:
    if config.target is not None and not _TRIPLE.fullmatch(config.target):
        raise LangError(
            f"build.target: {config.target[:80]!r} is no target triple",
            file=config.file,
            hint="Write one of those that `rustc --print target-list` shows.",
        )
    return config.target


def _manifests(files: AppFiles, workspace: Workspace, config: cargo.Config) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What Cargo reads before it compiles, grouped by the directory it goes to."""
    root = (cargo.FILE, _LOCK, *_TOOLCHAINS)
    groups = [("./", tuple(name for name in root if files.exists(name)))]
    if config.file:
        groups.append(("./.cargo/", (config.file,)))
    groups += [(f"./{path}/", (path,)) for path in config.vendored if files.has_directory(path)]
    groups += [(f"./{crate.directory}/", (crate.manifest,)) for crate in workspace.crates if crate.directory]
    return tuple(groups)


def _ignored(workspace: Workspace) -> tuple[str, ...]:
    """The target directories and Cargo's credentials; a source directory that is called `target` stays."""
    # A name that cannot stand in the Dockerfile was refused before.
    directories = [posixpath.join(crate.directory, "target") for crate in workspace.crates]
    return ("target", *(path for path in directories if path != "target"), _CREDENTIALS)


def _version(
    files: AppFiles, settings: Settings, workspace: Workspace, binary: Binary
) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [_statement(forced.value, source=forced.source)] if forced else []
    for file in _TOOLCHAINS:
        channel = _channel(files, file)
        if channel is not None:
            stated.append(_statement(channel, source=file, file=file))
    crate = _crate_of(workspace, binary)
    if crate.rust_version is not None:
        source = f"{crate.manifest} rust-version"
        minimum = versions.exact(crate.rust_version, source=source, file=crate.manifest, hint=_VERSION_HINT)
        # It is the oldest release that will do: whoever asks for a newer one does not disagree.
        lower = min((span.lower for span in minimum.spans if span.lower), default=None)
        stated.append(msgspec.structs.replace(minimum, spans=(spans.Span(lower=lower),)))
    stated += versions.tool_files(files, (NAME,), _statement)
    early = next((each for each in stated[:1] if each.exact is None and each.text), None)
    if early is not None:
        if "rust" not in settings.images:
            raise LangError(f"{early.source} asks for {early.text}", file=early.file, hint=_NIGHTLY_HINT)
        return Version(value=early.text, source=early.source), ()
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _channel(files: AppFiles, file: str) -> str | None:
    text = (files.read_text(file) or "").strip()
    if not text:
        return None
    if file == "rust-toolchain" and "[" not in text:
        return text
    said = documents.toml_as(text, _Toolchain, file).toolchain
    if said.path is not None:
        hint = "Name a channel: the image has no other toolchain than its own."
        raise LangError(f"toolchain.path: {said.path[:80]!r} is a toolchain of another machine", file=file, hint=hint)
    return said.channel


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    """A statement in rustup's words; one without an exact version asks for a channel before the stable one."""
    word = text.strip()
    match = _CHANNEL.fullmatch(word)
    if match is None and word != "latest":
        raise versions.not_understood(text, source=source, file=file, hint=_VERSION_HINT)
    channel = match["channel"] if match else "stable"
    if channel in {"beta", "nightly"}:
        name = f"{channel}{match['date'] or ''}" if match else channel
        return versions.Statement(source=source, text=name, file=file, spans=(spans.Span(),))
    if channel == "stable":
        stable = versions.exact(_DEFAULT, source=source, file=file, hint=_VERSION_HINT)
        return msgspec.structs.replace(stable, moving=True)
    return versions.exact(channel, source=source, file=file, hint=_VERSION_HINT)


def _toolchain(value: str) -> str:
    """A word for sh: the value of $RUSTUP_TOOLCHAIN, which keeps rustup from fetching what a toolchain file names.

    The images' own $RUST_VERSION is how they call the one that they have: `1.92.0` in `rust:1.92`.
    """
    return f'"${{RUST_VERSION:-{value}}}"' if value[:1].isdigit() else value


def _tag(value: str) -> str:
    if not value[:1].isdigit():
        return value
    numbers = tuple(int(part) for part in value.split(".")[:_LINE])
    return f"{value}-{_DEBIAN}" if numbers >= _FIRST_ON_DEBIAN or len(numbers) < _LINE else value
