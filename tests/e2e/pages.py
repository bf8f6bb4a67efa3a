"""A page for each language, `docs/languages/<language>.md`: what became of its example apps.

All of it comes out of the apps' own files, and nothing is written by hand: what a language means to us stands in words
in `docs/languages.md`, which every page names. A test holds that the commands on a page print what the page says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from langs import facts
from orchestrator.workspace.names import legal
from tests.e2e import frameworks
from tests.e2e.languages import Answered, Case, Real

HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_TITLES = {
    "nodejs": "Node.js",
    "php": "PHP",
    "dotnet": ".NET",
    "static": "Static sites",
    "compose": "Compose files",
    "dockerfile": "Dockerfiles of your own",
}
_BUILDS = {
    "first": "all (the first build)",
    "again": "nothing",
    "source": "`{source}`",
    "lockfile": "`{lockfile}`",
}
"""A build -> what has changed before it."""
_EXECUTED = {
    "first": (True, True),
    "again": (False, False),
    "source": (False, True),
    "lockfile": (True, True),
}
"""A build -> whether installation and build were executed: what the test demands, so that all that was kept is this."""
_TEXT = re.compile(r"(`[^`]*`)")


def pages(known: Sequence[Case], words: str) -> Mapping[str, str]:
    """All pages, by the language.

    Args:
        known: the example apps.
        words: the document that tells of languages in words.
    """
    languages = dict.fromkeys(name for name in facts.NAMES if any(case.plan.language == name for case in known))
    return {name: _page(name, [case for case in known if case.plan.language == name], words) for name in languages}


def title(language: str) -> str:
    """What people call it."""
    return _TITLES.get(language, language.capitalize())


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def table(known: Sequence[Case]) -> str:
    """The frameworks and their example apps, as a Markdown table."""
    found: dict[str, list[Case]] = {}
    for case in known:
        if framework := frameworks.of(case.name):
            found.setdefault(framework.title, []).append(case)
    rows = ["| framework | example apps |", "|---|---|"]
    for name in sorted(found, key=str.casefold):
        apps = (f"[`{case.name}`](languages/{case.plan.language}.md#{case.name}) {case.status}" for case in found[name])
        rows.append(f"| {name} | {', '.join(apps)} |")
    return "\n".join(rows)


def _page(language: str, mine: Sequence[Case], words: str) -> str:
    headings = {slug(heading): heading for heading in HEADING.findall(words)}
    name = title(language)
    anchor = next((found for found, heading in headings.items() if name in re.split(r" and ", heading)), None)
    target = f"../languages.md#{anchor}" if anchor else "../languages.md"
    apps = "app" if len(mine) == 1 else "apps"
    parts = [
        f"# {name}",
        "<!-- Made by `poe languages` out of tests/apps, which is the place to change it. -->",
        (
            f"[In words]({target}): what is recognised, which version is taken, what the image looks like.\n"
            f"Here: the {len(mine)} example {apps} that the tests plan and, as far as "
            "[their status](../languages.md#what-was-built) says, build, start and ask."
        ),
        _facts(language, mine),
        _overview(mine),
    ]
    for heading, cases in _grouped(mine):
        parts.append(f"## {heading}")
        parts += (part for case in cases for part in _app(case))
    return "\n\n".join(parts) + "\n"


def _facts(language: str, mine: Sequence[Case]) -> str:
    variables = [f"${name}" for name, of in facts.VERSION_VARIABLES.items() if of == language]
    managers = dict.fromkeys(case.plan.package_manager for case in mine if case.plan.package_manager)
    rows = {
        "manifests": _spans(facts.MANIFESTS[language]),
        "sources that may be an app by themselves": _spans(facts.ENTRY_POINTS[language]),
        "variable that forces the version": _spans(variables),
        "package managers": ", ".join(sorted(managers)),
        "base images of the apps": _spans(sorted({name for case in mine if case.generated for name in case.bases()})),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items() if value)])


def _overview(mine: Sequence[Case]) -> str:
    rows = ["| app | package manager | version | started by | |", "|---|---|---|---|---|"]
    for case in mine:
        plan = case.plan
        start = _cell(_span(plan.start_command)) if plan.start_command else ""
        cells = [f"[{case.name}](#{case.name})", plan.package_manager or "", _version(case), start, case.status]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _grouped(mine: Iterable[Case]) -> Iterator[tuple[str, list[Case]]]:
    """The apps by their frameworks, and at the end those that show none."""
    groups: dict[str, list[Case]] = {}
    for case in mine:
        framework = frameworks.of(case.name)
        groups.setdefault(framework.title if framework else "", []).append(case)
    others = groups.pop("", [])
    yield from sorted(groups.items(), key=lambda group: group[0].casefold())
    if others:
        yield ("Other apps" if groups else "Apps"), others


def _app(case: Case) -> Iterator[str]:
    yield f"### {case.name}"
    yield "\n".join(_points(case))
    yield _fenced("text", "\n".join(_tree(case)))
    if case.settings is None:
        yield _fenced("console", f"$ {command(case)}\n{_row(case)}")
    else:
        yield "Planned with these settings:"
        yield _fenced("json", case.settings)
    yield f"<details>\n<summary>{'The Dockerfile' if case.generated else 'Its own Dockerfile'}</summary>"
    yield _fenced("dockerfile", case.dockerfile)
    yield "</details>"
    if case.real and case.answered and case.answered.dockerfile == case.digest:
        yield from _seen(case, case.real, case.answered)


def command(case: Case) -> str:
    """What is typed to plan an app, and to have its Dockerfile."""
    words = ["fleetpacks plan", f"-C tests/apps/{case.name}/app", "--image registry.example/{path}"]
    if case.generated:
        words.append(f"--dockerfile ~/{case.name}")
    return " ".join(words if case.place == "." else [*words, case.place])


def _row(case: Case) -> str:
    """What that prints."""
    path = case.source.resolve().name if case.place == "." else case.place
    image = "/".join(["registry.example", *map(legal, path.split("/"))])
    why = "discovered" if case.place == "." else "requested"
    return "  ".join([case.place, case.plan.language, _version(case), f"{image}:latest", why])


def _points(case: Case) -> Iterator[str]:
    plan = case.plan
    evidence = ", ".join(f"{_span(each.file)} ({_prose(each.reason)})" for each in plan.evidence)
    yield f"- Recognised by {evidence}"
    if plan.version:
        yield f"- Version {_version(case)}"
    if plan.cache:
        yield f"- Cache mounts: {_spans(dict.fromkeys(mount.target for mount in plan.cache))}"
    if plan.start_command:
        yield f"- Started by {_span(plan.start_command)}"
    for process in plan.processes:
        if process.name != "web":
            yield f"- Process {_span(process.name)}: {_span(process.command)}"
    for warning in plan.warnings:
        yield f"- Warning: {_prose(warning)}"


def _tree(case: Case) -> Iterator[str]:
    """The app's files, indented; a workspace's are all shown, and the app's directory is marked."""
    above: tuple[str, ...] = ()
    for path in sorted(files(case), key=lambda path: (path.parts[:-1], path.name)):
        parents = path.parts[:-1]
        same = next((n for n, (a, b) in enumerate(zip(parents, above, strict=False)) if a != b), None)
        shared = min(len(parents), len(above)) if same is None else same
        for depth in range(shared, len(parents)):
            here = "/".join(parents[: depth + 1])
            yield f"{'  ' * depth}{parents[depth]}/{'  <- the app' if here == case.place else ''}"
        yield f"{'  ' * len(parents)}{path.name}"
        above = parents


