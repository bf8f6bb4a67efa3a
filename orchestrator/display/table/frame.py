"""One picture of the table: a view becomes lines that fit a terminal. Pure.

Of rich this uses what is hard to do well: the width of characters, and styles. Its `Table` measured 0.5 ms a row,
half a processor for 100 apps at ten pictures a second.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.style import Style

from orchestrator.display.table.board import Row, View
from orchestrator.events import AppFailed
from orchestrator.text import duration, inline, size

_GAP = "  "
_STEP_WIDTH = 24
"""Columns below which the step's text means little: others are left out first."""
_LEFT_OUT = ("HOST", "LANGUAGE", "MOVED", "CACHED")
"""In this order, where the terminal is narrow."""
_APP_WIDTH = 10
"""Columns that an app's name has in any case; else a third of the terminal at most."""
_TITLE_FROM, _HEADER_FROM = 5, 7
"""Lines that a terminal must have before some are spent on these."""
_NOTHING = Style()
_STYLES = {
    name: Style.parse(style)
    for name, style in {
        "APP": "bold",
        "LANGUAGE": "dim",
        "HOST": "dim",
        "TIME": "cyan",
        "HEADER": "dim",
        "GOOD": "green",
        "BAD": "red",
    }.items()
}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the terminal can show, and is meant to."""

    colour: bool
    unicode: bool

    def paint(self, text: str, style: str) -> str:
        """Text in a style, if there are any."""
        if not self.colour or not text:
            return text
        return _STYLES.get(style, _NOTHING).render(text, color_system=ColorSystem.STANDARD)

    def fit(self, text: str, width: int) -> str:
        """Foreign text cut down to a number of columns."""
        # More characters than columns: some take none, but a thousand of them on one letter are no text.
        text = inline(text, 4 * width)
        if cell_len(text) <= width:
            return text
        mark = "\N{HORIZONTAL ELLIPSIS}" if self.unicode else "~"
        return set_cell_size(text, width - 1).rstrip() + mark if width > 1 else mark


def frame(view: View, *, columns: int, lines: int, now: float, look: Look) -> tuple[str, ...]:
    """The lines of one picture, one fewer than the terminal has at most, each a column narrower than it.

    Apps that are being built come first, then those that failed; the rest is counted.

    Args:
        view: the run.
        columns: of the terminal.
        lines: of the terminal.
        now: seconds since the epoch.
        look: how.
    """
    # The cursor stands below the last line; and what stands in the last column is what terminals disagree about.
    width, room = columns - 1, lines - 1
    if width < 1 or room < 1:
        return ()
    titled, headed = lines >= _TITLE_FROM, lines >= _HEADER_FROM and bool(view.running)
    space = room - 1 - titled - headed
    running = view.running[:space]
    failed = view.failed[: space - len(running)]
    picture: list[str] = []
    if titled:
        count = len(view.running) + len(view.failed) + view.waiting + view.succeeded + view.cancelled
        picture.append(look.fit(f"building {count} {'app' if count == 1 else 'apps'} on {view.builder}", width))
    picture += _table(running, width, now, look, headed=headed)
    picture += [_failed(event, width, look) for event in failed]
    picture.append(_counts(view, len(running), width, now, look))
    return tuple(picture)


def _table(rows: Sequence[Row], width: int, now: float, look: Look, *, headed: bool) -> Iterator[str]:
    cells = [_cells(row, now) for row in rows]
    widths = _widths(cells, width)
    if headed:
        titles = _GAP.join(look.fit(name, each).ljust(each) for name, each in widths.items())
        yield look.paint(titles.rstrip(), "HEADER")
    for row in cells:
        yield _line([(look.fit(row[name], each), each, name) for name, each in widths.items()], look)


def _cells(row: Row, now: float) -> Mapping[str, str]:
    moved = ""
    if row.current:
        moved = size(row.current) + (f" / {size(row.size)}" if row.size else "")
    return {
        "APP": row.app,
        "LANGUAGE": row.language,
        "HOST": row.host,
        "TIME": duration(now - row.started),
        "CACHED": f"{row.cached}/{row.total}" if row.total else "",
        "MOVED": moved,
        "STEP": row.step or "connecting",
    }


def _widths(cells: Sequence[Mapping[str, str]], width: int) -> Mapping[str, int]:
    """Columns to show, with their widths; the last one takes what is left."""
    if not cells:
        return {}
    natural = {
        name: max(len(name), *(cell_len(inline(row[name], width)) for row in cells))
        for name in cells[0]
        if name == "APP" or any(row[name] for row in cells)
    }
    if len({row["HOST"] for row in cells}) == 1:
        # It stands in the title.
        natural.pop("HOST", None)
    natural.pop("STEP")
    natural["APP"] = min(natural["APP"], max(_APP_WIDTH, width // 3))

    def left() -> int:
        return width - sum(each + len(_GAP) for each in natural.values())

    for name in _LEFT_OUT:
        if left() < _STEP_WIDTH:
            natural.pop(name, None)
    if left() < 1:
        return {"APP": min(natural["APP"], width)}
    return {**natural, "STEP": left()}


def _line(cells: Sequence[tuple[str, int, str]], look: Look) -> str:
    *firsts, (last, _, style) = cells
    padded = [(text + " " * (width - cell_len(text)), name) for text, width, name in firsts]
    return "".join(look.paint(text, name) + _GAP for text, name in padded) + look.paint(last, style)


def _failed(event: AppFailed, width: int, look: Look) -> str:
    message = event.message.partition("\n")[0]
    return look.paint(look.fit(f"{inline(event.app, width)}{_GAP}FAILED: {message}", width), "BAD")


def _counts(view: View, shown: int, width: int, now: float, look: Look) -> str:
    hidden = len(view.running) - shown
    words = [
        (f"{len(view.running)} running" + (f" ({hidden} not shown)" if hidden else ""), "", len(view.running)),
        (f"{view.waiting} waiting", "", view.waiting),
        (f"{view.succeeded} done", "GOOD", view.succeeded),
        (f"{len(view.failed)} failed", "BAD", len(view.failed)),
        (f"{view.cancelled} cancelled", "BAD", view.cancelled),
        (duration(now - view.started), "TIME", True),
    ]
    parts: list[str] = []
    left = width
    for word, style, count in words:
        if count and (text := look.fit(word, left)):
            parts.append(look.paint(text, style))
            left -= cell_len(text) + len(_GAP)
        if left < 1:
            break
    return _GAP.join(parts)
