"""The example apps that are really built: what each expects, what was seen of it, and what documents say of that.

`tests/apps/<case>/real.json` says where an app changes and what it answers. `answered.json` beside it is written by
`test_languages.py` under `FLEETPACKS_FULL=1`, when the app was built and had answered; it counts as long as the app's
golden Dockerfile is the one that was built. From both, and from which toolchains the base images really hold, come the
tables of languages and frameworks, and a page for each language (`tests/e2e/pages.py`): `poe languages` writes them.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from langs.model import CacheMount, Evidence, Part, Process, Version
from orchestrator.bases.recipes import Recipes, load

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"
NOT_LANGUAGES = ("static", "dockerfile", "compose")
"""What is built, too, and is no programming language."""
_SOURCES = re.compile(r"(?:^FROM (?:--\S+ )?|--from=|,from=)([^\s,$]+)(?=[\s,])", re.MULTILINE | re.IGNORECASE)
_STAGES = re.compile(r"^FROM .+ AS (\S+)", re.MULTILINE | re.IGNORECASE)

Status = Literal["built and answered", "built with stand-in", "checked by lint and outline only"]
_Read = TypeVar("_Read")


class Real(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an app is changed and asked: `real.json`."""

    app: str = "."
    """Where the app is: below the case's directory where that is the root of a workspace."""
    sibling: str | None = None
    """Another app of the workspace, which has the installation in common with this one."""
    other: str | None = None
    """A source of a member that the app does not depend on."""
    source: str
    """The file whose change is a change of source, relative to the case; in a workspace a package's."""
    append_source: str
    """What is appended to it: text that means nothing, in which `%s` becomes a random word."""
    lockfile: str | None = None
    """The file whose change installs again; None where nothing is installed."""
    append_lockfile: str | None = None
    """The same for the lockfile; None appends random white space."""
    install: str | None = None
    """A part of the name of the step that installs; None where nothing is installed."""
    build: str
    """A part of the name of the step that the source goes through."""
    path: str = "/"
    answer: object
    """The body of the answer: a string is compared as text, everything else as JSON."""
    part: bool = False
    """Whether the text is a part of the body only: what pages load is named after its content."""
    hashed: str | None = None
    """What the name of a file begins with that the page loads and a browser may keep: it changes with its content."""
    health: str | None = None
    """Where the framework itself tells of the app's health, and answers 200 when it is well."""
    env: Mapping[str, str] = {}
    """What an image must be given that is no good without."""
    pushes: int | None = None
    """Bytes of layers, as they are compressed, that a change of source makes anew at most."""
    tier: Literal["run", "full"]
    """`run`: in every CI run; `full`: in `.ci/full` only."""
    dear: Literal["lockfile", "source"] | None = None
    """Whether a change of the lockfile, or one of the source, too, is built in `.ci/full` only: half a minute each."""
    stand_in: str | None = None
    """The real tool that stands in for one that is not to be had, beside those of the base images."""

    def answered(self, body: str) -> bool:
        """Whether the app's answer is the right one."""
        if not isinstance(self.answer, str):
            return bool(msgspec.json.decode(body) == self.answer)
        return self.answer in body if self.part else body.strip() == self.answer.strip()

    def kept(self, body: str) -> str:
        """The path of the file that a browser may keep, as the page has it."""
        assert self.hashed is not None
        found = re.search(rf"[\"'/]({re.escape(self.hashed.removeprefix('/'))}[^\"'\\\s>]+)", body)
        assert found, f"nothing in the page begins with {self.hashed}"
        return f"/{found[1]}"

    def __post_init__(self) -> None:
        if (self.lockfile is None) != (self.install is None):
            raise ValueError("lockfile and install go together")
        if (self.other is None) != (self.app == "."):
            raise ValueError("a workspace has a member that the app does not depend on")


