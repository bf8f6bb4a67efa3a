"""Every example app with one of its files made hostile: a clear error, or an image of the same form.

The table is the example apps, so that a new language is in it as soon as it has one. What was injected may stand in the
Dockerfile as a quoted value; it may not become an instruction, a base image, or something that a shell looks at twice.
Values that are commands by their nature (Procfile, scripts, what starts the app) reach the shell that they are written
for, in the image's own CMD, and nothing that is built.
"""

import itertools
import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import langs
from langs import facts
from langs.errors import LangError
from langs.model import AppBuild
from tests.langs import splitter
from tests.langs.test_apps import APPS, GENERATED, settings_of

FIRST = [next(group) for _, group in itertools.groupby(GENERATED, lambda case: case.partition("-")[0])]
"""One app of each language."""
MARK = "evilevil"
TEXTS = (
    f"x\nRUN {MARK} | sh",
    f"1.2\nUSER {MARK}",
    f"$(touch /{MARK})",
    f"`{MARK}`",
    f"x; {MARK} &",
    f"'; {MARK}; '",
    f'"; {MARK}; "',
    f"{{{{ '{MARK}' * 7 }}}}{{% raw %}}",
    f"a <<{MARK}",
    f'x"]\nCMD ["{MARK}"]',
    f"x \\\n{MARK}",
    f"${{{MARK}}}",
    f"a\u2028USER {MARK}",
    f"a,source=/,target=/{MARK}",
    f"--from={MARK}",
    f"../../{MARK}",
    f"/{MARK}",
    f"-o {MARK}",
)
JUNK = {
    "10 MB": "A" * (10 << 20),
    "one line of 1 MB": "a=b " * (1 << 18),
    "one long line in 1 MB of pieces": "\\\n" * (1 << 19),
    "1 MB of blank lines": "\n" * (1 << 20),
    "a TOML key of many parts": "a" + ".a" * (1 << 19) + " = 1",
    "deep JSON": '{"a":' * 100_000,
    "deep lists": "[" * 200_000,
    "deep parentheses": "(" * 200_000,
    "deep XML": "<project>" * 100_000,
    "XML bomb": '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><project><version>&i;</version></project>",
    "XML from outside": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><project><version>&e;'
    "</version></project>",
    "YAML bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "no text": "\udcff\udcfe\x00\x01",
    "a long number": '{"version": ' + "9" * 100_000 + "}",
    "quotes": "'\"" * 100_000,
}
_QUOTED = re.compile(r"(?<=[\"'>])[^\"'<>\n]{1,60}(?=[\"'<])")
_WORD = re.compile(r"(?<![\w.])[\w.@/-]{2,40}(?![\w.])")
_SHELLS = ("/bin/sh", "sh")
MOST_SECONDS = 3


@pytest.fixture
def app(tmp_path: Path, case: str) -> Path:
    shutil.copytree(APPS / case / "app", tmp_path / "app", symlinks=True)
    return tmp_path / "app"


def build(root: Path, case: str) -> AppBuild | None:
    began = time.process_time()
    refused: LangError | None = None
    built: AppBuild | None = None
    try:
        built = langs.build(root, settings_of(case))
    except LangError as error:
        refused = error
    assert built is not None or (refused is not None and refused.hint and len(refused.message) < 2000)
    assert time.process_time() - began < MOST_SECONDS
    return built


