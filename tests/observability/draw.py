"""A dashboard with real answers as one SVG: the shape of its data, not the look of Grafana.

Pure: panels and what Prometheus answered go in, a picture comes out. Neighbour: `pictures` asks.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

COLUMN, LINE, GAP = 50, 34, 8
LENGTHS = ((31_557_600, "years"), (86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))
LETTER = 6.4
"""About as wide is a letter of the usual size."""
COLOURS = ("#3274d9", "#e0752d", "#56a64b", "#a352cc", "#e02f44", "#ffb357", "#8ab8ff", "#96d98d")
NAMED = {"green": "#56a64b", "red": "#e02f44", "orange": "#ff9830", "blue": "#3274d9"}


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, its labels, and (time, value) in order of time."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


def picture(
    board: Mapping[str, Any], answers: Mapping[int, Sequence[Line]], span: tuple[float, float]
) -> str:
    """The SVG of a dashboard; `answers` by the id of the panel, `span` the time from and to."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * LINE + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{24 * COLUMN}" height="{height}" fill="#f4f5f5"/>',
    ]
    for panel in board["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN + GAP / 2, place["y"] * LINE + GAP / 2
        width, tall = place["w"] * COLUMN - GAP, place["h"] * LINE - GAP
        parts.append(f'<g transform="translate({x:g} {y:g})">')
        if panel["type"] == "row":
            parts.append(_text(4, 18, panel["title"], size=15, weight="bold"))
        else:
            parts.append(f'<rect width="{width:g}" height="{tall:g}" rx="3" fill="#fff" stroke="#d8d9da"/>')
            parts.append(_text(8, 16, _fit(panel["title"], width - 12, LETTER), weight="bold"))
            parts += _panel(panel, answers.get(panel["id"], ()), (width, tall), span)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Any, lines: Sequence[Line], size: tuple[float, float], span: tuple[float, float]
) -> list[str]:
    if not lines:
        return [_text(8, 40, "no data")]
    kind = panel["type"]
    if kind in {"stat", "gauge"}:
        return _numbers(panel, lines, size)
    if kind == "table":
        return _rows(panel, lines, size)
    return _bands(panel, lines, size, span) if kind == "state-timeline" else _graph(panel, lines, size, span)


def _numbers(panel: Any, lines: Sequence[Line], size: tuple[float, float]) -> list[str]:
    width, tall = size
    each = width / len(lines)
    found = []
    for order, line in enumerate(lines):
        value = line.points[-1][1]
        middle = each * (order + 0.5)
        shown = _shown(value, panel)
        found.append(
            _text(middle, tall / 2 + 18, shown, size=26, anchor="middle", fill=_colour(value, panel))
        )
        if len(lines) > 1:
            # In two rows, so that neighbours have room.
            row = tall - (24 if order % 2 else 10)
            room = 2 * min(each, middle, width - middle) - 8
            found.append(_text(middle, row, _fit(line.name, room), anchor="middle"))
    return found


def _rows(panel: Any, lines: Sequence[Line], size: tuple[float, float]) -> list[str]:
    width, tall = size
    titles = panel["transformations"][0]["options"]["renameByName"]
    used = [label for label in titles if label == "Value" or any(line.labels.get(label) for line in lines)]
    step = width / len(used)
    found = [_text(8 + step * at, 36, titles[label], fill="#777") for at, label in enumerate(used)]
    for row, line in enumerate(lines[: int((tall - 40) / 16)]):
        for at, label in enumerate(used):
            value = line.points[-1][1]
            text = _shown(value, panel) if label == "Value" else line.labels.get(label, "")
            fill = _colour(value, panel) if label == "Value" else "#222"
            found.append(_text(8 + step * at, 54 + 16 * row, _fit(text, step - 8), fill=fill))
    return found


def _bands(
    panel: Any, lines: Sequence[Line], size: tuple[float, float], span: tuple[float, float]
) -> list[str]:
    width, tall = size
    each, gap = (tall - 34) / len(lines), _gap(lines)
    found = []
    for row, line in enumerate(lines):
        top = 26 + each * row
        for (time, value), (after, _) in zip(line.points, line.points[1:], strict=False):
            left, right = _at(time, span, width), _at(min(after, time + gap), span, width)
            colour = _colour(value, panel)
            found.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left + 0.5:.1f}" height="{each - 4:.1f}" fill="{colour}"/>'
            )
        found.append(_text(14, top + each / 2 + 4, line.name, fill="#111"))
    return found


def _graph(
    panel: Any, lines: Sequence[Line], size: tuple[float, float], span: tuple[float, float]
) -> list[str]:
    width, tall = size
    values = [value for line in lines for _, value in line.points]
    low, high = min(0.0, *values), max(values) or 1.0
    bottom = tall - 30
    found = [
        f'<line x1="8" x2="{width - 8:g}" y1="{bottom:g}" y2="{bottom:g}" stroke="#d8d9da"/>',
        _text(8, 32, _shown(high, panel), fill="#777"),
    ]
    gap = _gap(lines)
    for order, line in enumerate(lines):
        path, before = [], float("-inf")
        for time, value in line.points:
            y = bottom - (value - low) / ((high - low) or 1) * (bottom - 42)
            path.append(f"{'L' if time - before <= gap else 'M'}{_at(time, span, width):.1f},{y:.1f}")
            before = time
        colour = COLOURS[order % len(COLOURS)]
        found.append(
            f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linecap="square"/>'
        )
    return [*found, *_legend(panel, lines, width, tall)]


def _gap(lines: Sequence[Line]) -> float:
    """A longer time without a value is a hole in the line."""
    steps = [after - at for line in lines for (at, _), (after, _) in itertools.pairwise(line.points)]
    return 1.5 * min(steps, default=0.0)


def _legend(panel: Any, lines: Sequence[Line], width: float, tall: float) -> list[str]:
    """The names of the lines, the highest first, as many as there is room for."""
    found, shown = [], 8.0
    ranked = sorted(
        enumerate(lines), key=lambda each: -max((value for _, value in each[1].points), default=0.0)
    )
    for rank, (order, line) in enumerate(ranked):
        name = re.sub(r"\s+", " ", line.name).strip() or panel["title"]
        wide = LETTER * len(name)
        if shown + wide > width - (8 if rank == len(lines) - 1 else 40):
            found.append(_text(shown, tall - 10, f"+{len(lines) - rank}", fill="#777"))
            break
        found.append(_text(shown, tall - 10, name, fill=COLOURS[order % len(COLOURS)]))
        shown += wide + 12
    return found


def _at(time: float, span: tuple[float, float], width: float) -> float:
    return 8 + (time - span[0]) / (span[1] - span[0]) * (width - 16)


def _colour(value: float, panel: Any) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    steps = [
        step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]
    ]
    return NAMED[steps[-1]["color"]]


def _shown(value: float, panel: Any) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults["mappings"]:
        word = mapping["options"].get(f"{value:g}")
        if word:
            return str(word["text"])
    unit = defaults["unit"]
    if unit == "percentunit":
        return f"{value * 100:.1f}%"
    if unit == "bytes":
        return f"{value / 2**20:.1f} MiB" if value >= 2**20 else f"{value / 1024:.1f} KiB"
    if unit == "s":
        for length, name in LENGTHS:
            if abs(value) >= length:
                return f"{value / length:.1f} {name}"
        return f"{value * 1000:.1f} ms" if value else "0 s"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + {"ops": "/s", "percent": "%"}.get(unit, "")


def _fit(text: str, width: float, letter: float = LETTER) -> str:
    """As much of a text as fits."""
    room = int(width / letter)
    return text if len(text) <= room else f"{text[: max(0, room - 1)]}…"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 11,
    weight: str = "normal",
    anchor: str = "start",
    fill: str = "#222",
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'
