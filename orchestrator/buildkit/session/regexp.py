r"""The syntax of the regular expressions that moby's patternmatcher makes out of ignore patterns.

Only what patternmatcher can produce is known: literals, classes, `[...]*`, `.*`, `(.*/)?`, `^`, `$`, and what it lets
through from a pattern: `|` and `{2,3}` between them, and escapes (`\d` in an ignore file does mean a digit).
Facts: Go's regexp/syntax with Perl flags. `subject` runs the result.
"""

import re
from typing import NamedTuple


class BadRegexpError(ValueError):
    r"""Go's regexp would refuse the expression, or it uses what nobody writes in an ignore file (`\p`, `\Q`)."""


class CharClass(NamedTuple):
    """A set of characters."""

    finder: re.Pattern[str]
    """Finds the characters of the set, or those outside of it."""
    negated: bool


class Literal(NamedTuple):
    """These characters."""

    text: str


class One(NamedTuple):
    """One character of a class."""

    chars: CharClass


class Star(NamedTuple):
    """Any number of characters of a class, none included."""

    chars: CharClass


class Directories(NamedTuple):
    """`(.*/)?`: nothing, or anything that ends in a slash."""


class Assertion(NamedTuple):
    """A place without width, such as the end."""

    finder: re.Pattern[str]


class Repeat(NamedTuple):
    """A step so many times."""

    step: "Literal | One | Assertion"
    least: int
    most: int | None


Step = Literal | One | Star | Directories | Assertion | Repeat


class Alternative(NamedTuple):
    """One way to match."""

    steps: tuple[Step, ...]
    begin: str
    """What a matching text begins with, as far as plain characters say so: tells most texts apart at once."""
    end: str
    """What it ends with, likewise."""


Alternatives = tuple[Alternative, ...]

SLASH = CharClass(re.compile("/"), negated=False)
DOT = CharClass(re.compile("\n"), negated=True)
_DIRECTORIES = "(.*/)?"
_REPEAT = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
_MOST_REPEATS = 1000

_Ranges = tuple[tuple[int, int], ...]
_LAST = 0x10FFFF
_HEX = re.compile(r"[0-9a-fA-F]{2}|\{[0-9a-fA-F]+\}")


def _ranges(text: str) -> _Ranges:
    return tuple((ord(first), ord(last)) for first, last in zip(text[::2], text[1::2], strict=True))


def _complement(ranges: _Ranges) -> _Ranges:
    out: list[tuple[int, int]] = []
    following = 0
    for low, high in sorted(ranges):
        if low > following:
            out.append((following, low - 1))
        following = max(following, high + 1)
    if following <= _LAST:
        out.append((following, _LAST))
    return tuple(out)


