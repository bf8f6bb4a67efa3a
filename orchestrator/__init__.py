"""Turn every app of a monorepo into a production container image, in parallel, through BuildKit."""

from pathlib import Path

try:
    # Written where the package is built. What is installed could be asked, too, for a fifth of what starting costs.
    __version__ = Path(__file__).with_name("version.txt").read_text(encoding="utf-8").strip()
except FileNotFoundError:
    __version__ = "0.dev0"
