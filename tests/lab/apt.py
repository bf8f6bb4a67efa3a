"""What apt knows and has. Nothing is installed: packages are only looked up and downloaded."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import anyio
import msgspec

from tests.lab.errors import LabError
from tests.lab.state import Layout, caller_environment

_MIRROR = "http://deb.debian.org/debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class _Done(msgspec.Struct, frozen=True):
    status: int
    said: str


async def missing(place: Layout, *packages: str) -> tuple[str, ...]:
    """The packages that installing some would add; none that it would replace by a newer one.

    Args:
        place: the state directory.
        packages: their names.

    Raises:
        LabError: apt does not know.
    """
    words = ["-s", "--no-install-recommends", "install", *packages]
    done = await _apt(place, words, enough=lambda done: done.status == 0)
    if done.status:
        names = " ".join(packages)
        raise LabError(
            f"apt does not know what Debian's {names} needs\n{done.said.strip()[-2000:]}",
            hint=f"try `apt-get update && apt-get install --no-install-recommends {names}` by hand",
        )
    lines = [line.split() for line in done.said.splitlines() if line.startswith("Inst ")]
    return tuple(words[1] for words in lines if not words[2].startswith("["))


async def download(place: Layout, packages: Collection[str], folder: Path, *, suite: str = "") -> tuple[Path, ...]:
    """Download packages.

    Args:
        place: the state directory.
        packages: their names.
        folder: where to; no other package is in it.
        suite: the release they are from, by its code name; "" is the machine's own.

    Returns:
        The archives.

    Raises:
        LabError: one of them is not to be had.
    """

    def found() -> tuple[Path, ...]:
        return tuple(sorted(folder.glob("*.deb")))

    words = ["download", *sorted(packages)]
    await _apt(place, words, suite=suite, cwd=folder, enough=lambda _: len(found()) == len(packages))
    if len(found()) != len(packages):
        names = " ".join(sorted(packages))
        raise LabError(
            f"Debian's package {names} {f'of {suite} ' if suite else ''}cannot be downloaded",
            hint=f"try `apt-get update && apt-get download {names}` by hand, or install {names}",
        )
    return found()


async def _apt(
    place: Layout,
    words: Sequence[str],
    *,
    enough: Callable[[_Done], bool],
    suite: str = "",
    cwd: Path | None = None,
) -> _Done:
    # apt's own lists may be empty (a fresh machine), too old (the version is gone) or of another release: then a copy
    # of our own is fetched into the state directory, and the system's stays as it is.
    lists = place.root / "apt" / suite
    own = ["-o", f"Dir::State::lists={lists}/lists", "-o", f"Dir::Cache={lists}/cache"]
    if suite:
        lists.mkdir(parents=True, exist_ok=True)
        (lists / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_MIRROR} {suite} main\n", encoding="utf-8")
        own += ["-o", f"Dir::Etc::SourceList={lists}/sources.list", "-o", "Dir::Etc::SourceParts=-"]
    else:
        done = await _run(words, cwd)
        if enough(done):
            return done
    for name in ("lists/partial", "cache/archives/partial"):
        (lists / name).mkdir(parents=True, exist_ok=True)
    # Its status is no verdict: one unreachable source of many fails it.
    await _run([*own, "update"], cwd)
    return await _run([*own, *words], cwd)


async def _run(words: Sequence[str], cwd: Path | None) -> _Done:
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *words]
    done = await anyio.run_process(command, check=False, cwd=cwd, env={**caller_environment(), "LC_ALL": "C"})
    return _Done(status=done.returncode, said=(done.stdout + done.stderr).decode(errors="replace"))
