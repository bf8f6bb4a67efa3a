"""What can go wrong while a lab is brought up, for people: what happened, and what to do next."""


class LabError(Exception):
    """The lab cannot be brought up, or not brought down, on this machine.

    Attributes:
        message: what happened.
        hint: what to do next, in one sentence.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
