"""grafana/custom-metrics/config.yaml to panels, with the defaults of kubebuilder's Grafana plugin.

An item is a `metric` with its `type`, or an `expr`; where kubebuilder drops an item silently, it is an error
here, with its line. Quotes in an `expr` may stand as they are or with the backslash that kubebuilder needs.
Facts: kubebuilder's plugin grafana/v1-alpha. Ours select by job and instance, because an object's own label
`namespace` is not the operator's. Neighbours: `sources` reads the frame around the panels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.base.yamlnodes import ListNode, MapNode, plain
from engine.boards.check import Checker
from engine.boards.known import Series
from engine.boards.model import Panel, Row, Target
from engine.boards.sources import TARGET, read_source
from engine.ruleset.errors import suggest

TYPES: Final = ("counter", "gauge", "histogram")
_UNITS: Final = (("second", "s"), ("duration", "s"), ("byte", "bytes"), ("ratio", "percent"))


def read_custom_metrics(path: Path, checker: Checker) -> Row | None:
    """The panels of the file, or None when its shape is wrong; every mistake is reported with its place."""
    root = read_source(path, "CustomMetrics", checker)
    if root is None:
        return None
    items = root.values["customMetrics"]
    nodes = items.items if isinstance(items, ListNode) else ()
    panels = [_panel(node, checker) for node in nodes if isinstance(node, MapNode)]
    return Row("Custom metrics", tuple(panel for panel in panels if panel is not None))


def _panel(node: MapNode, checker: Checker) -> Panel | None:
    item: Any = plain(node)
    kind = str(item.get("type") or "").lower()
    if "type" in item and kind not in TYPES:
        message = f"`{item['type']}` is no type of a metric"
        checker.report.add(
            node.values["type"], "wrong-value", message, suggest(kind, TYPES, listing="it is one of")
        )
        return None
    if not item.get("expr") and not (item.get("metric") and kind):
        message = "an item needs `expr`, or `metric` and `type`"
        checker.report.add(node, "missing-key", message, "kubebuilder would drop it without a word")
        return None
    series = None
    if item.get("metric"):
        series = checker.metric(node.values["metric"], item["metric"])
        if series is None:
            return None
        if kind and kind != series.type:
            hint = f"write type: {series.type}"
            checker.report.add(
                node.values["type"], "wrong-value", f"`{item['metric']}` is a {series.type}", hint
            )
            return None
    expr = _expr(item, series)
    if checker.query(node.values["expr" if item.get("expr") else "metric"], expr) is None:
        return None
    return _drawn(item, expr, series)


def _expr(item: Any, series: Series | None) -> str:
    if item.get("expr"):
        return " ".join(str(item["expr"]).replace('\\"', '"').split()).replace("$target", TARGET)
    assert series is not None
    selected = f"{series.name}{{{TARGET}}}"
    if series.type == "counter":
        return f"sum(rate({selected}[$__rate_interval])) by (instance, pod)"
    if series.type == "histogram":
        return f"histogram_quantile(0.90, sum by(instance, le) (rate({selected}[$__rate_interval])))"
    return selected


def _drawn(item: Any, expr: str, series: Series | None) -> Panel:
    name = item.get("metric") or expr
    kind = item.get("type") or (series.type if series is not None else "")
    facts = series is not None and name.endswith("_info")
    labels = sorted(series.labels) if series is not None else []
    return Panel(
        title=f"{name} ({kind.lower()})" if kind else name,
        description=series.help if series is not None else f"What the query {expr} answers",
        type="table" if facts else "timeseries",
        unit=item.get("unit") or _unit(name),
        targets=(Target(expr),),
        width=24,
        columns={label: label for label in labels} if facts else None,
    )


def _unit(name: str) -> str:
    return next((unit for word, unit in _UNITS if word in name.lower()), "none")
