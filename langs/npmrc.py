"""Credentials in what JavaScript's package managers read: in plain text they would be in a layer, so they are refused.

A variable in their place is each manager's own way; it is a secret of the steps that install.
"""

import re
from typing import Final, cast

from langs import documents, packagejson, yamltext
from langs.errors import LangError
from langs.files import AppFiles
from langs.packagejson import PackageJson

_ASSIGNED: Final = re.compile(
    r"^[^#;\n]*(?:_authToken|_auth|_password)[\"']?[ \t]*(?:=|[ \t])[ \t]*+(?![\"']?\$\{)\S", re.MULTILINE
)
"""A credential in .npmrc or .yarnrc that no variable stands for; possessive, so that no file makes it slow."""
_PASSWORD: Final = re.compile(r"://[^/@:\s$]*:[^/@\s$]+@")
"""An address with a password, as in `https://me:secret@registry.example/`."""
_KEYS: Final = frozenset({"npmAuthToken", "npmAuthIdent", "token", "password"})
_YARN: Final = ".yarnrc.yml"
_BUN: Final = "bunfig.toml"
_DEEPEST: Final = 8


def refuse_credentials(files: AppFiles, package: PackageJson) -> None:
    """A credential in plain text would be in a layer.

    Raises:
        LangError: there is one, or a file cannot be understood.
    """
    for file in (".npmrc", ".yarnrc"):
        text = files.read_text(file)
        if text and (_ASSIGNED.search(text) or _PASSWORD.search(text)):
            raise _found(file, "_authToken=${NPM_TOKEN}")
    text = files.read_text(_YARN)
    if text and _holds(yamltext.load(text, _YARN), _DEEPEST):
        raise _found(_YARN, "npmAuthToken: ${NPM_TOKEN}")
    text = files.read_text(_BUN)
    if text and _holds(documents.toml_as(text, dict[str, object], _BUN), _DEEPEST):
        raise _found(_BUN, 'token = "$NPM_TOKEN"')
    if any(_PASSWORD.search(wanted) for wanted in package.everything.values()):
        raise LangError(
            "the address of a dependency holds a password",
            file=packagejson.FILE,
            hint="Write the address without it, and give the credential as a secret of this app.",
        )


def _found(file: str, line: str) -> LangError:
    return LangError(
        "holds a credential in plain text",
        file=file,
        hint=f"Write `{line}` and declare the secret NPM_TOKEN for this app.",
    )


def _holds(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return any(
            (key in _KEYS and isinstance(each, str) and bool(each) and not each.startswith("$"))
            or (depth > 0 and _holds(each, depth - 1))
            for key, each in table.items()
        )
    if isinstance(value, list):
        return depth > 0 and any(_holds(each, depth - 1) for each in cast("list[object]", value))
    return isinstance(value, str) and _PASSWORD.search(value) is not None
