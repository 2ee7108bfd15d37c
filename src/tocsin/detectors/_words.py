"""Numbers as people write them in explanations."""

from __future__ import annotations

import math


def amount(value: float, unit: str, detail: float) -> str:
    """A value with its unit, rounded so that differences of the size of `detail` keep two digits.

    >>> amount(93.2481, "°C", 12.1)
    '93.2 °C'
    >>> amount(1000000000.0123, "", 0.013)
    '1000000000.012'
    >>> amount(5.0, "%", 0.0)
    '5%'
    """
    text = _rounded(value, detail)
    if not unit:
        return text
    return f"{text}%" if unit == "%" else f"{text} {unit}"


def _rounded(value: float, detail: float) -> str:
    size = abs(detail) if detail else abs(value)
    if not math.isfinite(value) or abs(value) >= 1e15 or 0.0 < size < 1e-6:
        return f"{value:.4g}"
    digits = 1 if size == 0.0 else max(0, 1 - math.floor(math.log10(size)))
    if size >= 1:
        digits = max(digits, 1) if size < 100 else 0
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
