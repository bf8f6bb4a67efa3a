"""A builder of our own on another day: its steps, and the fleetpacks that starts it, see a date that is `DAYS` ahead.

No namespace of Linux has a date of its own (those of time are for the monotonic clocks), and this machine's clock is
everybody's. Debian's libfaketime, preloaded, answers for the clock instead. Steps get it by the runtime: a program
called `runc` stands before the real one and adds it to what a container is made of, in `/dev`, which is in no layer;
the Dockerfile, the base images and the keys of the steps stay as they are. What a preloaded library does not reach
keeps this machine's date: the daemon and other programs of Go, which ask the kernel themselves, and the kernel, which
dates files.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab import Lab, tools
from tests.lab.state import layout

DAYS = 400
"""More than a year: year, month, day and weekday are others."""
_INSIDE = "/dev/another-day.so"
_WRAPPER = """\
#!{python} -IS
import json, os, sys

if "--bundle" in sys.argv:
    file = os.path.join(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    with open(file) as stream:
        config = json.load(stream)
    config["process"]["env"] += {env}
    config["mounts"].append({mount})
    with open(file, "w") as stream:
        json.dump(config, stream)
    with open({containers}, "a") as stream:
        print(json.dumps(config["process"]["args"]), file=stream)
os.execv({runc}, [{runc}, *sys.argv[1:]])
"""


async def variables(lab: Lab, home: Path, known: Mapping[str, str]) -> dict[str, str]:
    """What a run needs for a builder of that kind.

    Args:
        lab: has the real runtime.
        home: where the run's daemon keeps what it has.
        known: what such a run needs on the day that it is.
    """
    package = await tools.debian_package(layout(), "libfaketime")
    [library] = package.glob("usr/lib/*/faketime/libfaketime.so.1")
    runtime = home / "another day" / "runc"
    runtime.parent.mkdir(exist_ok=True)
    # An image may be made of copies alone.
    _containers(home).touch()
    text = _WRAPPER.format(
        python=sys.executable,
        env=[f"{name}={value}" for name, value in _preloaded(_INSIDE).items()],
        mount={"destination": _INSIDE, "type": "bind", "source": str(library), "options": ["bind", "ro"]},
        containers=repr(str(_containers(home))),
        runc=repr(str(lab.runc)),
    )
    runtime.write_text(text, encoding="utf-8")
    runtime.chmod(0o755)
    return {**known, "PATH": f"{runtime.parent}:{known['PATH']}", **_preloaded(str(library))}


def containers(home: Path) -> tuple[str, ...]:
    """The commands of the steps that had the other date, in the order in which they began."""
    return tuple(" ".join(json.loads(line)) for line in _containers(home).read_text(encoding="utf-8").splitlines())


def _containers(home: Path) -> Path:
    return home / "another day" / "containers"


def _preloaded(library: str) -> dict[str, str]:
    return {
        "LD_PRELOAD": library,
        "FAKETIME": f"+{DAYS}d",
        # A clock that only counts must go on doing so: who waits by it would wait for ever.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "FAKETIME_DISABLE_SHM": "1",
    }
