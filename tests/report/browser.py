"""A real browser without a screen: Debian's headless Chromium, unpacked into the lab's directory at its first use.

Where it cannot be had, its tests are skipped in words; where real tests are required, that is a failure.
"""

import json
import re
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.config import environment
from tests.lab.errors import LabError
from tests.lab.state import layout
from tests.lab.tools import debian_closure

_PACKAGE = "chromium-headless-shell"
_CONSOLE = re.compile(r'CONSOLE:\d+\] "(.*?)", source: ', re.DOTALL)


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a page."""

    dom: str
    """The document after all has run that may run."""
    console: tuple[str, ...]
    """What the browser complains of: a policy that was violated, a script that failed."""
    requested: tuple[str, ...]
    """What it asked the network for."""


async def render(page: Path, directory: Path, *, screenshot: Path | None = None) -> Rendered:
    """Show a page.

    Args:
        page: a file.
        directory: holds what the browser writes.
        screenshot: where its picture goes.
    """
    try:
        root = await debian_closure(layout(), _PACKAGE)
    except LabError as error:
        pytest.skip(f"no browser: {error.message}; {error.hint}")
    libraries = [str(each) for folder in root.glob("usr/lib/*-linux-gnu") for each in (folder, folder / "pulseaudio")]
    home = directory / "browser"
    home.mkdir(exist_ok=True)
    log = home / "network.json"
    command = [
        str(root / "usr/lib/chromium/chromium-headless-shell"),
        "--no-sandbox",  # the sandbox refuses root, which the lab is
        "--disable-gpu",
        "--enable-logging=stderr",
        "--log-level=0",
        f"--user-data-dir={home}",
        f"--log-net-log={log}",
        "--virtual-time-budget=5000",
        f"--screenshot={screenshot}" if screenshot else "--dump-dom",
        page.as_uri(),
    ]
    env = {"HOME": str(home), "PATH": environment.read()["PATH"], "LD_LIBRARY_PATH": ":".join(libraries)}
    with anyio.fail_after(120):
        done = await anyio.run_process(command, env=env)
    return Rendered(
        dom=done.stdout.decode(),
        console=tuple(_CONSOLE.findall(done.stderr.decode(errors="replace"))),
        requested=_requested(log),
    )


def _requested(log: Path) -> tuple[str, ...]:
    said = json.loads(log.read_text())
    urls = {
        event["params"]["url"]
        for event in said["events"]
        if isinstance(event.get("params"), dict) and str(event["params"].get("url", "")).startswith("http")
    }
    return tuple(sorted(urls))