class Answered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app was built four times, started, and answered: `answered.json`."""

    dockerfile: str
    """SHA-256 of the Dockerfile."""
    date: str
    commit: str
    machine: str
    seconds: Mapping[str, float]
    """Of each build, and until the answer."""


class Place(msgspec.Struct, frozen=True):
    """What is read of `place.json`, which stands in for `real.json` where an app of a workspace is not really built."""

    app: str = "."


class Plan(msgspec.Struct, frozen=True):
    """What is read of `plan.golden.json`."""

    language: str
    package_manager: str | None = None
    version: Version | None = None
    start_command: str | None = None
    processes: tuple[Process, ...] = ()
    cache: tuple[CacheMount, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[str, ...] = ()
    healthcheck: str | None = None
    front_end: Part | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An example app."""

    name: str
    plan: Plan
    dockerfile: str
    """The golden one."""
    place: str = "."
    """Where the app is, as in `Real`."""
    settings: str | None = None
    """What is said of it (`settings.json`), where its files alone do not give that plan."""
    real: Real | None
    answered: Answered | None

    @property
    def source(self) -> Path:
        """The monorepo that holds the app; the app's own directory, but for workspaces."""
        return APPS / self.name / "app"

    @property
    def digest(self) -> str:
        """Of the Dockerfile."""
        return hashlib.sha256(self.dockerfile.encode()).hexdigest()

    @property
    def generated(self) -> bool:
        """Whether the Dockerfile is ours."""
        return self.plan.language not in {"dockerfile", "compose"}

    def bases(self) -> tuple[str, ...]:
        """The images that it builds on, as the Dockerfile names them."""
        stages = {"scratch", *_STAGES.findall(self.dockerfile)}
        return tuple(dict.fromkeys(name for name in _SOURCES.findall(self.dockerfile) if name not in stages))

    def stand_ins(self) -> tuple[str, ...]:
        """The real tools in it that are not what they are called."""
        held: dict[str, str] = {}
        for name in self.bases():
            for recipe in _recipes().images:
                if recipe.stands_in(name) and recipe.holds is not None:
                    held.setdefault(recipe.holds, name)
        own = [self.real.stand_in] if self.real and self.real.stand_in else []
        return (*own, *(f"{tool} as `{name}`" for tool, name in held.items()))

    @property
    def status(self) -> Status:
        """How far it was proved."""
        if self.real is None or self.answered is None or self.answered.dockerfile != self.digest:
            return "checked by lint and outline only"
        return "built with stand-in" if self.stand_ins() else "built and answered"


def cases() -> tuple[Case, ...]:
    """All example apps, by name."""
    return tuple(_case(folder) for folder in sorted(APPS.iterdir()) if (folder / "Dockerfile.golden").exists())


def record(case: Case, answered: Answered) -> None:
    """Keep what was seen beside the app."""
    encoded = msgspec.json.format(msgspec.json.encode(answered), indent=2)
    (APPS / case.name / "answered.json").write_bytes(encoded + b"\n")


def appended(file: Path, text: str | None, word: str) -> None:
    """Change a file's content and nothing of its meaning, in a way that nobody has built before.

    Args:
        file: what is appended to.
        text: what is appended, as `Real` has it.
        word: hexadecimal digits that nobody has used before.
    """
    blanks = "".join(" \t"[bit == "1"] for bit in f"{int(word, 16):048b}")
    added = f"\n{blanks}\n" if text is None else text.replace("%s", word)
    before = file.read_bytes()
    with file.open("ab") as stream:
        stream.write(added.encode())
    assert file.read_bytes() != before, f"nothing was appended to {file}"


def table(known: Sequence[Case]) -> str:
    """The languages and their package managers, and how far each was proved, as a Markdown table."""
    rows = ["| language | package manager | example apps | |", "|---|---|---|---|"]
    for (language, manager), mine in _grouped(known):
        best = _best(mine)
        words = f"{best.status} {'; '.join(best.stand_ins())}" if best.status == "built with stand-in" else best.status
        rows.append(f"| [`{language}`](languages/{language}.md) | {manager or ''} | {len(mine)} | {words} |")
    return "\n".join(rows)


def claim(known: Sequence[Case]) -> str:
    """What the README says of them."""
    spoken = [
        (language, _best(mine).status) for (language, _), mine in _grouped(known) if language not in NOT_LANGUAGES
    ]
    languages = {language for language, _ in spoken}
    answered = {language for language, status in spoken if status == "built and answered"}
    with_stand_in = {language for language, status in spoken if status == "built with stand-in"} - answered
    text = f"Of {len(languages)} languages, the apps of {len(answered)} were built and answered"
    return f"{text}, those of {len(with_stand_in)} more with a stand-in." if with_stand_in else f"{text}."


def filled(document: str, mark: str, content: str) -> str:
    """A document with new content between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, opened, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"expected {begin} and {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _case(folder: Path) -> Case:
    real = _read(folder / "real.json", Real)
    settings = folder / "settings.json"
    return Case(
        name=folder.name,
        plan=msgspec.json.decode((folder / "plan.golden.json").read_bytes(), type=Plan),
        dockerfile=(folder / "Dockerfile.golden").read_text(encoding="utf-8"),
        place=(real or _read(folder / "place.json", Place) or Place()).app,
        settings=settings.read_text(encoding="utf-8") if settings.exists() else None,
        real=real,
        answered=_read(folder / "answered.json", Answered),
    )


@functools.cache
def _recipes() -> Recipes:
    return load()


def _read(file: Path, kind: type[_Read]) -> _Read | None:
    return msgspec.json.decode(file.read_bytes(), type=kind) if file.exists() else None


def _grouped(known: Iterable[Case]) -> Iterator[tuple[tuple[str, str | None], list[Case]]]:
    groups: dict[tuple[str, str | None], list[Case]] = {}
    for case in known:
        groups.setdefault((case.plan.language, case.plan.package_manager), []).append(case)
    yield from sorted(groups.items(), key=lambda group: (group[0][0], group[0][1] or ""))


def _best(mine: Sequence[Case]) -> Case:
    order: tuple[Status, ...] = ("built and answered", "built with stand-in", "checked by lint and outline only")
    return min(mine, key=lambda case: order.index(case.status))
