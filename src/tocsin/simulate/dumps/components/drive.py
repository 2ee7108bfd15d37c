"""The drive: numbers of a motor, a belt and a brake, as its vendor writes them."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.grammar import (
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

_TURNS: Final = Template(
    42,
    Level.INFO,
    "speed=%s rpm;torque=%s Nm;temp=%s C",
    (("speed", Number(1480, 12, 0)), ("torque", Number(31.0, 1.5)), ("temp", Number(61.0, 1.2))),
)
_LAG: Final = Template(50, Level.WARN, "following error %s um", (("error", Whole(80, 140)),))
_TENSION: Final = Template(43, Level.INFO, "belt=%s N", (("belt", Number(210, 4, 0)),))
DRIVE: Final = Grammar(
    component="drive",
    member="drive/DRV.CSV",
    steady=(
        Steady(_TURNS, 300),
        Steady(_TENSION, 60),
        Steady(_LAG, 6),
        Steady(Template(44, Level.DEBUG, "bus load %s %%", (("load", Number(34, 3, 0)),)), 30, works=False),
    ),
    runs=(
        Run(
            {
                "brake": Step(Template(45, Level.INFO, "brake closed"), (2000, 60_000), (("free", 1.0),)),
                "free": Step(
                    Template(46, Level.INFO, "brake open, %s mA", (("current", Number(820, 15, 0)),)),
                    (200, 600),
                    (("turn", 0.97), ("slip", 0.03)),
                ),
                "slip": Step(
                    Template(47, Level.WARN, "slip %s deg", (("slip", Number(2.0, 0.4)),)),
                    (100, 300),
                    (("turn", 1.0),),
                ),
                "turn": Step(
                    Template(48, Level.INFO, "at speed after %s ms", (("ms", Number(640, 25, 0)),)), (0, 0)
                ),
            },
            per_hour=25,
        ),
    ),
    startup=(
        Template(40, Level.INFO, "power stage on"),
        Template(41, Level.INFO, "encoder found, offset %s", (("offset", Whole(100, 4000)),)),
        Template(39, Level.INFO, "parameters read, crc %s", (("crc", Hex(4)),)),
        Template(38, Level.INFO, "regulator closed"),
    ),
    strange=(
        Template(
            930, Level.ERROR, "F%s overcurrent %s A", (("fault", Whole(30, 34)), ("current", Number(48, 3)))
        ),
        Template(931, Level.ERROR, "encoder signal lost on track %s", (("track", Word(("A", "B"))),)),
    ),
    usual_warning=_LAG,
    measured=(_TURNS, "temp"),
    vanishing=(_TENSION,),
)
