"""GitHub's runner, as far as it reads what a step prints.

Facts from actions/runner: ActionCommand.cs (both syntaxes and their escapes), ActionCommandManager.cs (stopping).
"""

import msgspec

_KNOWN = {
    *("add-mask", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "save-state", "set-env"),
    *("set-output", "stop-commands", "warning", "add-matcher", "remove-matcher"),
}
_DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
_OLD = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%"))


class Command(msgspec.Struct, frozen=True):
    """A command that was carried out."""

    name: str
    properties: dict[str, str]
    data: str


class Runner:
    """Reads lines; keeps what it carried out, and what it only printed."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.printed: list[str] = []
        self._token: str | None = None

    def read(self, text: str) -> None:
        """Read what a step printed."""
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
            command = self._parse(line)
            if command is None:
                self.printed.append(line)
            elif self._token is not None:
                if command.name.lower() == self._token.lower():
                    self._token = None
                else:
                    self.printed.append(line)
            elif command.name == "stop-commands":
                assert command.data
                assert command.data not in _KNOWN
                self._token = command.data
            else:
                self.commands.append(command)

    @property
    def stopped(self) -> bool:
        """Whether commands are not carried out."""
        return self._token is not None

    def _parse(self, line: str) -> Command | None:
        return self._parse_new(line) or self._parse_old(line)

    def _parse_new(self, line: str) -> Command | None:
        line = line.lstrip()
        if not line.startswith("::"):
            return None
        end = line.find("::", 2)
        return self._command(line[2:end], ",", line[end + 2 :], _PROPERTY, _DATA) if end >= 0 else None

    def _parse_old(self, line: str) -> Command | None:
        begin = line.find("##[")
        end = line.find("]", begin)
        if begin < 0 or end < 0:
            return None
        return self._command(line[begin + 3 : end], ";", line[end + 1 :], _OLD, _OLD)

    def _command(
        self,
        said: str,
        separator: str,
        data: str,
        property_escapes: tuple[tuple[str, str], ...],
        data_escapes: tuple[tuple[str, str], ...],
    ) -> Command | None:
        name, _, properties = said.partition(" ")
        if name.lower() not in {*_KNOWN, (self._token or "").lower()}:
            return None
        pairs = [each.split("=", 1) for each in properties.strip().split(separator) if "=" in each]
        return Command(
            name, {key: _unescape(value, property_escapes) for key, value in pairs}, _unescape(data, data_escapes)
        )


def _unescape(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    for token, character in escapes:
        text = text.replace(token, character)
    return text
