"""Timestamps of log lines as microseconds since 1970, UTC: whole columns at once.

Three clocks are read: the ISO 8601 stamp of a frame's header, the web servers' ``10/Oct/2026:13:55:36 +0200``,
and nothing else; a time that is no time (month 13, 30 February, hour 24) is refused, not rolled over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.text import Mask, Positions, Spans, Text

ISO_MAX_BYTES: Final = 36  # 2026-11-23T13:15:33.123456789Z+00:00
CLF_BYTES: Final = 26  # 23/Nov/2026:13:15:33 +0000
_MONTHS: Final = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_SECOND_US: Final = 1_000_000
_USUAL_SHAPE: Final = b"????-??-??T??:??:??.??????+00:00"
_USUAL_BYTES: Final = len(_USUAL_SHAPE)
_USUAL_DIGITS: Final = [place for place, octet in enumerate(_USUAL_SHAPE[:26]) if octet == ord("?")]
_USUAL_FIELDS: Final = (4, 2, 2, 2, 2, 2, 6)  # digits of year, month, day, hour, minute, second, microseconds
_FIRST_US: Final = -62_135_596_800 * _SECOND_US  # 0001-01-01, the first day most readers of Parquet know
LAST_US: Final = 253_402_300_800 * _SECOND_US - 1  # 9999-12-31


def iso_microseconds(text: Text, spans: Spans) -> tuple[Positions, Mask]:
    """``YYYY-MM-DDTHH:MM:SS[.f…](Z|±hh:mm)``; digits beyond the sixth of the fraction are cut off."""
    usual = text.windows(spans.start, _USUAL_BYTES)
    if (spans.length == _USUAL_BYTES).all() and bool(_shaped(usual, _USUAL_SHAPE).all()):
        return _usual_microseconds(usual)
    stamp = text.windows(spans.start, ISO_MAX_BYTES)
    digits = stamp.astype(np.int64) - ord("0")
    zulu = text.octets[np.maximum(spans.end, 1) - 1] == ord("Z")
    both = ~zulu & (text.octets[np.maximum(spans.end - 7, 0)] == ord("Z"))  # Z+00:00, as Heroku's docs have it
    fraction = spans.length - 19 - np.where(zulu, 1, 6) - both
    valid = _shaped(stamp, b"????-??-??T??:??:??") & (fraction >= 0) & (fraction <= 10) & (fraction != 1)
    valid &= (fraction == 0) | (stamp[:, 19] == ord("."))
    numbers = [_number(digits, *place) for place in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))]
    time_us, real = _civil_us(*numbers)
    fraction_us, decimal = _fraction_us(digits, fraction)
    offset_us, zoned = _offset_us(text, spans.end - 6, b":")
    zoned |= zulu
    utc_us = time_us + fraction_us - np.where(zulu, 0, offset_us)
    return utc_us, valid & real & decimal & zoned & (utc_us >= _FIRST_US) & (utc_us <= LAST_US)


def _usual_microseconds(stamp: NDArray[np.uint8]) -> tuple[Positions, Mask]:
    """Stamps that all have six digits of fraction and +00:00, as Logplex writes them."""
    digits = stamp[:, _USUAL_DIGITS] - np.uint8(ord("0"))
    year, month, day, hour, minute, second, fraction = (digits.astype(np.float64) @ _USUAL_WEIGHTS).astype(np.int64).T
    time_us, real = _civil_us(year, month, day, hour, minute, second)
    return time_us + fraction, real & (digits <= 9).all(axis=1)


def clf_microseconds(text: Text, start: Positions) -> tuple[Positions, Mask]:
    """``dd/Mon/yyyy:HH:MM:SS ±hhmm``, the form of nginx' and Apache's access lines, at each position."""
    stamp = text.windows(start, CLF_BYTES)
    digits = stamp.astype(np.int64) - ord("0")
    month = _month(stamp[:, 3:6])
    numbers = [_number(digits, *place) for place in ((7, 11), (0, 2), (12, 14), (15, 17), (18, 20))]
    time_us, real = _civil_us(numbers[0], month, *numbers[1:])
    offset_us, zoned = _offset_us(text, start + 21, b"")
    utc_us = time_us - offset_us
    valid = _shaped(stamp, b"??/???/????:??:??:?? ") & real & zoned
    return utc_us, valid & (utc_us >= _FIRST_US) & (utc_us <= LAST_US)


def _weights() -> NDArray[np.float64]:
    """What each digit of a usual stamp adds to which field: exact in doubles, and a product is the fastest sum."""
    weights = np.zeros((sum(_USUAL_FIELDS), len(_USUAL_FIELDS)))
    place = 0
    for field, digits in enumerate(_USUAL_FIELDS):
        weights[place : place + digits, field] = 10.0 ** np.arange(digits - 1, -1, -1)
        place += digits
    return weights


_USUAL_WEIGHTS: Final = _weights()


def _shaped(stamp: NDArray[np.uint8], shape: bytes) -> Mask:
    fixed = [place for place, octet in enumerate(shape) if octet != ord("?")]
    shaped: Mask = (stamp[:, fixed] == np.frombuffer(shape, np.uint8)[fixed]).all(axis=1)
    return shaped


def _number(digits: NDArray[np.int64], start: int, end: int) -> Positions:
    """The decimal number in some columns; negative where a column is no digit."""
    columns = digits[:, start:end]
    valid = ((columns >= 0) & (columns <= 9)).all(axis=1)
    return np.where(valid, columns @ (10 ** np.arange(end - start - 1, -1, -1)), -1)


def _civil_us(
    year: Positions, month: Positions, day: Positions, hour: Positions, minute: Positions, second: Positions
) -> tuple[Positions, Mask]:
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour >= 0) & (hour <= 23)
    valid &= (minute >= 0) & (minute <= 59) & (second >= 0) & (second <= 59)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (np.where(valid, day, 1) - 1)
    valid &= days.astype("datetime64[M]") == months
    seconds = days.astype(np.int64) * 86_400 + hour * 3_600 + minute * 60 + second
    return seconds * _SECOND_US, valid


def _fraction_us(digits: NDArray[np.int64], length: Positions) -> tuple[Positions, Mask]:
    """The fraction behind the dot at column 19, ``length`` bytes with the dot."""
    value = np.zeros(len(length), dtype=np.int64)
    valid = np.ones(len(length), dtype=np.bool_)
    for place in range(9):
        inside = place + 1 < length
        digit = digits[:, 20 + place]
        valid &= ~inside | ((digit >= 0) & (digit <= 9))
        if place < 6:
            value += np.where(inside, digit, 0) * 10 ** (5 - place)
    return value, valid


def _offset_us(text: Text, at: Positions, colon: bytes) -> tuple[Positions, Mask]:
    zone = text.windows(np.maximum(at, 0), 6)
    digits = zone.astype(np.int64) - ord("0")
    hours, minutes = _number(digits, 1, 3), _number(digits, 3 + len(colon), 5 + len(colon))
    valid = ((zone[:, 0] == ord("+")) | (zone[:, 0] == ord("-"))) & (hours >= 0) & (minutes >= 0)
    valid &= (hours <= 23) & (minutes <= 59)
    if colon:
        valid &= zone[:, 3] == colon[0]
    offset = (hours * 60 + minutes) * 60 * _SECOND_US
    return np.where(zone[:, 0] == ord("-"), -offset, offset), valid


def _month(letters: NDArray[np.uint8]) -> Positions:
    """1 to 12 by the English abbreviation, 0 for anything else."""
    month = np.zeros(len(letters), dtype=np.int64)
    for number in range(12):
        name = np.frombuffer(_MONTHS[number * 3 : number * 3 + 3], np.uint8)
        month[(letters == name).all(axis=1)] = number + 1
    return month
