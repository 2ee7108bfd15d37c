"""Names of text fields out of the texts of events."""

from __future__ import annotations

import numpy as np

from tocsin.events import Strings
from tocsin.ingest.text_fields import text_fields


def test_a_log_line_has_a_text_and_no_fields() -> None:
    """Its component and text are not fields of the device, which may have parameters of these names."""
    lines = Strings.of(['{"component":"door","text":"closed"}'] * 100)
    assert text_fields(lines, np.zeros(100, np.int32)).tolist() == []
    one = Strings.of(['{"component":"door","text":"closed"}'])
    assert text_fields(one, np.array([2], np.int32)).tolist() == ["component", "text"]
