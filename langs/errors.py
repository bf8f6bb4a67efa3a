"""What is wrong with an app's own files. Exit codes are the orchestrator's business."""


class LangError(Exception):
    """A file of the app cannot be understood.

    Attributes:
        message: what is wrong, with what was expected.
        file: the file it was found in, relative to the app's directory, or None.
        line: the line in that file, counted from 1, or None.
        hint: what to do next.
        directory: what `file` is relative to where that is not the app's directory but one around or beside it: a POSIX
            path from the monorepo's root.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.hint = hint
        self.directory: str | None = None
