"""Bars as SVG: groups of bars with their values beside them, on a linear scale from 0. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

COLOURS: Final = ("#0f766e", "#94a3b8", "#6366f1")  # ours, then the others, in the order of the names
WIDTH: Final = 760
LEFT: Final = 215  # of labels
RIGHT: Final = 150  # of values
BAR: Final = 16
BETWEEN: Final = 14  # groups
HEAD: Final = 66


@dataclass(frozen=True, slots=True)
class Bar:
    """One server's; without a value only what is said instead of it."""

    series: int
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    bars: Sequence[Bar]


def bars(title: str, series: Sequence[str], groups: Sequence[Group]) -> str:
    """The whole document."""
    top = max((bar.value or 0 for group in groups for bar in group.bars), default=0) or 1
    height = HEAD + sum(len(it.bars) * BAR + BETWEEN for it in groups) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#1e293b" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    x = 16
    for name, colour in zip(series, COLOURS, strict=True):
        parts.append(f'<rect x="{x}" y="38" width="11" height="11" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="48">{escape(name)}</text>')
        x += 34 + 7 * len(name)
    y = HEAD
    for group in groups:
        middle = y + len(group.bars) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 12}" y="{middle:g}" text-anchor="end">{escape(group.label)}</text>')
        for bar in group.bars:
            long = (WIDTH - LEFT - RIGHT) * (bar.value or 0) / top
            if bar.value is not None:
                parts.append(
                    f'<rect x="{LEFT}" y="{y + 1}" width="{max(long, 1):.1f}" height="{BAR - 2}" rx="2" '
                    f'fill="{COLOURS[bar.series]}"/>'
                )
            parts.append(f'<text x="{LEFT + long + 6:.1f}" y="{y + BAR - 4}" font-size="11">{escape(bar.text)}</text>')
            y += BAR
        y += BETWEEN
    return "\n".join([*parts, "</svg>"]) + "\n"
