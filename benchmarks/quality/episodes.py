"""A plain counter of episodes under a policy, for tuning."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


@nb.njit(cache=True, nogil=True)
def episodes(
    series: I64, ts: I64, verdict: U8, open_ms: int, open_readings: int, close_ms: int, close_readings: int
) -> I64:
    """Rows (opening row, first row, last abnormal row) of each episode; readings grouped by series."""
    found = np.empty((len(ts), 3), np.int64)
    count = 0
    first = last = -1
    abnormal = normals = 0
    is_open = False
    for i in range(len(ts)):
        if i == 0 or series[i] != series[i - 1]:
            first, is_open = -1, False
        if verdict[i] == 1:
            if first < 0:
                first, abnormal, is_open = i, 0, False
            last, normals = i, 0
            abnormal += 1
            if not is_open and abnormal >= open_readings and ts[i] - ts[first] >= open_ms:
                is_open = True
                found[count] = (i, first, i)
                count += 1
            if is_open:
                found[count - 1, 2] = i
        elif verdict[i] == 0 and first >= 0:
            normals += 1
            if normals >= close_readings and ts[i] - ts[last] >= close_ms:
                first, is_open = -1, False
    return found[:count].copy()
