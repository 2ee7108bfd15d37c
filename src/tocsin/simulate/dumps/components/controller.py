"""The controller: loads, clamps, presses; a state machine that goes round some hundred times an hour."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.grammar import (
    Count,
    Grammar,
    Hex,
    Level,
    Number,
    Run,
    Steady,
    Step,
    Template,
    Whole,
    Word,
)

_PART: Final = ("part", Count(20))

_CYCLE_DONE: Final = Template(
    14,
    Level.INFO,
    "part %s done in %s ms, force %s kN",
    (_PART, ("ms", Number(8200, 180, 0)), ("force", Number(42.0, 0.8))),
)
_SLOW: Final = Template(20, Level.WARN, "waited %s ms for the store", (("ms", Whole(400, 2500)),))
_SAVED: Final = Template(22, Level.INFO, "saved %s rows to the store", (("rows", Whole(20, 60)),))
_HEARTBEAT: Final = Template(1, Level.DEBUG, "heartbeat %s", (("beat", Count(30)),))
CONTROLLER: Final = Grammar(
    component="controller",
    member="controller/controller.log",
    steady=(
        Steady(_HEARTBEAT, 40, works=False),
        Steady(_SLOW, 8),
        Steady(
            Template(
                21,
                Level.INFO,
                "recipe %s version %s loaded",
                (("recipe", Word(("A-100", "A-120", "B-7"))), ("version", Whole(3, 5))),
            ),
            3,
        ),
        Steady(_SAVED, 30),
    ),
    runs=(
        Run(
            {
                "load": Step(
                    Template(10, Level.INFO, "part %s loaded from tray %s", (_PART, ("tray", Whole(1, 8)))),
                    (600, 1200),
                    (("clamp", 1.0),),
                ),
                "clamp": Step(
                    Template(11, Level.INFO, "clamped with %s bar", (("pressure", Number(6.0, 0.1, 2)),)),
                    (800, 1500),
                    (("press", 0.98), ("again", 0.02)),
                ),
                "again": Step(
                    Template(12, Level.WARN, "clamp slipped, trying again"), (500, 900), (("clamp", 1.0),)
                ),
                "press": Step(
                    Template(13, Level.INFO, "pressing at %s kN", (("force", Number(42.0, 0.8)),)),
                    (3000, 4500),
                    (("done", 1.0),),
                ),
                "done": Step(_CYCLE_DONE, (0, 0)),
            },
            per_hour=100,
        ),
    ),
    startup=(
        Template(2, Level.INFO, "controller starts, build %s", (("build", Word(("4.2.1",))),)),
        Template(3, Level.INFO, "store opened, %s rows", (("rows", Count(600)),)),
        Template(4, Level.INFO, "safety circuit closed"),
        Template(5, Level.INFO, "axes homed in %s ms", (("ms", Number(3100, 120, 0)),)),
        Template(6, Level.INFO, "ready"),
    ),
    strange=(
        Template(
            90,
            Level.ERROR,
            "axis %s lost its reference at %s mm",
            (("axis", Word(("X", "Z"))), ("position", Number(312.0, 40.0))),
        ),
        Template(
            91,
            Level.ERROR,
            "checksum of recipe %s is wrong: %s",
            (("recipe", Word(("A-100", "B-7"))), ("sum", Hex(8))),
        ),
    ),
    usual_warning=_SLOW,
    measured=(_CYCLE_DONE, "force"),
    vanishing=(_SAVED, _HEARTBEAT),
)
