"""The syntaxes in which ecosystems write ranges, each reduced to spans.

All of them are alternatives of comparators that must hold together; they differ in the words between these, in what a
tilde leaves free, and in whether `<=3` speaks of all of line 3 (npm) or of 3.0.0 alone (everybody else). A version's
pre-release part is passed over in a range: what is chosen from has releases only.
"""

import re
from typing import Final

import msgspec

from langs import releases, spans, statements
from langs.spans import Release, Span, Spans
from langs.statements import Statement

# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
_COMPARATOR: Final = (
    r"(?P<operator>>=|<=|<>|!=|==|~>|~=|[><=^~!]|)\s*"
    r"(?P<version>[vV]?(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?P<free>(?:\.[xX*])*)"
    r"(?P<rest>(?:[-+]|\.?(?=[A-Za-z]))[0-9A-Za-z.+-]*)?|[xX*](?:\.[xX*])*)(?:[\s,]+|$)"
)
_HYPHEN: Final = r"\s*[vV]?([0-9.]+)(\.[xX*])*\s+-\s+[vV]?([0-9.]+)(\.[xX*])*\s*"
_NUMBERS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}"
_STABILITY: Final = r"@(?:dev|alpha|beta|rc|stable)\b"
_COUNT: Final = 3
"""The numbers of a whole version."""

_ANY: Final = frozenset({"*", "x", "X", ""})
_NEWEST: Final = frozenset({"latest", "node", "stable", "current"})
_LTS: Final = r"lts(?:/(?:\*|-[0-9]{1,2}|[a-z]+))?"
_NODE: Final = "nodejs"
_SDK: Final = r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{3,4}"
_SDK_HINT: Final = "Write an SDK's version such as 8.0.404, and one of .NET's policies, such as latestFeature."
_POLICIES: Final = frozenset(
    {"disable", "patch", "feature", "minor", "major", "latestpatch", "latestfeature", "latestminor", "latestmajor"}
)


class Syntax(msgspec.Struct, frozen=True, kw_only=True):
    """How one ecosystem writes ranges."""

    operators: frozenset[str]
    either: str
    """The pattern of what stands between alternatives."""
    together: str = ","
    """The pattern of a word, besides blanks and commas, between comparators that must hold together."""
    whole: bool = False
    """Whether `>3`, `<=3` and `=3` speak of all of line 3, not of the release 3.0.0."""
    wide: bool = False
    """Whether `~3.2` allows 3.3, as `~> 3.2` does wherever that is written."""
    hint: str


_ORDER: Final = frozenset({"", "=", ">", ">=", "<", "<="})
_NPM: Final = Syntax(
    operators=_ORDER | {"^", "~", "~>"},
    either=r"\|\|",
    whole=True,
    hint="Write an exact version such as 22.16.0, a line such as 22, or a range such as >=18.",
)
_COMPOSER: Final = Syntax(
    operators=_ORDER | {"^", "~", "!=", "<>", "=="},
    either=r"\|\|?",
    wide=True,
    hint="Write a version such as 8.3, or a constraint such as ^8.2 or >=8.1 <8.4.",
)
_RUBY: Final = Syntax(
    operators=_ORDER | {"~>", "!="},
    either=r"\|\|",
    wide=True,
    hint="Write a version such as 3.4.4, or a requirement such as ~> 3.3 or >= 3.2, < 3.5.",
)
_ELIXIR: Final = Syntax(
    operators=_ORDER | {"~>", "!=", "==", "!"},
    either=r"\bor\b",
    together=r"\band\b",
    wide=True,
    hint="Write a version such as 1.18.4, or a requirement such as ~> 1.17 or >= 1.15.0 and < 2.0.0.",
)
_POETRY: Final = Syntax(
    operators=_ORDER | {"^", "~", "~=", "!=", "=="},
    either=r"\|\|?",
    hint="Write a Python version such as 3.12 or 3.12.8, or a range such as ^3.11 or >=3.11,<3.14.",
)


