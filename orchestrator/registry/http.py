"""httpx, without its own command line.

`import httpx` imports that, too, with click, rich and pygments, wherever these are installed (`httpx/__init__.py`,
0.28), and does without where they are not: a tenth of a second of every run. A module that is None in `sys.modules`
cannot be imported (https://docs.python.org/3/reference/import.html#the-module-cache).
"""

import sys

_COMMAND_LINE = "httpx._main"

if "httpx" in sys.modules:
    import httpx
else:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
    try:
        import httpx
    finally:
        del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
