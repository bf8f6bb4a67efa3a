"""A process that ends with us, however we end: also by SIGKILL, and whichever thread has started it.

The process holds one end of a pair of sockets, for which it has no use, and we the other. The kernel sends a signal to
it when ours is closed (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC), as it is when we are gone. PR_SET_PDEATHSIG would not
do: it counts from the thread that has started a process, and on trio that is one that ends before.

Whom to send it to is known only when the process is there. So until that is said it is a shell that waits for a word
of ours, and ends without it; then the program takes its place, under the same number.
"""

import fcntl
import os
import signal
import socket
from contextlib import suppress

_WAIT = 'read -r go && exec "$@" <&1'
"""For the shell: its input is the gate, its output the far end, and the program gets the far end as both."""


class Lifeline:
    """Both ends, and the gate. To be closed when the process is to end (SIGTERM)."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._waits, self._opens = (os.fdopen(each, mode) for each, mode in zip(os.pipe(), ("rb", "wb"), strict=True))

    def command(self, *words: str) -> list[str]:
        """What is started so that a program will be."""
        return ["sh", "-c", _WAIT, "sh", *words]

    @property
    def gate(self) -> int:
        """What it is started with as its input."""
        return self._waits.fileno()

    def fileno(self) -> int:
        """What it is started with as its output. The program has no use for it."""
        return self._far.fileno()

    def tie(self, pid: int) -> None:
        """Tie it to the process that was started with it, which becomes the program."""
        number = self._far.fileno()
        fcntl.fcntl(number, fcntl.F_SETOWN, pid)
        fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_ASYNC)
        self._far.close()
        self._waits.close()
        # It may have been killed meanwhile.
        with suppress(BrokenPipeError):
            os.write(self._opens.fileno(), b"\n")
        self._opens.close()

    def close(self) -> None:
        """Let go: of a tied process, end it; of one that was not tied, too."""
        for end in (self._far, self._waits, self._opens, self._near):
            end.close()
