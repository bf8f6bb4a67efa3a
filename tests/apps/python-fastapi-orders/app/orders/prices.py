from decimal import Decimal

_PIECE = Decimal("12.50")


def total(pieces: int) -> Decimal:
    return pieces * _PIECE
