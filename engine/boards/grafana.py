"""A dashboard as Grafana's JSON: the same bytes for the same dashboard.

Pure. Facts: Grafana's dashboard JSON model, schemaVersion 41 (Grafana 11.6 and 12). The data source is chosen
when the file is imported (`__inputs`) and at the top (`$datasource`). Neighbours: `model`, `panels`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from engine.boards.model import Dashboard, Variable
from engine.boards.panels import DATASOURCE, panel_json

SCHEMA_VERSION: Final = 41
TAG: Final = "talos-operator"
_INPUT: Final = "DS_PROMETHEUS"
_WIDTH: Final = 24


def dashboard_text(dashboard: Dashboard) -> str:
    """The file, its line end included."""
    return json.dumps(_dashboard(dashboard), indent=2, ensure_ascii=False) + "\n"


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "__inputs": [
            {
                "name": _INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes the operator",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_links()],
        "templating": {"list": [_datasource(), *_targets(dashboard.jobs), *map(_query, dashboard.variables)]},
        "panels": _panels(dashboard),
    }


def _links() -> dict[str, Any]:
    """The other dashboards of this operator, with the time and the choices kept."""
    return {
        "type": "dashboards",
        "tags": [TAG],
        "title": "Talos Operator",
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _datasource() -> dict[str, Any]:
    chosen = f"${{{_INPUT}}}"
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data Source",
        "query": "prometheus",
        "current": {"text": chosen, "value": chosen, "selected": True},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }


def _targets(jobs: str) -> list[dict[str, Any]]:
    return [
        _query(Variable("job", "Job", jobs, "job")),
        _query(Variable("instance", "Instance", f'{jobs}{{job=~"$job"}}', "instance")),
    ]


def _query(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.selector}, {variable.label})"
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"{variable.name}Values"},
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        # A scrape need not give a target a namespace or a pod; job and instance are always there.
        "allValue": ".+" if variable.name in {"job", "instance"} else ".*",
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(_heading(row.title, len(panels) + 1, top))
        top += 1
        left = line = 0
        for panel in row.panels:
            if left + panel.width > _WIDTH:
                top, left, line = top + line, 0, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            panels.append(panel_json(panel, len(panels) + 1, place, dashboard.uid))
            left, line = left + panel.width, max(line, panel.height)
        top += line
    return panels


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
    return {
        "type": "row",
        "id": number,
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }
