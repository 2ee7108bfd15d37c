"""The door: opens and closes, is held open, and is sometimes blocked."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.grammar import Grammar, Level, Number, Run, Steady, Step, Template, Whole, Word

_FORCED: Final = Template(
    64, Level.WARN, "closing took %s ms, obstacle %s", (("ms", Whole(2600, 4000)), ("at", Whole(1, 9)))
)
_CHECKED: Final = Template(66, Level.INFO, "light curtain checked, %s beams", (("beams", Whole(30, 32)),))
_CLOSED: Final = Template(
    63,
    Level.INFO,
    "CLOSING -> CLOSED after %s ms, motor %s A",
    (("ms", Number(1900, 60, 0)), ("current", Number(2.1, 0.1, 2))),
)
DOOR: Final = Grammar(
    component="door",
    member="door/door.log",
    steady=(Steady(_FORCED, 3), Steady(_CHECKED, 24, works=False)),
    runs=(
        Run(
            {
                "open": Step(
                    Template(
                        60, Level.INFO, "CLOSED -> OPENING by operator %s", (("operator", Whole(10, 29)),)
                    ),
                    (1500, 2200),
                    (("opened", 1.0),),
                ),
                "opened": Step(
                    Template(61, Level.INFO, "OPENING -> OPEN"),
                    (8000, 180_000),
                    (("close", 0.9), ("held", 0.1)),
                ),
                "held": Step(
                    Template(
                        65, Level.INFO, "held open, reason %s", (("reason", Word(("refill", "clean"))),)
                    ),
                    (30_000, 300_000),
                    (("close", 1.0),),
                ),
                "close": Step(Template(62, Level.INFO, "OPEN -> CLOSING"), (1700, 2300), (("closed", 1.0),)),
                "closed": Step(_CLOSED, (0, 0)),
            },
            per_hour=20,
        ),
    ),
    startup=(
        Template(55, Level.INFO, "door unit awake"),
        Template(56, Level.INFO, "lock tested in %s ms", (("ms", Number(220, 12, 0)),)),
        Template(57, Level.INFO, "end switches seen: %s", (("switches", Word(("2 of 2",))),)),
        Template(58, Level.INFO, "released to the controller"),
    ),
    strange=(
        Template(950, Level.ERROR, "lock did not engage, bolt at %s mm", (("bolt", Number(7.0, 0.8)),)),
        Template(951, Level.ERROR, "both end switches closed"),
    ),
    usual_warning=_FORCED,
    measured=(_CLOSED, "ms"),
    vanishing=(_CHECKED,),
)
