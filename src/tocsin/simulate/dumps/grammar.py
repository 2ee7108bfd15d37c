"""What a component can say: lines with parameters, runs of lines in an order, and its words at start-up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec


class Level(StrEnum):
    """How serious a line is, as logs say it."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Parameter(Protocol):
    """Something in a line that differs from line to line."""

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        """A value at a time; a number lies `shift` deviations off."""
        ...


class Number(msgspec.Struct, frozen=True):
    """Normal around `mean`."""

    mean: float
    deviation: float
    decimals: int = 1

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        return f"{self.mean + (shift + rng.gauss(0.0, 1.0)) * self.deviation:.{self.decimals}f}"


class Whole(msgspec.Struct, frozen=True):
    """Uniform between two whole numbers, both included."""

    low: int
    high: int

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        return str(rng.randint(self.low, self.high))


class Count(msgspec.Struct, frozen=True):
    """Goes up by one every `every_s`: order numbers, cycles."""

    every_s: int

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        return str(ts_ms // (self.every_s * 1000) % 1_000_000)


class Hex(msgspec.Struct, frozen=True):
    """An address or identifier."""

    digits: int

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        return f"{rng.getrandbits(4 * self.digits):0{self.digits}x}"


class Word(msgspec.Struct, frozen=True):
    """One of some words."""

    words: tuple[str, ...]

    def draw(self, rng: random.Random, ts_ms: int, shift: float) -> str:
        return rng.choice(self.words)


class Template(msgspec.Struct, frozen=True):
    """A line: `text` with a %s for each parameter, in order. `code` is its number within the component."""

    code: int
    level: Level
    text: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    @property
    def shown(self) -> str:
        """The text for people.

        >>> Template(1, Level.INFO, "load %s %%").shown
        'load … %'
        """
        return self.text % (("…",) * self.text.count("%s"))


class Steady(msgspec.Struct, frozen=True):
    """A template that comes at random, `per_hour` on average; with `works`, the more the more is done."""

    template: Template
    per_hour: float
    works: bool = True


class Step(msgspec.Struct, frozen=True):
    """A state: its line, after how long the next comes (ms, from–to), and which, by weight; none ends it."""

    template: Template
    delay_ms: tuple[int, int]
    following: tuple[tuple[str, float], ...] = ()


class Run(msgspec.Struct, frozen=True):
    """A state machine that begins `per_hour` times an hour in its first state."""

    steps: Mapping[str, Step]
    per_hour: float
    works: bool = True

    @property
    def first(self) -> str:
        return next(iter(self.steps))


class Grammar(msgspec.Struct, frozen=True, kw_only=True):
    """All that a component says. `startup` comes in this order; `strange` never does without a fault.

    `usual_warning` is the template that a fault can make come in bursts, `measured` the one whose number
    (a parameter's name) can drift. Those of `vanishing` can cease although the component works.
    """

    component: str
    member: str
    steady: tuple[Steady, ...]
    runs: tuple[Run, ...]
    startup: tuple[Template, ...]
    strange: tuple[Template, ...]
    usual_warning: Template
    measured: tuple[Template, str]
    vanishing: tuple[Template, ...]
