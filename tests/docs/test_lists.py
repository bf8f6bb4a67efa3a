"""What documents list is what the program has: keys, variables, options, commands, files."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from langs.facts import IMAGES, TOOL_VARIABLES, VERSION_VARIABLES
from orchestrator.app import hostfacts
from orchestrator.cli.program import fleetpacks
from orchestrator.config import environment
from orchestrator.config.operator import OperatorTable
from orchestrator.config.repository import RootTable
from orchestrator.events import Event, ImagePart
from orchestrator.report.analysis import Report
from orchestrator.report.result import AppError, AppResult
from remote import probe
from tests.docs import console
from tests.docs.console import DOCUMENTS, PAGES, ROOT
from tests.docs.test_examples import ELSEWHERE, run_elsewhere
from tests.examples.answers import EXAMPLES

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_WRITTEN = [document for document in DOCUMENTS if document not in PAGES]
"""By people: the pages of languages hold start commands and files, which are the apps' own."""
_PROGRAMS = ("./", ".ci/", "poe ", "pytest ", "python -m ")


def text_of(document: str | Path) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def section(document: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its rank or above."""
    rank = len(heading.partition(" ")[0])
    after = text_of(document).partition(f"\n{heading}")[2]
    return re.split(rf"\n#{{2,{rank}}} ", after)[0]


def listed(text: str) -> list[str]:
    """The code spans in the first column of a table."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return [span for row in rows for span in _SPAN.findall(row)]


def spans(document: Path) -> list[str]:
    """The code spans of a document's prose."""
    return _SPAN.findall(_FENCED.sub("", text_of(document)))


def commands() -> Mapping[str, click.Command]:
    context = click.Context(fleetpacks)
    found = {name: fleetpacks.get_command(context, name) for name in fleetpacks.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> list[set[str]]:
    if isinstance(command, click.Group):
        return [options for each in command.commands.values() for options in options_of(each)]
    return [{*each.opts, *each.secondary_opts} for each in command.params if isinstance(each, click.Option)]


def mentioned(text: str) -> set[str]:
    """The options in the code spans of a text."""
    return {option for span in _SPAN.findall(text) for option in re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", span)}


def bare(keys: Iterable[str]) -> set[str]:
    """`registries."host:port"` is the key `registries`."""
    return {re.split(r"[.\]]", key.lstrip("["))[0] for key in keys}


@pytest.mark.parametrize(
    ("heading", "table"), [("## The repository's file", RootTable), ("## The operator's file", OperatorTable)]
)
def test_the_keys_of_both_files_are_listed_all_of_them_and_no_other(heading: str, table: type[msgspec.Struct]) -> None:
    keys = listed(section("docs/configuration.md", heading))

    assert bare(keys) == {field.encode_name for field in msgspec.structs.fields(table)}


def test_the_variables_that_are_read_are_listed_all_of_them_and_no_other() -> None:
    class Recording(dict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # only this form
            asked.add(name)
            return default

    # A login is read where it is used, and kept nowhere.
    asked: set[str] = {"SOURCE_DIR", "DHI_USERNAME", "DHI_PASSWORD", *VERSION_VARIABLES, *TOOL_VARIABLES}
    # Python reads these, in both cases; tests/registry/test_proxies.py shows what comes of them.
    asked |= {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    environment.parse(Recording(), version_variables=VERSION_VARIABLES)

    documented = set(listed(section("docs/configuration.md", "## Environment")))

    assert documented == asked - {"HOME", "GITHUB_ACTIONS", "GITLAB_CI"}


@pytest.mark.parametrize("name", list(commands()))
def test_each_command_is_described_with_all_of_its_options_and_no_other(name: str) -> None:
    described = _FENCED.sub("", section("docs/usage.md", f"## `fleetpacks {name}"))
    introduction = text_of("docs/usage.md").partition("\n## ")[0]

    options = options_of(commands()[name])

    assert mentioned(described) <= set[str]().union(*options)
    # A long and a short form are one option.
    assert [each for each in options if not each & mentioned(f"{introduction} {described}")] == []


@pytest.mark.parametrize("document", _WRITTEN, ids=lambda document: str(document.relative_to(ROOT)))
def test_a_command_within_a_sentence_exists_and_something_runs_it(document: Path) -> None:
    executed = {command for each in DOCUMENTS for command in console.commands(each)}
    words = [span.split() for span in spans(document) if span.startswith("fleetpacks ")]

    unknown = [
        span
        for span in spans(document)
        if span.startswith(_PROGRAMS) and span not in executed and not run_elsewhere(span)
    ]
    wrong = [
        each
        for _, name, *each in words
        if name != "--help" and not mentioned(f"`{' '.join(each)}`") <= set[str]().union(*options_of(commands()[name]))
    ]

    assert unknown == []
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_and_every_path_leads_to_a_file(document: Path) -> None:
    def missing() -> Iterator[str]:
        for target in _LINK.findall(text_of(document)):
            path, _, anchor = target.partition("#")
            file = document.parent / path if path else document
            if "://" not in target and not (file.exists() and (not anchor or anchor in anchors(file))):
                yield target
        for span in spans(document) if document in _WRITTEN else ():
            if re.fullmatch(r"(benchmarks|docs|langs|orchestrator|remote|tests)(/[a-z_0-9]+)*(/|\.[a-z]+)", span):
                yield from () if (ROOT / span).exists() else (span,)

    assert list(missing()) == []


def anchors(document: Path) -> set[str]:
    """What GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_two_commands_of_the_readme_come_first() -> None:
    assert console.commands(ROOT / "README.md")[:2] == ("./quickstart", "./check")


def test_the_events_are_listed_all_of_them_and_no_other() -> None:
    tags = {event.__struct_config__.tag for event in get_args(Event)}

    first = section("docs/usage.md", "### Events").partition("\n\n")[0]

    assert {span for span in _SPAN.findall(first) if re.fullmatch(r"[a-z-]+", span)} - {"format"} == tags


def test_the_reports_fields_are_listed_all_of_them_and_no_other() -> None:
    described = set(_SPAN.findall(section("docs/report.md", "## As data")))

    assert {span for span in described if re.fullmatch(r"[a-z_]+", span)} - {"format"} == {
        each.encode_name for each in msgspec.structs.fields(Report)
    }


def test_the_result_files_fields_are_listed_all_of_them_and_no_other() -> None:
    fields = {each.encode_name for table in (AppResult, ImagePart, AppError) for each in msgspec.structs.fields(table)}

    described = _SPAN.findall(section("docs/usage.md", "### The result file"))

    assert set(described) - {"apps", "success", "failed", "cancelled"} == fields


def test_the_fields_of_a_checked_host_are_listed_all_of_them_and_no_other() -> None:
    tables: dict[str, list[type[msgspec.Struct]]] = {
        "hosts": [hostfacts.Host],
        "daemon": [hostfacts.Daemon, hostfacts.Platform],
        "disk": [probe.Disk],
        "machine": [probe.Machine, probe.Socket, probe.Daemon],
        "problems": [hostfacts.Problem],
    }
    rows = section("docs/usage.md", "## `fleetpacks hosts check`").partition("| of | fields |")[2].splitlines()
    described = {spans[0]: set(spans[1:]) for row in rows if (spans := _SPAN.findall(row)) and row.startswith("| `")}

    said = {"hosts": set(get_args(hostfacts.State)), "disk": {"loop"}}

    assert {name: found - said.get(name, set()) for name, found in described.items()} == {
        name: {field.encode_name for table in of for field in msgspec.structs.fields(table)}
        for name, of in tables.items()
    }


def test_the_kinds_of_disks_are_listed_all_of_them_and_no_other() -> None:
    table = section("docs/usage.md", "## `fleetpacks hosts check`").partition("| disk | |")[2].partition("\n\n")[0]

    assert sorted(listed(table)) == sorted(get_args(probe.Kind))


def test_the_default_versions_are_those_of_apps_that_say_nothing() -> None:
    plans = [json.loads(file.read_text()) for file in ROOT.glob("tests/apps/*/plan.golden.json")]
    defaults = {
        plan["language"]: plan["version"]["value"]
        for plan in plans
        if plan["version"] and plan["version"]["source"] == "default"
    }

    [row] = [line for line in text_of("docs/languages.md").splitlines() if line.startswith("| else |")]

    assert row == f"| else | {defaults['nodejs']} | {defaults['python']} | {defaults['go']} |"


def test_the_images_that_can_be_replaced_are_listed_all_of_them_and_no_other() -> None:
    [row] = [line for line in text_of("docs/configuration.md").splitlines() if line.startswith("| `images` |")]

    assert set(_SPAN.findall(row.partition("(")[2].partition(")")[0])) == set(IMAGES)


def test_the_examples_answers_are_those_of_the_tests() -> None:
    listed_answers = [json.loads(span) for span in spans(ROOT / "examples/monorepo/README.md") if span.startswith("{")]

    assert listed_answers == [example.answer for example in sorted(EXAMPLES, key=lambda example: example.path)]


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_said_to_be_run_elsewhere_is_documented_and_is_run(command: str) -> None:
    documented = {each.removeprefix(".venv/bin/") for document in DOCUMENTS for each in said(document)}

    assert command in documented
    assert run_elsewhere(command)


def said(document: Path) -> Iterator[str]:
    yield from console.commands(document)
    yield from spans(document)
