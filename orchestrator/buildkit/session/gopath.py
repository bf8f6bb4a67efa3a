"""Go's `path/filepath` on POSIX, as far as the daemon's side of file transfer shows it: `Clean`, `Match`.

Python's `posixpath.normpath` keeps two leading slashes and `fnmatch` knows neither escapes nor errors. `Match` reports
a malformed pattern only when it gets that far, and so must we: a pattern that BuildKit's own client takes is no error.
"""

import posixpath


class BadPatternError(ValueError):
    """A glob is malformed, in the sense of `filepath.ErrBadPattern`."""


def clean(path: str) -> str:
    """The shortest name of the same path, without touching the file system; `.` for the empty path."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def join(*parts: str) -> str:
    """Joins with `/`, whatever the parts begin with, and cleans: an absolute part does not start anew."""
    return clean("/".join(part for part in parts if part))


def match(pattern: str, name: str) -> bool:
    """Whether a glob matches the whole name; `*`, `?` and classes never match `/` (a class may, as in Go).

    Works greedily per chunk between stars: time is at most pattern times name, whatever a repository holds.

    Raises:
        BadPatternError: the pattern is malformed as far as it was looked at.
    """
    position = 0
    while position < len(pattern):
        star, chunk, position = _next_chunk(pattern, position)
        if star and not chunk:
            return "/" not in name
        rest = _match_chunk(chunk, name)
        if rest is not None and (not rest or position < len(pattern)):
            name = rest
            continue
        rest = _skip_and_match(chunk, name, last=position >= len(pattern)) if star else None
        if rest is None:
            return False
        name = rest
    return not name


def _skip_and_match(chunk: str, name: str, *, last: bool) -> str | None:
    for start, char in enumerate(name):
        if char == "/":
            return None
        rest = _match_chunk(chunk, name[start + 1 :])
        if rest is not None and not (last and rest):
            return rest
    return None


def _next_chunk(pattern: str, position: int) -> tuple[bool, str, int]:
    """Whether stars come first, the star-free chunk behind them, and where the next one begins."""
    start = position
    while start < len(pattern) and pattern[start] == "*":
        start += 1
    end, in_class = start, False
    while end < len(pattern):
        match pattern[end]:
            case "\\" if end + 1 < len(pattern):
                end += 1
            case "[":
                in_class = True
            case "]":
                in_class = False
            case "*" if not in_class:
                break
            case _:
                pass
        end += 1
    return start > position, pattern[start:end], end


def _match_chunk(chunk: str, name: str) -> str | None:
    """What is left of the name behind the chunk, None when it does not begin with it. Checks the chunk to its end."""
    failed = False
    while chunk:
        failed = failed or not name
        char, chunk = chunk[0], chunk[1:]
        if char == "[":
            matched, chunk = _match_class(chunk, name[:1])
            failed = failed or not matched
        elif char == "?":
            failed = failed or name[0] == "/"
        else:
            if char == "\\":
                if not chunk:
                    raise BadPatternError("it ends in a backslash")
                char, chunk = chunk[0], chunk[1:]
            failed = failed or name[0] != char
        name = name[1:]
    return None if failed else name


def _match_class(chunk: str, char: str) -> tuple[bool, str]:
    negated = chunk.startswith("^")
    chunk = chunk[negated:]
    matched, empty = False, True
    while empty or not chunk.startswith("]"):
        low, chunk = _class_char(chunk)
        high = low
        if chunk.startswith("-"):
            high, chunk = _class_char(chunk[1:])
        matched = matched or low <= char <= high
        empty = False
    return matched != negated, chunk[1:]


def _class_char(chunk: str) -> tuple[str, str]:
    if chunk.startswith("\\"):
        chunk = chunk[1:]
    elif chunk[:1] in ("-", "]"):
        raise BadPatternError(f"a character class cannot hold a bare {chunk[0]!r} there")
    if len(chunk) <= 1:
        raise BadPatternError("a character class is not closed")
    return chunk[0], chunk[1:]