def files(case: Case) -> Iterator[Path]:
    """The app's files, below its directory; what Python leaves behind is none."""
    for found in case.source.rglob("*"):
        if found.is_file() and "__pycache__" not in found.parts:
            yield found.relative_to(case.source)


def _seen(case: Case, real: Real, answered: Answered) -> Iterator[str]:
    stand_in = f" with {_prose('; '.join(case.stand_ins()))}" if case.stand_ins() else ""
    yield (
        f"Built{stand_in}, and started as user 1000 on a read-only root, on {answered.date} "
        f"at commit {answered.commit} ({answered.machine}). It took "
        f"{answered.seconds['answer']:g} s to have the image from the registry, to start it, and to get the answer of "
        f"`GET {real.path}`{', which holds' if real.part else ''}:"
    )
    yield _answer(real.answer)
    head = ["changed", *([f"installation ({_span(real.install)})"] if real.install else [])]
    head += [f"build ({_span(real.build)})", "seconds"]
    rows = [f"| {' | '.join(map(_cell, head))} |", "|---" * len(head) + "|"]
    for build, what in _BUILDS.items():
        if build in answered.seconds:
            installed, built = ("executed" if ran else "cached" for ran in _EXECUTED[build])
            cells = [
                what.format(source=real.source, lockfile=real.lockfile),
                *([installed] if real.install else []),
                built,
            ]
            rows.append(f"| {' | '.join([*cells, f'{answered.seconds[build]:g}'])} |")
    yield "\n".join(rows)


def _answer(answer: object) -> str:
    if isinstance(answer, str):
        return _fenced("text", answer)
    return _fenced("json", msgspec.json.encode(answer).decode())


def _version(case: Case) -> str:
    plan, part = case.plan, case.plan.front_end
    if plan.version:
        return f"{plan.version.value} ({plan.version.source})"
    return f"{part.language} {part.version.value} ({part.version.source})" if part and part.version else ""


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```"


def _spans(texts: Iterable[str]) -> str:
    return ", ".join(map(_span, texts))


def _span(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _prose(text: str) -> str:
    """Text that means itself, but for what stands in backticks."""
    parts = (part if part.startswith("`") else re.sub(r"([\\*_<\[\]])", r"\\\1", part) for part in _TEXT.split(text))
    return "".join(parts)
