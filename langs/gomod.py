"""go.mod and go.work: lines of a keyword and words, some in blocks (https://go.dev/ref/mod#go-mod-file)."""

from typing import Final

import msgspec

from langs.errors import LangError

_ARROW: Final = "=>"
_DIRECTIVES: Final = {
    "go.mod": frozenset(
        {"module", "go", "toolchain", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"}
    ),
    "go.work": frozenset({"go", "toolchain", "godebug", "use", "replace"}),
}
"""All that Go 1.25 knows, by file; like Go in a main module, others are refused (golang.org/x/mod, modfile/rule.go)."""


class GoMod(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a go.mod or go.work."""

    module: str | None = None
    go: str | None = None
    toolchain: str | None = None
    requires: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    """Directories that stand in for modules."""
    uses: tuple[str, ...] = ()
    """Directories of a workspace's modules."""


def parse(text: str, file: str) -> GoMod:
    """The contents of a go.mod or go.work. Directives that a build does not need are passed over.

    Args:
        text: the contents.
        file: its name, which decides about the directives.

    Raises:
        LangError: Go knows no such directive, a parenthesis lacks its partner, or a keyword lacks its word.
    """
    known = _DIRECTIVES[file]
    found: dict[str, list[str]] = {"module": [], "go": [], "toolchain": [], "require": [], "replace": [], "use": []}
    block: str | None = None
    opened = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        words = raw.partition("//")[0].replace("(", " ( ").replace(")", " ) ").split()
        if not words:
            continue
        begins = block is None and words[1:] == ["("]
        if (words[-1] == "(" and not begins) or (words[0] == ")" and block is None):
            raise LangError(
                f"a parenthesis without its partner: `{raw.strip()[:80]}`",
                file=file,
                line=number,
                hint="A block is `KEYWORD (`, lines of its own, and `)`.",
            )
        if block is None and words[0] not in known:
            raise LangError(
                f"unknown directive {words[0][:80]!r}",
                file=file,
                line=number,
                hint=f"Go knows {', '.join(sorted(known))}: correct the line, or remove it.",
            )
        if block is not None and words == [")"]:
            block = None
        elif block is not None:
            _take(found, block, words, file=file, line=number)
        elif begins:
            block, opened = words[0], number
        elif words[1:] != ["(", ")"]:
            _take(found, words[0], words[1:], file=file, line=number)
    if block is not None:
        raise LangError(f"the block `{block} (` does not end", file=file, line=opened, hint="Close it with `)`.")
    return GoMod(
        module=next(iter(found["module"]), None),
        go=next(iter(found["go"]), None),
        toolchain=next(iter(found["toolchain"]), None),
        requires=tuple(found["require"]),
        replaces=tuple(found["replace"]),
        uses=tuple(found["use"]),
    )


def _take(found: dict[str, list[str]], keyword: str, words: list[str], *, file: str, line: int) -> None:
    if keyword not in found:
        return
    if not words:
        raise LangError(f"`{keyword}` lacks its value", file=file, line=line, hint="Run `go mod tidy`.")
    word = words[0]
    if keyword == "replace":
        word = words[words.index(_ARROW) + 1] if _ARROW in words[:-1] else ""
        if not word.startswith(("./", "../", "/", '"./', '"../')):
            return
    found[keyword].append(word.strip('"`'))
