"""What starting costs, counted in imported modules."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

_HEAVY = [
    "h2",
    "google.protobuf",
    "asyncssh",
    "aiodocker",
    "jinja2",
    "rich",
    "h11",
    "httpx",
    "trio",
    "cryptography",
    "anyio",
    "pathspec",
    "packaging",
]
_CODE = """
import sys
from orchestrator.cli import main
try:
    main()
except SystemExit as end:
    sys.stderr.write(repr(sorted(set(sys.modules) & set({heavy!r}))))
    raise
"""


@pytest.mark.parametrize(("words", "first"), [(["--version"], "fleetpacks "), (["--help"], "Usage: fleetpacks")])
async def test_version_and_help_import_nothing_heavy(
    start: Callable[..., Awaitable[Any]], words: list[str], first: str
) -> None:
    ran = await start(*words, code=_CODE.format(heavy=_HEAVY))

    assert ran.code == 0
    assert ran.out.startswith(first)
    assert ran.err == "[]"


async def test_the_composition_root_and_the_plan_import_no_transport(start: Callable[..., Awaitable[Any]]) -> None:
    transports = ["h2", "google.protobuf", "h11", "httpx", "cryptography", "rich", "trio", "jinja2"]

    ran = await start(
        code=f"import sys, orchestrator.app, orchestrator.config, orchestrator.model, orchestrator.plan.planner\n"
        f"print(sorted(set(sys.modules) & set({transports!r})))"
    )

    assert ran.out == "[]\n"


async def test_a_plan_of_apps_that_are_known_imports_no_language(
    start: Callable[..., Awaitable[Any]], monorepo: Path
) -> None:
    languages = ["langs.registry", "langs.choice", "langs.base", "langs.files", "packaging", "jinja2", "json"]
    # What was just checked out counts as old.
    rested = f"import langs.stamps\nlangs.stamps.REST_NS = -{10**12}\n"
    words = ("plan", "--json", "-C", str(monorepo))

    first = await start(*words, code=rested + _CODE.format(heavy=languages))
    again = await start(*words, code=rested + _CODE.format(heavy=languages))

    assert (first.code, "langs.registry" in first.err) == (0, True)
    assert (again.out, again.err) == (first.out, "[]")


async def test_a_plan_imports_nothing_of_records_and_a_report_no_template_engine(
    start: Callable[..., Awaitable[Any]],
) -> None:
    rooms = "orchestrator.report."

    planned = await start(
        code=f"import sys, orchestrator.app, orchestrator.cli.plan\n"
        f"print(sorted(name for name in sys.modules if name.startswith({rooms!r})))"
    )
    reported = await start(
        code=f"import sys, orchestrator.cli.report\nprint(sorted(set(sys.modules) & set({[*_HEAVY[:8]]!r})))"
    )

    # What app.json says is shown by both.
    assert planned.out == "['orchestrator.report.release']\n"
    assert reported.out == "[]\n"


async def test_a_build_imports_nothing_that_only_a_terminal_or_a_docker_engine_needs(
    start: Callable[..., Awaitable[Any]],
) -> None:
    others = ["rich", "pygments", "aiodocker", "aiohttp", "asyncssh", "cryptography", "jinja2"]
    # Only verifying a certificate does.
    others += ["httpcore", "httpx", "trio"]

    ran = await start(
        code=f"import sys, orchestrator.cli.build, orchestrator.app.build\n"
        f"print(sorted(set(sys.modules) & set({others!r})))"
    )

    assert ran.out == "[]\n"


async def test_a_closed_pipe_ends_quietly(start: Callable[..., Awaitable[Any]]) -> None:
    code = (
        "import os, sys\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "os.dup2(writer, 1)\n"
        "from orchestrator.cli import main\n"
        "main()"
    )

    ran = await start("--help", code=code)

    assert (ran.code, ran.err) == (141, "")


async def test_a_program_that_imports_the_package_gets_what_it_asks_for_and_no_more(
    start: Callable[..., Awaitable[Any]],
) -> None:
    heavy = [*_HEAVY, "msgspec", "orchestrator.library"]

    ran = await start(
        code=f"import sys, orchestrator\nprint(sorted(set(sys.modules) & set({heavy!r})))\n"
        f"orchestrator.Monorepo\nprint(sorted(set(sys.modules) & set({['h2', 'google.protobuf', 'h11', 'rich']!r})))"
    )

    assert ran.out == "[]\n[]\n"
