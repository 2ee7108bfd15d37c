"""Numbers as people write them in explanations."""

from __future__ import annotations

import math


def amount(value: float, unit: str, detail: float) -> str:
    """A value with its unit, rounded so that differences of the size of `detail` keep two digits.

    >>> amount(93.2481, "°C", 12.1)
    '93.2 °C'
    >>> amount(1000000000.0123, "", 0.013)
    '1000000000.012'
    >>> amount(-0.04, "%", 2.0)
    '0%'
    """
    return _with_unit(_rounded(value, abs(detail)), unit)


def exact(value: float, unit: str) -> str:
    """A value that somebody set or that repeats: as it is, with its unit.

    >>> exact(1013.25, "hPa")
    '1013.25 hPa'
    """
    return _with_unit(f"{value:.12g}", unit)


def apart(value: float, other: float) -> float:
    """How far two values are apart as `amount` writes them, so that a reader can do the sum.

    >>> amount(33.77, "", 8.73), amount(25.04, "", 8.73), apart(33.77, 25.04)
    ('33.8', '25', 8.8)
    """
    digits = _digits(abs(value - other))
    if digits is None:
        return abs(value - other)
    return round(abs(round(value, digits) - round(other, digits)), digits)


def _with_unit(text: str, unit: str) -> str:
    if not unit:
        return text
    return f"{text}%" if unit == "%" else f"{text} {unit}"


def _rounded(value: float, detail: float) -> str:
    digits = _digits(detail)
    if digits is None or not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.4g}"
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _digits(detail: float) -> int | None:
    """Decimals that show differences of the size of `detail`; None where it is too small or too large."""
    if not 1e-9 < detail < 1e15:
        return None
    return min(max(1 - math.floor(math.log10(detail)), 0 if detail >= 100 else 1), 12)
