"""Which Node.js an app is built with: what is forced, what the app states, what its workspace does, what it needs.

Where nobody states anything it is the default, unless the packages that the app asks for need another one.
"""

from collections.abc import Iterator
from typing import Final

from langs import base, nodelock, packagejson, versions
from langs.files import AppFiles
from langs.model import Settings, Version
from langs.nodeworkspace import Member
from langs.packagejson import PackageJson

_TABLE: Final = "nodejs"

_DEFAULT: Final = "22.16.0"
_LINE: Final = 1


def resolve(
    files: AppFiles, settings: Settings, package: PackageJson, member: Member | None, *, lock: str | None
) -> tuple[Version, tuple[str, ...]]:
    """The version, and what there is to warn of.

    Args:
        files: the app's.
        settings: of the app.
        package: its manifest.
        member: the app in its workspace.
        lock: the lockfile, which is the workspace's.

    Raises:
        LangError: a statement cannot be understood, or no release is known that it allows.
    """
    forced = base.forced(settings, _TABLE)
    stated = [versions.npm(forced.value, source=forced.source)] if forced else []
    stated += _stated(files, package)
    root = member.root if member else files
    if not stated and member is not None:
        stated += _stated(root, packagejson.read(root) or PackageJson())
    warnings: tuple[str, ...] = ()
    if not stated:
        place = member.path if member else "."
        wanted, warnings = nodelock.needed(root, lock, place=place, names=package.everything, default=_DEFAULT)
        stated += [wanted] if wanted else []
    version, more = versions.resolve(stated, settings=settings, table=_TABLE, default=_DEFAULT, line=_LINE)
    return version, (*warnings, *more)


def _stated(files: AppFiles, package: PackageJson) -> Iterator[versions.Statement]:
    for file in (".node-version", ".nvmrc"):
        lines = [line.partition("#")[0].strip() for line in (files.read_text(file) or "").split("\n")]
        text = next((line for line in lines if line), None)
        # `system` leaves the choice to the machine: it states nothing.
        if text and text != "system":
            yield versions.npm(text, source=file, file=file)
    for key, text in package.node_versions:
        yield versions.npm(text, source=f"{packagejson.FILE} {key}", file=packagejson.FILE)
    yield from versions.tool_files(files, ("nodejs", "node"), versions.npm)
