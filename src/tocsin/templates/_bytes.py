"""What kinds of bytes log lines are made of."""

from __future__ import annotations

from typing import Final

import numpy as np

SPACE, DELIMITER, DIGIT, WORD = 0, 1, 2, 3
DELIMITERS: Final = b"=:,;()[]{}<>\"'|?!`"
REPEATED: Final = b".#*+~-=<>!?:"  # of these two and more are one token
CUTTING: Final = b".#*+~-"  # of these two and more end a word


def _kinds() -> np.ndarray:
    """Control bytes count as digits: they stand for data, so no literal text ever holds one."""
    kinds = np.full(256, WORD, np.uint8)
    kinds[:32] = DIGIT
    kinds[127] = DIGIT
    kinds[ord("0") : ord("9") + 1] = DIGIT
    kinds[list(b" \t\r\n")] = SPACE
    kinds[list(DELIMITERS)] = DELIMITER
    return kinds


def _marked(members: bytes) -> np.ndarray:
    marked = np.zeros(256, np.bool_)
    marked[list(members)] = True
    return marked


KIND: Final = _kinds()
HEX_DIGITS: Final = b"0123456789abcdefABCDEF"
LETTERS: Final = bytes([*range(65, 91), *range(97, 123), *range(128, 256)])
VALUE_ENDS: Final = b" \t\r\n,;)]}\"'|>="
IS_LETTER: Final = _marked(LETTERS)
