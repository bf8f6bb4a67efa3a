"""app.json, Heroku's manifest of an app: what it says to those who run the app, and which languages it names.

Nothing of it is a setting of a build or of an operator: a variable called `OUTPUT_IMAGE` or `RUN_COMMAND` in it is a
variable of the app like any other, handed on and never obeyed. Values that Heroku would generate are left to whoever
deploys: a secret in a result file is none. Other programs keep files of this name, so that what is not Heroku's is
passed over.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from langs import documents
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.model import Addon, Formation, Release, Script

FILE: Final = "app.json"

_LONG: Final = 1 << 14
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_REPOSITORY: Final = re.compile(r"heroku-(?:community-)?buildpack-|cloud-native-buildpack-")
_ALIASES: Final[Mapping[str, str]] = {
    "csharp": "dotnet",
    "dotnetcore": "dotnet",
    "dotnet-core": "dotnet",
    "golang": "go",
    "gradle": "java",
    "jvm": "java",
    "maven": "java",
    "node": "nodejs",
    "node.js": "nodejs",
}
"""What buildpacks call languages otherwise than we."""

_Value: TypeAlias = str | int | float | bool


class _Variable(msgspec.Struct):
    value: _Value | None = None
    generator: object = None


class _Process(msgspec.Struct):
    name: str | None = None
    quantity: int | None = None
    size: str | None = None


class _Command(msgspec.Struct):
    command: str


class _Addon(msgspec.Struct, rename={"attached_as": "as"}):
    plan: str
    attached_as: str | None = None
    options: dict[str, object] | None = None


class _Buildpack(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    env: dict[str, _Value | _Variable | None] = {}
    formation: dict[str, _Process] | list[_Process] = {}
    scripts: dict[str, str | _Command] = {}
    addons: list[str | _Addon] = []
    buildpacks: list[str | _Buildpack] = []


class AppJson(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    release: Release
    buildpacks: tuple[str, ...]
    """The buildpacks as they are named there; the last one is the primary."""


@once
def read(files: AppFiles) -> AppJson | None:
    """The app's app.json, or None.

    Raises:
        LangError: it is no JSON, or one of the keys that are read has another shape.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


def parse(text: str) -> AppJson:
    """What the text of an app.json says.

    Raises:
        LangError: as `read`.
    """
    raw = documents.json_as(text, _File, FILE)
    return AppJson(
        release=Release(
            env={name: _value(name, said) for name, said in raw.env.items()},
            formation=tuple(_formation(raw)),
            scripts=tuple(
                Script(name=_text(name), command=_text(said.command if isinstance(said, _Command) else said))
                for name, said in raw.scripts.items()
            ),
            addons=tuple(
                Addon(plan=_text(said))
                if isinstance(said, str)
                else Addon(plan=_text(said.plan), attached_as=said.attached_as, options=said.options)
                for said in raw.addons
            ),
        ),
        buildpacks=tuple(said if isinstance(said, str) else said.url for said in raw.buildpacks),
    )


def language(buildpack: str) -> str:
    """The language that a buildpack is for, as we call it, if it is one of ours: `nodejs` for `heroku/nodejs`.

    Names stand alone, behind an owner, in an URN, or in the address of a repository.
    """
    name = buildpack.strip().partition("#")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    name = _REPOSITORY.sub("", name.removesuffix(".git").removesuffix(".tgz").lower())
    return _ALIASES.get(name, name)


def _formation(raw: _File) -> Iterator[Formation]:
    named = raw.formation.items() if isinstance(raw.formation, dict) else ((each.name, each) for each in raw.formation)
    for name, each in named:
        if name is None:
            raise LangError("formation: a process has no name", file=FILE, hint='Write `"web": {"quantity": 1}`.')
        yield Formation(name=_text(name), quantity=each.quantity, size=each.size)


def _value(name: str, said: _Value | _Variable | None) -> str | None:
    _text(name)
    value = said.value if isinstance(said, _Variable) else said
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(str(value))


def _text(text: str) -> str:
    """`text`, which is handed on to files that people and programs read."""
    if len(text) > _LONG or _CONTROL.search(text):
        raise LangError(
            f"{text[:40]!r} is too long or holds a control character", file=FILE, hint="Write one line of plain text."
        )
    return text
