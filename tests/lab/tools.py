"""The lab's programs: Debian's, unpacked beside the system and never installed, and Go's, compiled once.

A Debian package that is not installed is downloaded and unpacked into the state directory: no maintainer script runs
and no service starts. apt itself needs libseccomp2, the only library runc asks for beyond libc, so that wherever this
works, it is there. Go programs are built from pinned modules (`modules/*/go.mod`, checked against go.sum) into a
folder named by their version. A finished tool is renamed into place, so an interrupted run leaves none half-made.
"""

import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from tests.lab import apt
from tests.lab.errors import LabError
from tests.lab.state import BUILDKIT, BUILDKIT_OLDEST, Layout, caller_environment

_MODULES = Path(__file__).parent / "modules"
_SIGN_OF_LIFE = 60.0
"""Seconds between two lines of a long work that says nothing."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def debian_program(place: Layout, package: str, program: str, *, installed: bool) -> Path:
    """A program of a Debian package: the machine's own, else unpacked from the package.

    Args:
        place: the state directory.
        package: the package's name.
        program: its path in the package, without the leading slash.
        installed: whether the machine's own will do; False unpacks in every case.

    Raises:
        LabError: it is neither installed nor to be had.
    """
    if installed and (own := installed_program(Path(program).name)) is not None:
        return own
    return await debian_package(place, package) / program


def installed_program(name: str) -> Path | None:
    """A program of the machine's own, or None."""
    found = shutil.which(name, path=_SYSTEM_PATH)
    return None if found is None else Path(found)


async def buildkit(place: Layout, say: Callable[[str], None]) -> None:
    """Compile buildkitd and buildctl, unless that was done before."""
    await _compile(
        place,
        say,
        module="buildkit",
        packages=("github.com/moby/buildkit/cmd/buildkitd", "github.com/moby/buildkit/cmd/buildctl"),
        version=f"-X github.com/moby/buildkit/version.Version={BUILDKIT}",
        into=place.buildkit,
    )


async def buildkit_oldest(place: Layout, say: Callable[[str], None]) -> None:
    """Compile the oldest buildkitd that fleetpacks takes, unless that was done before."""
    await _compile(
        place,
        say,
        module="buildkit-oldest",
        packages=("github.com/moby/buildkit/cmd/buildkitd",),
        version=f"-X github.com/moby/buildkit/version.Version={BUILDKIT_OLDEST}",
        into=place.buildkit_oldest,
    )


async def debian_package(place: Layout, package: str, *, suite: str = "") -> Path:
    """The root of an unpacked Debian package.

    Args:
        place: the state directory.
        package: the package's name.
        suite: the release it is from, by its code name, for programs that need no newer libraries than the machine's;
            "" is the machine's own.

    Raises:
        LabError: it is not to be had.
    """
    unpacked = place.debian(package, suite=suite)
    if not await anyio.Path(unpacked).exists():
        await _unpack(place, package, unpacked, suite=suite)
    return unpacked


async def debian_closure(place: Layout, package: str, *more: str) -> Path:
    """The root of an unpacked Debian package together with all that it needs and the machine has not.

    Args:
        place: the state directory.
        package: the package's name.
        more: others that go into the same root.

    Raises:
        LabError: a part is not to be had.
    """
    unpacked = place.root / "bin" / "debian" / f"{package}+"
    if await anyio.Path(unpacked).exists():
        return unpacked
    place.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{package}-", dir=place.work))
    missing = await apt.missing(place, package, *more)
    for archive in await apt.download(place, {package, *more, *missing}, folder):
        await _extract(archive, folder / "root")
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    # Another session may have been faster.
    with suppress(OSError):
        (folder / "root").rename(unpacked)
    shutil.rmtree(folder)
    return unpacked


def go(why: str) -> str:
    """The machine's Go.

    Args:
        why: what it is needed for, for the error.

    Raises:
        LabError: there is none.
    """
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise LabError(
            f"{why}, and there is no Go compiler",
            hint="install Go 1.25 or newer, or name a running buildkitd with $BUILDKIT_HOST",
        )
    return found


async def run(
    command: Sequence[str | Path],
    *,
    doing: str,
    hint: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and return its output.

    Raises:
        LabError: it failed, or is not there; the message has the end of what it said.
    """
    try:
        done = await anyio.run_process([str(word) for word in command], check=False, env=env, cwd=cwd)
    except FileNotFoundError as error:
        raise LabError(f"{doing}: there is no program {command[0]}", hint=hint) from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise LabError(f"{doing}: exit status {done.returncode}\n{said[-2000:]}", hint=hint)
    return done.stdout.decode(errors="replace")


async def watched(
    work: Callable[[], Awaitable[None]], say: Callable[[str], None], *, doing: str, every: float = _SIGN_OF_LIFE
) -> None:
    """Do a work that says nothing for minutes, and tell that it goes on.

    Args:
        work: the work.
        say: hears of it.
        doing: what the work is.
        every: seconds between two lines.

    Raises:
        LabError: the work failed.
    """
    failed: LabError | None = None
    started = time.monotonic()

    async def tell() -> None:
        while True:
            await anyio.sleep(every)
            say(f"still {doing}, for {time.monotonic() - started:.0f} s")

    async with anyio.create_task_group() as telling:
        telling.start_soon(tell)
        try:
            await work()
        except LabError as error:
            # The group would wrap it.
            failed = error
        telling.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _unpack(place: Layout, package: str, into: Path, *, suite: str) -> None:
    folder = place.work / f"{package}-{suite}"
    folder.mkdir(parents=True)
    (archive,) = await apt.download(place, {package}, folder, suite=suite)
    await _extract(archive, folder / "root")
    into.parent.mkdir(parents=True, exist_ok=True)
    (folder / "root").rename(into)


async def _extract(archive: Path, root: Path) -> None:
    doing = f"unpacking Debian's {archive.name}"
    await run(["dpkg-deb", "-x", archive, root], doing=doing, hint="look whether the disk is full")


async def _compile(
    place: Layout,
    say: Callable[[str], None],
    *,
    module: str,
    packages: Sequence[str],
    version: str,
    into: Path,
) -> None:
    if await anyio.Path(into).exists():
        return
    compiler = go(f"{into.name} has to be compiled once")
    say(f"compiling {into.name} with {compiler}, once: 1 to 5 minutes")
    started = time.monotonic()
    out = place.work / module
    cache = place.root / "cache" / "go"
    # Nobody debugs them: without tables for that, compiling takes a tenth less.
    options = ["-trimpath", "-modcacherw", "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {version}"]

    async def compiling() -> None:
        await run(
            [compiler, "build", *options, "-o", f"{out}/", *packages],
            doing=f"compiling {into.name}",
            hint="look whether the Go module proxy ($GOPROXY) can be reached",
            cwd=_MODULES / module,
            env={
                **caller_environment(),
                "CGO_ENABLED": "0",
                "GOFLAGS": "-mod=readonly",
                "GOMODCACHE": str(cache / "modules"),
                "GOCACHE": str(cache / "objects"),
                "GOWORK": "off",
            },
        )

    await watched(compiling, say, doing=f"compiling {into.name}")
    into.parent.mkdir(parents=True, exist_ok=True)
    out.rename(into)
    say(f"compiled {into.name} in {time.monotonic() - started:.0f} s")
