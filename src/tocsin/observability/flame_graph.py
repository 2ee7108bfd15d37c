"""A trace as a flame graph: an SVG for light and dark pages that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from tocsin.observability.spans import Step, Trace
from tocsin.visible import visible

_WIDTH: Final = 900
_EDGE: Final = 16
_BAR: Final = 26
_LINE: Final = 20
_TOP: Final = 62
_LETTER: Final = 6.9
_NUMBER: Final = 15.0
_NARROWEST: Final = 2.0
_NO_CHARACTERS: Final = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
_READ_AS: Final = 'role="img" aria-labelledby="t d" font-family="system-ui, sans-serif"'
_STYLE: Final = """
    .back { fill: #fff; stroke: #e3e0d8; } .ink { fill: #1c1b1a; } .soft { fill: #5d5a55; } .title { font-size: 16px; font-weight: 650; } text { font-size: 13px; } .number { text-anchor: end; }
    .bar { fill: #dfe7ea; stroke: #22474f; } .deep { fill: #fdeee6; stroke: #b93a0b; } .failed { fill: #b93a0b; } .grid { stroke: #e3e0d8; }
    @media (prefers-color-scheme: dark) {
      .back { fill: #1d1f22; stroke: #2f3237; } .ink { fill: #ecebe8; } .soft { fill: #a9a7a2; } .bar { fill: #26363b; stroke: #9fd0da; } .deep { fill: #33211a; stroke: #f08a5d; } .failed { fill: #f08a5d; } .grid { stroke: #2f3237; }
    }
"""  # noqa: E501 - what a browser reads


def flame_graph(trace: Trace) -> str:
    """Time goes to the right, what a span calls lies below it; underneath, the numbers of each span."""
    rows = 1 + max(step.depth for step in trace.steps)
    key_top = _TOP + rows * _BAR + 34
    height = key_top + len(trace.steps) * _LINE + 10
    title = _shown(f"{trace.title}, {milliseconds(trace.root.took_us)}")
    told = "; ".join(
        f"{step.number} {step.span.name} from {milliseconds(trace.start_us(step))} "
        f"for {milliseconds(step.span.took_us)}"
        for step in trace.steps
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_READ_AS}>',
        f'  <title id="t">{title}</title>',
        f'  <desc id="d">{_shown(told)}</desc>',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="back" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'  <text class="ink title" x="{_EDGE}" y="30">{title}</text>',
        *_axis(trace, key_top - 24),
        *(part for step in trace.steps for part in _bar(trace, step)),
        *(part for step in trace.steps for part in _key(trace, step, key_top)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def milliseconds(us: int) -> str:
    """A duration as it stands in tables.

    >>> milliseconds(12_345), milliseconds(80)
    ('12.35 ms', '0.08 ms')
    """
    return f"{us / 1000:.2f} ms"


def _shown(text: str) -> str:
    """As XML takes it, which has no place for some characters at all."""
    return escape(visible(text).translate(_NO_CHARACTERS))


def _axis(trace: Trace, bottom: int) -> Iterator[str]:
    for quarter in range(5):
        x = _EDGE + (_WIDTH - 2 * _EDGE) * quarter / 4
        anchor = ("start", "middle", "middle", "middle", "end")[quarter]
        yield f'  <path class="grid" d="M{x:g},{_TOP - 8} V{bottom}"/>'
        yield (
            f'  <text class="soft" x="{x:g}" y="{_TOP - 13}" text-anchor="{anchor}">'
            f"{milliseconds(trace.root.took_us * quarter // 4)}</text>"
        )


def _bar(trace: Trace, step: Step) -> Iterator[str]:
    whole_us = max(1, trace.root.took_us)
    scale = (_WIDTH - 2 * _EDGE) / whole_us
    x = _EDGE + trace.start_us(step) * scale
    width = max(_NARROWEST, step.span.took_us * scale)
    y = _TOP + step.depth * _BAR
    kind = "failed" if step.span.failed else "deep" if step.depth else "bar"
    yield (
        f'  <rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR - 4}" rx="3">'
        f"<title>{_shown(step.span.name)}, {milliseconds(step.span.took_us)}</title></rect>"
    )
    text = f"{step.number} {step.span.name}"
    if width < len(text) * _LETTER + 8:
        text = str(step.number)
    if width >= max(_NUMBER, len(text) * _LETTER + 6):
        yield f'  <text class="ink" x="{x + 5:.1f}" y="{y + 15}">{_shown(text)}</text>'


def _key(trace: Trace, step: Step, top: int) -> Iterator[str]:
    y = top + step.number * _LINE - 10
    ends = {
        320 + 200: milliseconds(trace.start_us(step)),
        320 + 330: milliseconds(step.span.took_us),
        320 + 460: milliseconds(step.own_us),
    }
    if step.number == 1:
        heads = dict(zip(ends, ("from", "took", "of its own"), strict=True))
        yield from (
            f'  <text class="soft number" x="{x}" y="{y - 18}">{text}</text>' for x, text in heads.items()
        )
    indent = _EDGE + 26 + 14 * step.depth
    yield f'  <text class="soft number" x="{_EDGE + 18}" y="{y}">{step.number}</text>'
    yield f'  <text class="ink" x="{indent}" y="{y}">{_shown(step.span.name)}</text>'
    yield from (f'  <text class="ink number" x="{x}" y="{y}">{text}</text>' for x, text in ends.items())
