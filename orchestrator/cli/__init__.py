"""The command line: parses words, prints, turns errors into exit codes.

Importing it imports nothing of a weight, so that the program is ready for Ctrl-C before anything takes time.
"""

import atexit
import gc
import os
import sys

from orchestrator.interrupts import interrupts

_GC_THRESHOLD = 200_000
"""Objects in memory between two collections, a few dozen megabytes; Python's 700 cost a twentieth of a run."""


def main() -> None:
    """The `fleetpacks` program."""
    interrupts.install()
    # What is registered last is called first: everybody else has their turn before.
    leave = _Leave()
    atexit.register(leave)
    # A command is short, and nearly all that it makes lives as long or is freed by its reference count.
    gc.set_threshold(_GC_THRESHOLD)
    try:
        from orchestrator.cli import streams  # noqa: PLC0415 -- only when signals are answered

        code = streams.prepare()
        if not code:
            from orchestrator.cli import program  # noqa: PLC0415 -- as above

            code = program.run(sys.argv[1:])
    except KeyboardInterrupt:
        code = interrupts.exit_code
    interrupts.hold()
    if interrupts.exit_code:
        # All is told and cleaned up. Python would wait for threads, one of which may be stuck in what a signal was to
        # end, and takes its handlers away before it is gone: a signal that comes again would be another exit code.
        sys.stderr.flush()
        os._exit(code)
    leave.code = code
    sys.exit(code)


class _Leave:
    """Ends the process when all that had to be done at its end is done.

    Python would take apart what is in memory, module by module, for a twentieth of a second and to no end.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        """None: the program ends in another way, and Python tells how."""

    def __call__(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)
