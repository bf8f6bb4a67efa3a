"""Python's search for garbage, put off while a command makes what stays to its end."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Generator[None]:
    """Search for no garbage in the block, nor later for what was made in it among what comes and goes.

    A plan of a thousand apps is some hundred thousand objects, all of them in use: to look at each is a thirtieth of
    the time that they take to make.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            # Into the oldest generation, without a look.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