def npm(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of npm's semver ranges, with `lts/iron`, `lts/*`, `lts/-1` and `node` of nvm.

    Raises:
        LangError: it cannot be understood.
    """
    word = text.strip().lower()
    lines = _long_term(word) if not word[:1].isdigit() else None
    if lines is None:
        return read(text, _NPM, source=source, file=file)
    if len(lines) == 1:
        line = statements.exact(spans.text(lines[0]), source=source, file=file, hint=_NPM.hint)
        return msgspec.structs.replace(line, moving="-" in word)
    return statements.ranged(text, tuple(map(spans.line, lines)), source=source, file=file)


def composer(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of Composer's constraints; `8.2` alone is the line.

    Raises:
        LangError: it cannot be understood.
    """
    return read(re.sub(_STABILITY, "", text, flags=re.IGNORECASE), _COMPOSER, source=source, file=file)


def ruby(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of RubyGems' requirements, several divided by commas; `ruby-3.4.4` is one, too.

    `3.4` alone is the line, as `.ruby-version` means it; `= 3.4` is 3.4.0, as RubyGems does.

    Raises:
        LangError: it cannot be understood.
    """
    plain = re.sub(r"(\d)-?p[0-9]{1,4}\Z", r"\1", text.strip().removeprefix("ruby-"), flags=re.ASCII)
    return read(plain, _RUBY, source=source, file=file)


def elixir(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of Elixir's requirements: `~> 1.15 or >= 1.16.1 and < 2.0.0`.

    Raises:
        LangError: it cannot be understood.
    """
    return read(text, _ELIXIR, source=source, file=file)


def poetry(text: str, *, source: str, file: str | None = None) -> Statement:
    """A statement in the syntax of Poetry's constraints: `^3.11`, `~3.12`, `3.12.*`, `>=3.11,<4.0`.

    Raises:
        LangError: it cannot be understood.
    """
    return read(text, _POETRY, source=source, file=file)


def sdk(text: str, roll_forward: str | None, *, source: str, file: str | None = None) -> Statement:
    """A statement of a .NET SDK as global.json makes it.

    The third number of an SDK holds the feature band in its hundreds: 8.0.404 is patch 4 of band 4. Without a policy
    the newest patch of the band is meant; those policies which begin with the version itself get it.
    (https://learn.microsoft.com/dotnet/core/tools/global-json, "rollForward")

    Args:
        text: `sdk.version`.
        roll_forward: `sdk.rollForward`, in any case.
        source: where, for people.
        file: the file of the app.

    Raises:
        LangError: it is no SDK's version, or no policy.
    """
    match = re.fullmatch(_SDK, text.strip(), re.ASCII)
    policy = (roll_forward or "latestPatch").lower()
    if match is None or policy not in _POLICIES:
        stated = text if match is None else f"rollForward {roll_forward}"
        raise statements.not_understood(stated, source=source, file=file, hint=_SDK_HINT)
    if policy in {"disable", "patch", "feature", "minor", "major"}:
        return statements.exact(text, source=source, file=file, hint=_SDK_HINT)
    major, minor, patch = numbers = statements.release(match[0])
    upper = {
        "latestpatch": (major, minor, patch // 100 * 100 + 100),
        "latestfeature": (major, minor + 1),
        "latestminor": (major + 1,),
    }
    return statements.ranged(text, (Span(lower=numbers, upper=upper.get(policy)),), source=source, file=file)


def read(text: str, syntax: Syntax, *, source: str, file: str | None) -> Statement:
    """A statement in one of the syntaxes.

    Raises:
        LangError: it cannot be understood.
    """
    stated = text.strip()
    if stated in _ANY:
        return statements.ranged(text, spans.ALL, source=source, file=file, free=True)
    if stated.lower() in _NEWEST:
        return statements.ranged(text, spans.ALL, source=source, file=file)
    found: list[Span] = []
    alternatives = [] if statements.too_long(stated) else re.split(syntax.either, stated)
    for alternative in alternatives:
        comparators = _comparators(alternative, syntax)
        if comparators is None:
            break
        if len(alternatives) == len(comparators) == 1 and (version := _exact(comparators[0], syntax)) is not None:
            return statements.exact(version, source=source, file=file, hint=syntax.hint)
        allowed = spans.ALL
        for comparator in comparators:
            allowed = spans.both(allowed, _meaning(comparator, syntax))
        found += allowed
    else:
        if alternatives:
            return statements.ranged(text, tuple(found), source=source, file=file)
    raise statements.not_understood(text, source=source, file=file, hint=syntax.hint)


def meaning(operator: str, numbers: Release, *, whole: bool, wide: bool = True) -> Spans:
    """The releases that one comparator allows.

    Args:
        operator: one of those of any syntax.
        numbers: of the version behind it.
        whole: whether the version stands for all of its line.
        wide: whether `~3.2` allows 3.3.
    """
    one = spans.line(numbers if whole else padded(numbers))
    allowed: Spans = (one,)
    match operator:
        case ">=":
            allowed = (Span(lower=numbers),)
        case ">":
            allowed = (Span(lower=one.upper),)
        case "<":
            allowed = (Span(upper=numbers),)
        case "<=":
            allowed = (Span(upper=one.upper),)
        case "^":
            # The first number that is not zero may not change; `^0` may change nothing but what it leaves open.
            significant = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            allowed = (Span(lower=numbers, upper=spans.after(numbers[: significant + 1])),)
        case "~" | "~>" | "~=":
            # The last number that is written is free, or in npm's reading all from the third on.
            fixed = (numbers[:-1] or numbers) if wide else numbers[:2]
            allowed = (Span(lower=numbers, upper=spans.after(fixed)),)
        case "!=" | "<>" | "!":
            allowed = spans.outside(one)
        case _:
            pass
    return allowed


def padded(numbers: Release) -> Release:
    """The numbers of a whole version: (3, 12) gives (3, 12, 0)."""
    return (*numbers, *(0 for _ in range(_COUNT - len(numbers))))


class _Comparator(msgspec.Struct, frozen=True, kw_only=True):
    """One operator with its version."""

    operator: str
    version: str
    numbers: Release
    """Empty for `*`."""
    free: bool
    """Whether `.x` or `.*` follows."""
    early: bool
    """Whether the version is a pre-release."""


def _comparators(text: str, syntax: Syntax) -> list[_Comparator] | None:
    """The comparators of one alternative, or None when it is in another syntax."""
    hyphen = re.fullmatch(_HYPHEN, text, re.ASCII)
    if hyphen:
        text = f">={hyphen[1]} <={hyphen[3]}"
        # In a hyphen range a partial upper version is whole in Composer's reading, too.
        if any(not re.fullmatch(_NUMBERS, bound, re.ASCII) for bound in (hyphen[1], hyphen[3])):
            return None
    found: list[_Comparator] = []
    comparator = re.compile(_COMPARATOR, re.ASCII)
    text = re.sub(syntax.together, " ", text).strip()
    position = 0
    while position < len(text):
        match = comparator.match(text, position)
        if match is None or match["operator"] not in syntax.operators:
            return None
        numbers = statements.release(match["numbers"]) if match["numbers"] else ()
        if not numbers and match["operator"] in {">", "<", "!=", "<>", "!"}:
            return None
        if (syntax.whole and len(numbers) > _COUNT) or (match["free"] and match["rest"]):
            return None
        found.append(
            _Comparator(
                operator=match["operator"],
                version=match["version"],
                numbers=numbers,
                free=bool(match["free"]) or bool(hyphen),
                early=bool(match["rest"]),
            )
        )
        position = match.end()
    return found


def _meaning(comparator: _Comparator, syntax: Syntax) -> Spans:
    if not comparator.numbers:
        return spans.ALL
    operator = comparator.operator
    if comparator.early:
        # Releases only: what comes after 20.0.0-rc.1 begins with 20.0.0, and what comes up to it ends before that.
        operator = {">": ">=", "<=": "<"}.get(operator, operator)
    wide = syntax.wide or operator == "~="
    return meaning(operator, comparator.numbers, whole=syntax.whole or comparator.free, wide=wide)


def _exact(comparator: _Comparator, syntax: Syntax) -> str | None:
    """The one version that a comparator allows, if it is written so."""
    if comparator.operator not in {"", "=", "=="} or comparator.free or not comparator.numbers:
        return None
    if comparator.operator and not syntax.whole and not comparator.early:
        return spans.text(padded(comparator.numbers))
    return comparator.version


def _long_term(word: str) -> tuple[Release, ...] | None:
    """The release lines that one of nvm's words for long-term support stands for."""
    if re.fullmatch(_LTS, word) is None and not word.isalpha():
        return None
    names = releases.shipped(_NODE).names
    lines = sorted(names.values(), reverse=True)
    name = word.removeprefix("lts").removeprefix("/")
    if word.startswith("lts") and name in {"", "*"}:
        return tuple(lines)
    if name.startswith("-"):
        return tuple(lines[int(name[1:]) : int(name[1:]) + 1])
    return (names[name],) if name in names else None