_PERL_PLAIN = {"d": _ranges("09"), "s": _ranges("\t\n\f\r  "), "w": _ranges("09AZ__az")}
_PERL = _PERL_PLAIN | {name.upper(): _complement(ranges) for name, ranges in _PERL_PLAIN.items()}
_POSIX_PLAIN = {
    "alnum": _ranges("09AZaz"),
    "alpha": _ranges("AZaz"),
    "ascii": _ranges("\0\x7f"),
    "blank": _ranges("\t\t  "),
    "cntrl": _ranges("\0\x1f\x7f\x7f"),
    "digit": _ranges("09"),
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/:@[`{~"),
    "space": _ranges("\t\r  "),
    "upper": _ranges("AZ"),
    "word": _ranges("09AZaz__"),
    "xdigit": _ranges("09AFaf"),
}
_POSIX = _POSIX_PLAIN | {f"^{name}": _complement(ranges) for name, ranges in _POSIX_PLAIN.items()}
_BEGIN = re.compile(r"\A")
_END = re.compile(r"\Z")
_ANCHORS = {"^": _BEGIN, "$": _END}
_ASSERTIONS = {"A": _BEGIN, "z": _END, "b": re.compile(r"\b", re.ASCII), "B": re.compile(r"\B", re.ASCII)}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _char_class(ranges: _Ranges, *, negated: bool = False) -> CharClass:
    body = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
    return CharClass(re.compile(f"[{body}]"), negated)


def _escaped(regex: str, position: int) -> tuple[int, int]:
    """The character that the escape at `position` (its backslash) stands for, and where it ends."""
    name = regex[position + 1 : position + 2]
    end = position + 2
    following = regex[end : end + 1]
    if name == "0" or (name and name in "1234567" and following and following in "01234567"):
        while end < position + 4 and regex[end : end + 1] in set("01234567"):
            end += 1
        return int(regex[position + 1 : end], 8), end
    if name == "x":
        digits = _HEX.match(regex, end)
        if digits and (char := int(digits[0].strip("{}"), 16)) <= _LAST:
            return char, digits.end()
    elif name in _CONTROLS:
        return ord(_CONTROLS[name]), end
    elif name.isascii() and name and not name.isalnum():
        return ord(name), end
    raise BadRegexpError(f"`\\{name}` means nothing")


def _class(regex: str, position: int) -> tuple[CharClass, int]:
    """The class that opens at `position`, and where it ends."""
    position += 1
    negated = regex.startswith("^", position)
    position += negated
    ranges: list[tuple[int, int]] = []
    first = True
    while first or not regex.startswith("]", position):
        first = False
        name_end = regex.find(":]", position + 2) if regex.startswith("[:", position) else -1
        perl = regex[position + 1 : position + 2] if regex.startswith("\\", position) else ""
        if name_end >= 0:
            name = regex[position + 2 : name_end]
            if name not in _POSIX:
                raise BadRegexpError(f"there is no class [:{name}:]")
            ranges += _POSIX[name]
            position = name_end + 2
        elif perl and perl in _PERL:
            ranges += _PERL[perl]
            position += 2
        else:
            low, position = _class_char(regex, position)
            high = low
            if regex.startswith("-", position) and regex[position + 1 : position + 2] not in ("]", ""):
                high, position = _class_char(regex, position + 1)
            if high < low:
                raise BadRegexpError(f"the range {chr(low)}-{chr(high)} is empty")
            ranges.append((low, high))
    return _char_class(tuple(ranges), negated=negated), position + 1


def _class_char(regex: str, position: int) -> tuple[int, int]:
    if position >= len(regex):
        raise BadRegexpError("a character class is not closed")
    if regex[position] == "\\":
        return _escaped(regex, position)
    return ord(regex[position]), position + 1


def parse(regex: str) -> Alternatives:
    """Splits an expression of patternmatcher's into alternatives of steps.

    Raises:
        BadRegexpError: the expression is malformed.
    """
    alternatives: list[Alternative] = []
    steps: list[Step] = []
    position = 0
    while position < len(regex):
        repeat = _REPEAT.match(regex, position)
        if regex[position] == "|":
            alternatives.append(_alternative(steps))
            steps = []
            position += 1
        elif repeat:
            steps.append(_repeated(steps.pop() if steps else None, repeat))
            position = repeat.end()
        else:
            step, position = _step(regex, position)
            steps.append(step)
    return (*alternatives, _alternative(steps))


def _alternative(steps: list[Step]) -> Alternative:
    out: list[Step] = []
    for step in steps:
        match out[-1:], step:
            case [Literal(before)], Literal(text):
                out[-1] = Literal(before + text)
            case _:
                out.append(step)
    begin = end = ""
    match out:
        case [Assertion(anchor), Literal(text), *_] if anchor is _BEGIN:
            begin = text
        case _:
            pass
    match out:
        case [*_, Literal(text), Assertion(anchor)] if anchor is _END:
            end = text
        case _:
            pass
    return Alternative(tuple(out), begin, end)


def _repeated(step: Step | None, repeat: re.Match[str]) -> Repeat:
    if step is None or isinstance(step, Star | Directories | Repeat):
        raise BadRegexpError(f"there is nothing to repeat before {repeat[0]}")
    least = int(repeat[1])
    most = least if repeat[2] is None else int(repeat[3]) if repeat[3] else None
    if least > _MOST_REPEATS or (most is not None and not least <= most <= _MOST_REPEATS):
        raise BadRegexpError(f"{repeat[0]} is no number of repetitions")
    return Repeat(step, least, most)


def _step(regex: str, position: int) -> tuple[Step, int]:
    if regex.startswith(_DIRECTORIES, position):
        return Directories(), position + len(_DIRECTORIES)
    if regex.startswith(".*", position):
        return Star(DOT), position + 2
    char = regex[position]
    if char == "[":
        chars, position = _class(regex, position)
        starred = regex.startswith("*", position)
        return Star(chars) if starred else One(chars), position + starred
    if char == "\\":
        return _escape_step(regex, position)
    anchor = _ANCHORS.get(char)
    return Assertion(anchor) if anchor else Literal(char), position + 1


def _escape_step(regex: str, position: int) -> tuple[Step, int]:
    name = regex[position + 1 : position + 2]
    if name in _ASSERTIONS:
        return Assertion(_ASSERTIONS[name]), position + 2
    if name in _PERL:
        return One(_char_class(_PERL[name])), position + 2
    char, position = _escaped(regex, position)
    return Literal(chr(char)), position
