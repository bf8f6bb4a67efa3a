r"""Which paths of a context are sent: the matching of moby/patternmatcher v0.6.1, the walking rules of fsutil's filter.

The daemon parses `.dockerignore` itself and sends the patterns; the client applies them. What a pattern matches is
defined by patternmatcher's translation into a regular expression, not by the documentation: `**` is not confined to
whole parts of a path, and `\d` is a digit. So the translation is repeated here, accidents included, and the result is
run by `subject` in linear time.

Rules for a list: the last pattern that matches wins; a pattern that matches a directory matches all below it; `!` takes
back. A list whose pattern is no glob is refused; one that is a glob and becomes no valid expression (`\1`) is an error
only when it is asked, which it never is behind a `*` that has matched already.

Rules for a walk (fsutil filter.go, v0.0.0-20251211185533): an excluded directory is entered all the same when a `!`
pattern could match below; a directory that does not match is sent before its first descendant that does.
"""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.buildkit.session import gopath, regexp
from orchestrator.buildkit.session.subject import Subject
from orchestrator.errors import ContextError

# strings.TrimSpace; str.strip() would also take the four ASCII separators.
_GO_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001)))).translate(dict.fromkeys(range(0x1C, 0x20)))
_GLOB_CHARS = frozenset("*[]?^\\")
# It means to escape | { } too, but its table is too small for them: they keep their meaning in the expression.
_REGEXP_CHARS = frozenset(".+()$")


class Pattern:
    """One pattern of a list.

    Attributes:
        text: the pattern, cleaned, without its `!`.
        exception: whether it began with `!`.
        fault: why it is an error to ask it, None for nearly all.
        prefix: what every match must begin with, None unless it is a plain path with or
            without a last `/**` or `/*`.
    """

    def __init__(self, text: str, *, exception: bool) -> None:
        if not text:
            raise gopath.BadPatternError("there is nothing behind the !")
        gopath.match(text, ".")
        self.text = text
        self.exception = exception
        prefix = text.removesuffix("/**").removesuffix("/*")
        self.prefix = None if _GLOB_CHARS.intersection(prefix) else prefix
        kind, regex = _translate(text)
        self.fault: str | None = None
        self._alternatives: regexp.Alternatives = ()
        self._kind = kind
        if kind == "regexp":
            try:
                self._alternatives = regexp.parse(regex)
            except regexp.BadRegexpError as error:
                self.fault = str(error)

    def matches(self, subject: Subject) -> bool:
        """Whether this pattern matches the path itself, its parents left aside."""
        path = subject.text
        match self._kind:
            case "exact":
                return path == self.text
            case "prefix":
                return path.startswith(self.text[:-2])
            case "suffix":
                suffix = self.text[2:]
                return path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])
            case _:
                return subject.matches(self._alternatives)


def _translate(pattern: str) -> tuple[str, str]:
    """How patternmatcher matches a pattern: `exact`, `prefix`, `suffix` or `regexp`, and that expression."""
    kind = "exact"
    regex = ["^"]
    position = 0
    while position < len(pattern):
        start = position
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 1
            position += pattern.startswith("/", position)
            at_end = position == len(pattern)
            regex.append(".*" if at_end else "(.*/)?")
            kind = "prefix" if at_end and kind == "exact" else "regexp"
            if start == 0:
                kind = "suffix"
        elif char in "*?":
            regex.append("[^/]*" if char == "*" else "[^/]")
            kind = "regexp"
        elif char == "\\":
            regex.append(pattern[start : start + 2])
            position = min(start + 2, len(pattern))
            kind = "regexp" if position == start + 2 else kind
        else:
            regex.append(f"\\{char}" if char in _REGEXP_CHARS else char)
            kind = "regexp" if char in "[]" else kind
    return kind, "".join((*regex, "$"))


class PatternList:
    """Patterns in their order.

    Args:
        patterns: as the daemon sends them; empty ones are dropped.
        role: what they are for, to be named in errors.

    Raises:
        ContextError: a pattern is malformed.
    """

    def __init__(self, patterns: Sequence[str], *, role: str) -> None:
        self._role = role
        self.patterns = tuple(_parse(cleaned, role) for text in patterns if (cleaned := text.strip(_GO_SPACE)))
        self._has_exceptions = any(pattern.exception for pattern in self.patterns)
        self._plain_exceptions = all(p.prefix is not None for p in self.patterns if p.exception)
        self._plain_inclusions = all(p.prefix is not None for p in self.patterns if not p.exception)

    def match(self, subject: Subject, inherited: int) -> tuple[bool, int]:
        """Matches a path whose parent directory has been matched before.

        Args:
            subject: the path.
            inherited: the second result for its parent directory; 0 at the top.

        Returns:
            Whether the list matches; bit n of the second is set when pattern n matches here, and so below.

        Raises:
            ContextError: a pattern had to be asked that has a fault.
        """
        matched = False
        here = 0
        for number, pattern in enumerate(self.patterns):
            if not inherited >> number & 1:
                if pattern.exception != matched:
                    continue
                if pattern.fault is not None:
                    raise _malformed(pattern.text, self._role, pattern.fault)
                if not pattern.matches(subject):
                    continue
            here |= 1 << number
            matched = not pattern.exception
        return matched, here

    def may_include_below(self, directory: str) -> bool:
        """Whether a descendant of a directory that this list does not match could be matched."""
        return not self._plain_inclusions or self._leads_below(directory, exception=False)

    def may_except_below(self, directory: str) -> bool:
        """Whether a descendant of a directory that this list matches could be taken back by a `!` pattern."""
        if not self._has_exceptions:
            return False
        return not self._plain_exceptions or self._leads_below(directory, exception=True)

    def _leads_below(self, directory: str, *, exception: bool) -> bool:
        return any(
            pattern.prefix is not None and f"{pattern.prefix}/".startswith(f"{directory}/")
            for pattern in self.patterns
            if pattern.exception == exception
        )


def _parse(text: str, role: str) -> Pattern:
    cleaned = gopath.clean(text)
    exception = cleaned.startswith("!")
    try:
        return Pattern(cleaned[exception:], exception=exception)
    except gopath.BadPatternError as error:
        raise _malformed(text, role, str(error)) from error


def _malformed(text: str, role: str, reason: str) -> ContextError:
    return ContextError(
        f"{role} pattern {text!r} of the build context is malformed: {reason}",
        hint=f"Correct it in {'.dockerignore' if role == 'exclude' else 'the COPY or ADD that it comes from'}.",
    )


class Verdict(NamedTuple):
    """What becomes of an entry."""

    send: bool
    descend: bool
    """Whether a directory's children have to be looked at."""
    inherited: tuple[int, int]
    """For the children of a directory."""


TOP = (0, 0)
"""What the entries of the root inherit."""


class Filter:
    """The include and the exclude patterns of one transfer.

    Args:
        include: without any, everything is included; with blank ones only, nothing is.
        exclude: what to leave out of that.

    Raises:
        ContextError: a pattern is malformed.
    """

    def __init__(self, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = PatternList(include, role="include") if include else None
        self._exclude = PatternList(exclude, role="exclude") if exclude else None

    def decide(self, path: str, inherited: tuple[int, int]) -> Verdict:
        """Decides on one path; a walk asks for a directory before its children.

        Args:
            path: relative to the root, `/` between its parts.
            inherited: `TOP`, or the verdict's on the parent directory.
        """
        subject = Subject(path)
        send = True
        included, excluded = inherited
        if self._include:
            matched, included = self._include.match(subject, included)
            if not matched:
                send = False
                if not self._include.may_include_below(path):
                    return Verdict(send=False, descend=False, inherited=inherited)
        if self._exclude:
            matched, excluded = self._exclude.match(subject, excluded)
            if matched:
                send = False
                if not self._exclude.may_except_below(path):
                    return Verdict(send=False, descend=False, inherited=inherited)
        return Verdict(send=send, descend=True, inherited=(included, excluded))
