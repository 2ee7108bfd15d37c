"""The network: clock, address, sessions with the plant's server; it works when the machine does not."""

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

_DROPPED: Final = Template(82, Level.WARN, "eth0: %s frames dropped", (("frames", Whole(1, 12)),))
_TIME: Final = Template(
    80,
    Level.INFO,
    "clock set, offset %s ms, delay %s ms",
    (("offset", Number(0.4, 0.2, 2)), ("delay", Number(18.0, 2.0))),
)
_LEASE: Final = Template(
    81, Level.INFO, "lease of 10.4.%s.%s renewed", (("net", Whole(0, 3)), ("host", Whole(2, 250)))
)
NETWORK: Final = Grammar(
    component="network",
    member="network/syslog",
    steady=(Steady(_TIME, 12, works=False), Steady(_LEASE, 24, works=False), Steady(_DROPPED, 4)),
    runs=(
        Run(
            {
                "ask": Step(
                    Template(83, Level.INFO, "connecting to plant server, try %s", (("try", Word(("1",))),)),
                    (40, 400),
                    (("in", 0.97), ("no", 0.03)),
                ),
                "no": Step(
                    Template(
                        84, Level.WARN, "plant server did not answer in %s ms", (("ms", Whole(3000, 5000)),)
                    ),
                    (1000, 4000),
                    (("ask", 1.0),),
                ),
                "in": Step(
                    Template(85, Level.INFO, "session %s open", (("session", Hex(8)),)),
                    (5000, 90_000),
                    (("out", 1.0),),
                ),
                "out": Step(
                    Template(86, Level.INFO, "session closed, %s kB sent", (("sent", Number(420, 30, 0)),)),
                    (0, 0),
                ),
            },
            per_hour=12,
            works=False,
        ),
    ),
    startup=(
        Template(77, Level.INFO, "eth0: link up, 100 Mbit/s full duplex"),
        Template(78, Level.INFO, "address 10.4.%s.%s taken", (("net", Whole(0, 3)), ("host", Whole(2, 250)))),
        Template(79, Level.INFO, "name server answers in %s ms", (("ms", Number(3.0, 0.4)),)),
        Template(87, Level.INFO, "firewall: %s rules", (("rules", Word(("61",))),)),
    ),
    strange=(
        Template(980, Level.ERROR, "eth0: transmit queue %s timed out", (("queue", Whole(0, 3)),)),
        Template(
            981,
            Level.ERROR,
            "certificate of plant server refused: %s",
            (("why", Word(("expired", "unknown issuer"))),),
        ),
    ),
    usual_warning=_DROPPED,
    measured=(_TIME, "delay"),
    vanishing=(_LEASE,),
)
