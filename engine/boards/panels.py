"""One panel as Grafana's JSON, by its type.

Pure. Facts: Grafana's panel models of stat, timeseries, gauge, table and state-timeline. Neighbour: `grafana`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.boards.model import Panel, PanelType, Target

DATASOURCE: Final = {"type": "prometheus", "uid": "$datasource"}
_REDUCED: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_BAD, _GOOD, _PLAIN = "red", "green", "blue"


def panel_json(panel: Panel, number: int, place: Mapping[str, int], here: str) -> dict[str, Any]:
    """The panel with its id and its place in the grid; `here` is the uid of its dashboard."""
    written = {
        "type": panel.type,
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": _defaults(panel, here), "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, each, order) for order, each in enumerate(panel.targets)],
    }
    if panel.link:
        written["links"] = [{"title": "More", "url": _address(panel.link), "targetBlank": False}]
    if panel.columns is not None:
        written["transformations"] = [_columns(panel.columns)]
    return written


def _options(panel: Panel) -> dict[str, Any]:
    found = dict(_OPTIONS[panel.type])
    if panel.type == "stat" and panel.thresholds:
        found["colorMode"] = "background"
    return found


def _address(uid: str) -> str:
    """A dashboard with the time and the choices of this one."""
    return f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"


def _target(panel: Panel, target: Target, order: int) -> dict[str, Any]:
    # A number and a table show what is now; a line shows how it came to it.
    now = panel.type in {"stat", "gauge", "table"}
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": target.expr,
        "format": "table" if panel.type == "table" else "time_series",
        "instant": now,
        "legendFormat": target.legend or "__auto",
        "range": not now,
        "refId": chr(ord("A") + order),
    }


def _defaults(panel: Panel, here: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.type == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "mappings": [_mapping(panel.words)] if panel.words else [],
    }
    limits = {"decimals": panel.decimals, "min": panel.min, "max": panel.max}
    found |= {key: value for key, value in limits.items() if value is not None}
    if panel.choose:
        found["links"] = [_choice(here, variable, label) for variable, label in panel.choose.items()]
    if panel.type == "timeseries":
        found["custom"] = _lines(panel)
    elif panel.type == "table":
        found["custom"] = {"align": "auto", "cellOptions": {"type": "color-text"}, "filterable": True}
    elif panel.type == "state-timeline":
        found["custom"] = {"fillOpacity": 70, "lineWidth": 0}
    return found


def _choice(here: str, variable: str, label: str) -> dict[str, Any]:
    """The same dashboard with one value chosen."""
    url = f"/d/{here}?${{__url_time_range}}&var-{variable}=${{__field.labels.{label}}}"
    return {"title": f"Only this {variable}", "url": url, "targetBlank": False}


def _steps(panel: Panel) -> list[dict[str, Any]]:
    """Grafana's first step has no value: it holds for everything below the second."""
    given = panel.thresholds or ((0.0, _PLAIN),)
    return [
        {"color": colour, "value": value if order else None} for order, (value, colour) in enumerate(given)
    ]


def _mapping(words: Mapping[int, str]) -> dict[str, Any]:
    colours = {0: _BAD, 1: _GOOD}
    options = {
        str(value): {"text": word, "color": colours.get(value, _PLAIN), "index": order}
        for order, (value, word) in enumerate(words.items())
    }
    return {"type": "value", "options": options}


def _lines(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 20 if panel.stacked else 5,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
    }


def _columns(columns: Mapping[str, str]) -> dict[str, Any]:
    """Only the columns that are named, in their order."""
    return {
        "id": "organize",
        "options": {
            "includeByName": dict.fromkeys(columns, True),
            "indexByName": {label: order for order, label in enumerate(columns)},
            "renameByName": dict(columns),
        },
    }


_OPTIONS: Final[Mapping[PanelType, Mapping[str, Any]]] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _REDUCED,
        "textMode": "auto",
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "gauge": {
        "orientation": "auto",
        "reduceOptions": _REDUCED,
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
    },
    "table": {
        "cellHeight": "sm",
        "showHeader": True,
        "footer": {"show": False, "reducer": ["sum"], "fields": ""},
    },
    "state-timeline": {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
