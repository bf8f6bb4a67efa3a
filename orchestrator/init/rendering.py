"""Templates in which every value is quoted for where it stands, whether the template asks for it or not.

What `{[ ... ]}` prints goes through `finalize` of the environment: a string becomes a string of the file's language,
and only what a filter has marked as `Text` is printed as it is. Delimiters are none of Jinja's usual ones, because
`{{` is GitHub's. A value in which the platform would find an expression is refused (`Refused`), never repaired.

Imports jinja2: imported itself only where a file is made.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jinja2

from orchestrator.config.decode import quoted
from orchestrator.errors import UsageError
from orchestrator.init.project import Target

_TEMPLATES = Path(__file__).parent / "templates"
_EXPRESSIONS: Final[dict[Target, re.Pattern[str]]] = {
    "github": re.compile(r"\$\{\{"),
    "gitlab": re.compile(r"\$"),
    "kubernetes": re.compile(r"\$\("),
    "shipwright": re.compile(r"\$\("),
}
"""What the platform would replace in a string. Operators' files have no `$` at all."""
_WORD = re.compile(r"[A-Za-z/]([A-Za-z0-9/_.-]*[A-Za-z0-9])?")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READ_OTHERWISE = frozenset({"true", "false", "yes", "no", "y", "n", "on", "off", "null"})


class Text(str):
    """Printed as it is."""

    __slots__ = ()


def render(target: Target, template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        target: whose rules for strings count.
        template: its file's name.
        values: what stands in it; strings are untrusted.

    Raises:
        UsageError: a value holds what the platform would take for an expression.
    """
    finalize = shlex_quoted if target == "runner" else _yaml(target)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 -- this is no HTML: `finalize` is the escape
        finalize=finalize,
        variable_start_string="{[",
        variable_end_string="]}",
        comment_start_string="{=",
        comment_end_string="=}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"block": block, "comment": comment, "identifier": identifier}
    return environment.get_template(template).render(**values)


def block(value: str, indent: int) -> Text:
    """A text of several lines as a literal block of YAML, which reads it as it is."""
    lines = value.removesuffix("\n").split("\n")
    # A block has no escapes, and blanks around it would be its indentation, or lost.
    if not (lines[0] and lines[-1]) or not all(line.isprintable() and line == line.strip() for line in lines):
        return Text(quoted(value))
    return Text("|\n" + "\n".join(f"{' ' * indent}{line}".rstrip() for line in lines))


def comment(value: object) -> Text:
    """A value within a comment: one line, in which everything can be seen."""
    return Text("".join(character if character.isprintable() else "?" for character in str(value)))


def identifier(value: str) -> Text:
    """The name of a variable within an expression.

    Raises:
        UsageError: it is none.
    """
    if not _IDENTIFIER.fullmatch(value):
        raise _refused(value)
    return Text(value)


def shlex_quoted(value: object) -> object:
    """A value as one word of a shell."""
    if isinstance(value, Text | int):
        return value
    if "\0" in str(value):
        raise _refused(str(value))
    return shlex.quote(str(value))


def _yaml(target: Target) -> Callable[[object], object]:
    """What quotes values for YAML: JSON's strings are YAML's, too (YAML 1.2, 1.2)."""
    expression = _EXPRESSIONS[target]

    def finalize(value: object) -> object:
        if isinstance(value, Text) or value is None:
            return "" if value is None else value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return value
        text = str(value)
        if expression.search(text):
            raise _refused(text)
        return text if _WORD.fullmatch(text) and text.lower() not in _READ_OTHERWISE else quoted(text)

    return finalize


def _refused(value: str) -> UsageError:
    return UsageError(
        f"{quoted(value)} cannot be written into the file: it would be read as something else there",
        hint="Give it another name, or write it into the file by hand.",
    )
