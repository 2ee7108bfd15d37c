"""The devices a credential speaks for, decided by column."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.access.device_scope import DeviceScope
from tocsin.events import Strings

NAMES = st.text(st.sampled_from("ab-*é\0"), max_size=6)


def matches(pattern: str, name: str) -> bool:
    """What a pattern means, by the standard library's regular expressions."""
    return (
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL) is not None
    )


@settings(deadline=None)  # the first call compiles
@given(
    devices=st.lists(NAMES.filter(bool), max_size=4),
    patterns=st.lists(NAMES.filter(bool), max_size=3),
    everything=st.booleans(),
    asked=st.lists(NAMES, max_size=8),
)
def test_column_agrees_with_definition(
    devices: list[str], patterns: list[str], everything: bool, asked: list[str]
) -> None:
    """A name is covered if everything is, or if it is named, or if it fits a pattern."""
    scope = DeviceScope(devices, patterns, everything=everything)
    expected = [
        everything or name in devices or any(matches(pattern, name) for pattern in patterns) for name in asked
    ]
    assert scope.covers(Strings.of(asked)).tolist() == expected
    assert scope.covers(Strings.of(asked)).tolist() == expected


def test_one_device_is_the_whole_name() -> None:
    """A token for pump-7 covers neither pump-70 nor pump."""
    scope = DeviceScope(["pump-7"])
    assert (
        scope.covers(Strings.of(["pump-7", "pump-70", "pump", "PUMP-7", ""])).tolist() == [True] + [False] * 4
    )


def test_nothing_covers_nothing() -> None:
    """A scope without devices, patterns and everything covers no name, not even the empty one."""
    assert DeviceScope().covers(Strings.of(["", "a"])).tolist() == [False, False]


def test_pattern_that_steps_back_often_stays_fast() -> None:
    """A pattern of many stars against a long name takes steps by length, not by powers."""
    scope = DeviceScope(patterns=["*a" * 20 + "b"])
    assert not scope.covers(Strings.of(["a" * 256])).any()