def small_files(root: Path) -> list[str]:
    """What may decide something: the app's text files but for lockfiles and sources of some length."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
    names = [path.relative_to(root).as_posix() for path in found if path.stat().st_size < 20_000]
    return [name for name in names if name.count("/") <= 2][:20]


def mutations(text: str, draw: random.Random) -> Iterator[str]:
    """The text with one of its values replaced, some raw and some as JSON would write them."""
    spans = [match.span() for pattern in (_QUOTED, _WORD) for match in pattern.finditer(text)]
    for start, end in draw.sample(spans, min(len(spans), 4)):
        nasty = draw.choice(TEXTS)
        yield text[:start] + draw.choice((nasty, json.dumps(nasty)[1:-1])) + text[end:]


def assert_same_form(built: AppBuild) -> None:
    instructions = splitter.split(built.dockerfile)
    stages = {"scratch"}
    for keyword, rest in instructions:
        assert keyword in {"FROM", "WORKDIR", "ENV", "COPY", "RUN", "EXPOSE", "LABEL", "USER", "CMD", "HEALTHCHECK"}, (
            keyword,
            rest,
        )
        if keyword == "FROM":
            source, _, name = rest.partition(" AS ")
            known = source in stages or source.rpartition(":")[0] in facts.IMAGES
            assert known, rest
            assert MARK not in rest
            stages.add(name)
        elif keyword in {"USER", "EXPOSE", "WORKDIR"}:
            assert MARK not in rest
        elif keyword == "RUN" and MARK in rest:
            assert_quoted(rest)
        elif keyword == "COPY":
            assert "--from=evil" not in rest
            assert ".." not in rest.split("/")
    assert instructions[-1][0] == "CMD"
    assert ("USER", "1000:1000") in instructions


def assert_quoted(rest: str) -> None:
    """A RUN holds the mark only as an argument in single quotes, of a command in the exec form, or as a plain word."""
    command = re.sub(r"^(?:--\S+\s+)*", "", rest)
    assert MARK not in rest[: len(rest) - len(command)], rest
    if command.startswith("["):
        words = json.loads(command)
        assert words[0] in _SHELLS
        command = words[2]
    bare = re.sub(r"'[^']*'|\"'\"", "", command)
    around = {
        bare[max(match.start() - 1, 0)] + bare[match.end() : match.end() + 1] for match in re.finditer(MARK, bare)
    }
    assert not any(character in "$`;&|()<>\n\\\"'{" for pair in around for character in pair), command


@pytest.mark.parametrize("case", FIRST)
def test_a_nasty_value_in_any_file_never_becomes_more_than_a_value(app: Path, case: str) -> None:
    draw = random.Random(case)  # noqa: S311 -- the same cases every time
    for name in small_files(app):
        file = app / name
        original = file.read_bytes()
        for text in mutations(original.decode(errors="replace"), draw):
            file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
            built = build(app, case)
            if built is not None:
                assert_same_form(built)
        file.write_bytes(original)


@pytest.mark.parametrize("case", FIRST)
def test_a_file_of_junk_is_an_error_or_nothing_and_soon(app: Path, case: str) -> None:
    for name in small_files(app):
        file = app / name
        original = file.read_bytes()
        for junk in random.Random(name).sample(sorted(JUNK), 3):  # noqa: S311 -- as above
            file.write_text(JUNK[junk], encoding="utf-8", errors="surrogateescape")
            built = build(app, case)
            if built is not None:
                assert_same_form(built)
        file.write_bytes(original)


@pytest.mark.parametrize("case", FIRST)
def test_a_link_out_of_the_app_is_never_followed(app: Path, case: str, tmp_path: Path) -> None:
    for name in small_files(app):
        file = app / name
        original = file.read_bytes()
        outside = tmp_path / "outside"
        outside.write_bytes(original + f"\n{MARK}\n".encode())
        for target in (outside, Path("/etc/passwd"), file.name, "/dev/zero", ".."):
            file.unlink()
            file.symlink_to(target)
            built = build(app, case)
            if built is not None:
                assert_same_form(built)
                assert MARK not in str(msgspec.to_builtins(built))
        file.unlink()
        os.mkfifo(file)
        build(app, case)
        file.unlink()
        file.write_bytes(original)


VERSION_FILES = (
    ".bun-version",
    ".deno-version",
    ".dvmrc",
    ".elixir-version",
    ".go-version",
    ".java-version",
    ".kotlin-version",
    ".node-version",
    ".nvmrc",
    ".php-version",
    ".python-version",
    ".ruby-version",
    ".scala-version",
    ".sdkmanrc",
    ".tool-versions",
    "mise.toml",
    "runtime.txt",
    "rust-toolchain",
    "rust-toolchain.toml",
    "system.properties",
    "global.json",
    "Procfile",
    "app.json",
    ".dockerignore",
    "Staticfile",
)


@pytest.mark.parametrize("case", FIRST)
def test_version_files_and_manifests_of_whoever_cannot_inject_anything(app: Path, case: str) -> None:
    draw = random.Random(case)  # noqa: S311 -- as above
    for name in VERSION_FILES:
        file = app / name
        if file.exists():
            continue
        for template in (MARK, *draw.sample(TEXTS, 5)):
            for text in (template, f"web: {template}", f"nodejs {template}\npython {template}\njava {template}"):
                file.write_text(text, encoding="utf-8", newline="")
                built = build(app, case)
                if built is not None:
                    assert_same_form(built)
        file.unlink()


@pytest.mark.parametrize("case", FIRST)
def test_a_name_of_a_file_that_is_made_to_be_read_as_something_else_is_none(app: Path, case: str) -> None:
    names = (f"a\nRUN {MARK}", f"$({MARK})", f"--from={MARK}", f"' {MARK}", "{{ 7 * 7 }}", "\udcff", "a b", "*")
    sources = [name for name in small_files(app) if "/" not in name]
    for name in names:
        for source in sources[:10]:
            suffix = Path(source).suffix
            shutil.copyfile(app / source, app / f"{name}{suffix}")
        (app / f"{name} dir").mkdir()
        shutil.copyfile(app / sources[0], app / f"{name} dir" / sources[0])

    built = build(app, case)

    if built is not None:
        assert_same_form(built)
