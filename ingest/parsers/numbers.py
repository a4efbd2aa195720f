"""Numbers in lines that are read one by one."""

from __future__ import annotations

import math
from typing import Final

SMALLINT_MAX: Final = 2**15 - 1
INTEGER_MAX: Final = 2**31 - 1
BIGINT_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = 20  # more than the largest column holds; Python refuses to read thousands of them


def whole(digits: str | None, largest: int) -> int | None:
    """Digits as a number; None for anything else and for what the column cannot hold."""
    if digits is None or not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits.lstrip("0")[:_DIGITS_MAX] or "0")
    return number if number <= largest else None


def finite(value: float) -> float | None:
    """The number; None for infinity, which hundreds of digits are read as, and which no sum or JSON survives."""
    return value if math.isfinite(value) else None
