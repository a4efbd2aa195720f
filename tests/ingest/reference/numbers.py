"""Whole numbers as the columns hold them."""

from __future__ import annotations

import math
import re

SMALLINT, INTEGER, BIGINT = 2**15 - 1, 2**31 - 1, 2**63 - 1


def whole(digits: str | None, largest: int) -> int | None:
    """Digits as a number; None for anything else and for what the column cannot hold."""
    if digits is None or re.fullmatch("[0-9]+", digits) is None:
        return None
    value = int(digits.lstrip("0")[:20] or "0")
    return value if value <= largest else None


def finite(value: float) -> float | None:
    """The number, None for infinity."""
    return value if math.isfinite(value) else None
