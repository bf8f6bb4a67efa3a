"""A `console` block: lines that begin with `$ `, each followed by what the command prints.

Nothing below a command claims nothing about its output. `...` stands for any text. What differs from run to run
(digests, seconds, a port, the number of a step) may differ. A command must end with 0; to show another status, a
document writes `; echo $?` behind the command, as a reader would.
"""

import functools
import re
from functools import partial
from pathlib import Path

import anyio
import msgspec
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser
from sybil.typing import Evaluator

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")]))
PAGES = tuple(document for document in DOCUMENTS if document.parent == ROOT / "docs/languages")
"""Those that are made of the example apps: `tests/docs/test_pages.py` types what they say to type."""

_SECONDS = 600
_VOLATILE = (
    (re.compile(r"sha256:[0-9a-f]{8,64}(?:\.\.\.)?"), "sha256:DIGEST"),
    (re.compile(r"\b\d+\.\d+s\b"), "SECONDS"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"(?<= \| )#\d+ "), "#NUMBER "),
)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command, and what a document says that it prints; empty: nothing is said."""

    command: str
    shown: str


def steps_of(block: str) -> tuple[Step, ...]:
    """The commands of a block, in order.

    Raises:
        ValueError: the block does not begin with a command.
    """
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif not found:
            raise ValueError(f"expected a line that begins with `$ `, got {line!r}")
        elif found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    return tuple(Step(command=command, shown="\n".join(shown)) for command, shown in found)


@functools.cache
def commands(document: Path) -> tuple[str, ...]:
    """All commands of a document's console blocks."""
    parsed = parse(document, CodeBlockParser("console", lambda _: None))
    return tuple(step.command for example in parsed.examples() for step in steps_of(str(example.parsed)))


def parse(document: Path, *parsers: CodeBlockParser) -> Document:
    """The examples that the parsers know."""
    return Document.parse(str(document), *parsers)


def block(language: str, evaluate: Evaluator) -> CodeBlockParser:
    """The parser of the fenced blocks of one language."""
    return CodeBlockParser(language, evaluate)


def agrees(shown: str, printed: str) -> bool:
    """Whether `printed` is what a document shows."""
    parts = _settled(shown).split("...")
    return re.fullmatch(".*".join(map(re.escape, parts)), _settled(printed), re.DOTALL) is not None


def run(command: str, variables: dict[str, str]) -> tuple[int, str]:
    """Exit status and output of one command, as a shell at the checkout's root runs it."""
    return anyio.run(partial(_run, command, variables))


async def _run(command: str, variables: dict[str, str]) -> tuple[int, str]:
    with anyio.fail_after(_SECONDS):
        done = await anyio.run_process(
            ["/bin/sh", "-c", f"exec 2>&1\n{command}"], input=b"", cwd=ROOT, env=variables, check=False
        )
    return done.returncode, done.stdout.decode()


def _settled(text: str) -> str:
    text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text
