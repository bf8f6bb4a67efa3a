"""A process that ends with us, however we end: also by SIGKILL, and whichever thread has started it.

The process holds one end of a pair of sockets, for which it has no use, and we the other. The kernel sends a signal to
it when ours is closed (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC), as it is when we are gone. PR_SET_PDEATHSIG would not
do: it counts from the thread that has started a process, and on trio that is one that ends before.
"""

import fcntl
import os
import signal
import socket


class Lifeline:
    """Both ends. To be closed when the process is to end (SIGTERM)."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()

    def fileno(self) -> int:
        """What the process is started with, as an output that it does not write to."""
        return self._far.fileno()

    def tie(self, pid: int) -> None:
        """Tie it to the process that was started with it."""
        number = self._far.fileno()
        fcntl.fcntl(number, fcntl.F_SETOWN, pid)
        fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_ASYNC)
        self._far.close()

    def close(self) -> None:
        """Let go: of a tied process, end it."""
        self._far.close()
        self._near.close()
