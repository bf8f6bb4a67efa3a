"""SIGINT, SIGTERM and SIGHUP, from the first moment of the process to its last: the first one counts, whoever it finds.

Python's own answer is an exception wherever the program happens to be: it leaves a traceback in an import, and in an
event loop that ends worker threads that nobody ends any more. Here a signal is noted. Who listens hears of it (an
event loop); in between it is held back until somebody asks (`settle`); only plain code of a command, which has nothing
to clean up, is left by an exception.

Imports nothing of a weight: until `install` is called it is Python that answers.
"""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OF_SIGNALS = 128
"""What shells add to a signal's number to make an exit code."""
SAME_SECONDS = 1.0
"""A signal that comes so soon after the first is the same: a terminal sends it to all, and a wrapper passes it on."""


class Interrupts:
    """The signals of one process.

    Attributes:
        exit_code: what the process ends with because of the first signal; 0 without one.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._began = 0.0
        self._held = True
        self._listener: Callable[[], object] | None = None

    def install(self) -> None:
        """Answer from now on, to the end of the process; signals are held back."""
        for number in _answered():
            signal.signal(number, self._receive)

    def hold(self) -> None:
        """Hold signals back, until somebody listens or asks."""
        self._held = True

    def settle(self) -> None:
        """Hold nothing back any more.

        Raises:
            KeyboardInterrupt: there was a signal; the next one raises it, too.
        """
        self._held = False
        if self.exit_code:
            raise KeyboardInterrupt

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Have a function called by the first signal, also by one that was held back.

        Args:
            listener: called between any two instructions of the main thread.

        Returns:
            What ends that: signals are held back again, or answered as they were before where nothing is installed.
        """
        before = [(number, signal.signal(number, self._receive)) for number in _answered()]
        self._listener = listener
        if self.exit_code:
            listener()

        def end() -> None:
            self._held, self._listener = True, None
            for number, handler in before:
                signal.signal(number, handler)

        return end

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.exit_code and now - self._began < SAME_SECONDS:
            return
        if self.exit_code:
            # What still waits is a shield, or a thread that is stuck in a write: neither can be cancelled.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._began, self.exit_code = now, _OF_SIGNALS + number
        if self._listener is not None:
            self._listener()
        elif not self._held:
            raise KeyboardInterrupt


def _answered() -> list[signal.Signals]:
    # Whoever has a hangup ignored (nohup) means to go on when the terminal, or the connection, is gone.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in _NUMBERS if number != signal.SIGHUP or not ignored]


interrupts = Interrupts()
"""Those of this process."""
