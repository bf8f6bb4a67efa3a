"""Lines with names and texts from files that are not trusted, fit for terminals and for the log of a CI job."""

import re

from orchestrator.config import environment
from orchestrator.workspace.files import printable

_COMMAND = re.compile(r"^( *):(?=:)")
_OLDER_COMMAND = re.compile(r"##(?=\[)")


def fit(line: str) -> str:
    r"""One line without what a terminal, or in a job of GitHub Actions its runner, would obey: that is escaped.

    The runner obeys `::name ...::` at a line's beginning, blanks aside, and `##[name]` anywhere in it
    (actions/runner, ActionCommand.cs); `\x3a` and `\x23` stand for the character that makes it one.
    """
    line = printable(line)
    if environment.read().get("GITHUB_ACTIONS") != "true":
        return line
    return _OLDER_COMMAND.sub(r"#\\x23", _COMMAND.sub(r"\1\\x3a", line))
