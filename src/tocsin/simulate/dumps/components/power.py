"""The power supply: rails, battery, dips of the mains; it never sleeps."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.grammar import Grammar, Level, Number, Run, Steady, Step, Template, Whole

_RAIL: Final = Template(
    100, Level.INFO, "rail24 %s V %s A", (("volts", Number(24.05, 0.04, 2)), ("amps", Number(3.1, 0.15, 2)))
)
_DIP: Final = Template(102, Level.WARN, "dip of %s ms on L%s", (("ms", Whole(8, 40)), ("phase", Whole(1, 3))))
_BATTERY: Final = Template(
    101, Level.INFO, "battery %s %% %s C", (("charge", Number(97, 0.6)), ("temp", Number(28, 0.7)))
)
POWER: Final = Grammar(
    component="power",
    member="power/pwr.log",
    steady=(Steady(_RAIL, 120, works=False), Steady(_BATTERY, 30, works=False), Steady(_DIP, 3)),
    runs=(
        Run(
            {
                "test": Step(Template(103, Level.INFO, "relay test begins"), (300, 700), (("off", 1.0),)),
                "off": Step(
                    Template(104, Level.INFO, "relay off, %s V left", (("volts", Number(0.2, 0.05, 2)),)),
                    (300, 700),
                    (("on", 1.0),),
                ),
                "on": Step(
                    Template(105, Level.INFO, "relay on after %s ms", (("ms", Number(512, 20, 0)),)), (0, 0)
                ),
            },
            per_hour=2,
            works=False,
        ),
    ),
    startup=(
        Template(95, Level.INFO, "mains seen, %s V", (("mains", Number(231, 1.5)),)),
        Template(96, Level.INFO, "capacitors charged in %s ms", (("ms", Number(850, 25, 0)),)),
        Template(97, Level.INFO, "rail5 up"),
        Template(98, Level.INFO, "rail24 up"),
    ),
    strange=(
        Template(990, Level.ERROR, "rail5 over current, %s A", (("amps", Number(9.0, 0.5, 2)),)),
        Template(991, Level.ERROR, "fan %s does not turn", (("fan", Whole(1, 2)),)),
    ),
    usual_warning=_DIP,
    measured=(_RAIL, "volts"),
    vanishing=(_BATTERY,),
)
