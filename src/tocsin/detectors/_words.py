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


def _with_unit(text: str, unit: str) -> str:
    if not unit:
        return text
    return f"{text}%" if unit == "%" else f"{text} {unit}"


def _rounded(value: float, detail: float) -> str:
    if not math.isfinite(value) or abs(value) >= 1e15 or not 1e-9 < detail < 1e15:
        return f"{value:.4g}"
    digits = 1 - math.floor(math.log10(detail))
    text = f"{value:.{min(max(digits, 0 if detail >= 100 else 1), 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
