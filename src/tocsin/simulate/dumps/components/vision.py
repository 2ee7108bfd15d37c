"""The camera that looks at every part, and the network that judges it."""

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

_SEEN: Final = Template(
    72,
    Level.INFO,
    "image %s inspected, score %s in %s ms",
    (("image", Count(10)), ("score", Number(0.962, 0.002, 3)), ("ms", Number(41, 2.5))),
)
_DARK: Final = Template(75, Level.WARN, "exposure raised to %s us", (("exposure", Whole(900, 1400)),))
_KEPT: Final = Template(
    76,
    Level.DEBUG,
    "kept %s images, %s MB free",
    (("images", Whole(10, 60)), ("free", Number(18_000, 300, 0))),
)
VISION: Final = Grammar(
    component="vision",
    member="vision/vision.jsonl",
    steady=(Steady(_SEEN, 320), Steady(_DARK, 5), Steady(_KEPT, 30)),
    runs=(
        Run(
            {
                "reject": Step(
                    Template(
                        73,
                        Level.WARN,
                        "part %s rejected: %s",
                        (("part", Count(20)), ("why", Word(("burr", "crack", "size")))),
                    ),
                    (100, 300),
                    (("store", 1.0),),
                ),
                "store": Step(Template(74, Level.INFO, "image stored as %s", (("file", Hex(12)),)), (0, 0)),
            },
            per_hour=6,
        ),
    ),
    startup=(
        Template(68, Level.INFO, "camera %s opened", (("serial", Word(("CX-2210",))),)),
        Template(69, Level.INFO, "network loaded, %s layers", (("layers", Word(("48",))),)),
        Template(70, Level.INFO, "light on, %s lx", (("light", Number(1250, 20, 0)),)),
        Template(71, Level.INFO, "reference image matched, %s px off", (("offset", Number(0.6, 0.1, 2)),)),
    ),
    strange=(
        Template(
            970, Level.ERROR, "frame %s torn after row %s", (("frame", Count(10)), ("row", Whole(100, 1900)))
        ),
        Template(971, Level.ERROR, "inference returned no number for %s boxes", (("boxes", Whole(1, 5)),)),
    ),
    usual_warning=_DARK,
    measured=(_SEEN, "score"),
    vanishing=(_KEPT,),
)
