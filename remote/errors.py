"""What can go wrong between an address and a byte stream. Exit codes are the orchestrator's business."""

import anyio


class RemoteError(Exception):
    """Base of this library's errors.

    Attributes:
        message: what happened.
        hint: what to do next.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class AddressError(RemoteError):
    """The text is not the address of a builder, or a file that it names is not what it should be."""


class UnreachableError(RemoteError):
    """Nothing answers at the address."""


class UnsuitableError(RemoteError):
    """Somebody answers at the address, and will never be a builder for us: trying again does not help."""


class RefusedError(anyio.BrokenResourceError):
    """Of a stream that leads to nobody, which was known only after it was opened.

    Attributes:
        reason: why, as if that had been known before.
    """

    def __init__(self, reason: RemoteError) -> None:
        super().__init__(reason.message)
        self.reason = reason
