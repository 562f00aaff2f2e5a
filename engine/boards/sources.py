"""grafana/source/*.yaml to dashboards, or every mistake in them at once.

`$target` in a query stands for what selects the chosen jobs and instances. Neighbours: `check` judges the
queries, `grafana` writes what comes out; the shape is schemas/dashboard.schema.json.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode, YamlProblems, parse_document, plain
from engine.boards.check import Checker
from engine.boards.model import Dashboard, Panel, Row, Target, Variable
from engine.boards.promql import Query
from engine.ruleset.schema import check_shape

TARGET: Final = 'job=~"$job", instance=~"$instance"'
_LEGEND: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NOT_LABELS: Final = {"Value"}


def read_source(path: Path, kind: str, checker: Checker) -> MapNode | None:
    """A file whose shape is right, or None; its mistakes are reported."""
    try:
        root = parse_document(path.read_text("utf-8"), str(path))
    except YamlProblems as problems:
        checker.report.add_yaml(problems)
        return None
    bad = check_shape(root, kind, checker.report)
    return root if isinstance(root, MapNode) and not bad else None


def read_dashboard(path: Path, checker: Checker) -> Dashboard | None:
    """The dashboard of one file, or None when it has a mistake that is not in a query."""
    root = read_source(path, "Dashboard", checker)
    if root is None:
        return None
    text: Any = plain(root)
    checker.metric(root.values["jobs"], text["jobs"])
    return Dashboard(
        uid=text["uid"],
        title=text["title"],
        description=text["description"],
        jobs=text["jobs"],
        variables=tuple(_variable(node, checker) for node in _items(root, "variables")),
        rows=tuple(_row(node, checker) for node in _items(root, "rows")),
    )


def _items(node: MapNode, key: str) -> list[MapNode]:
    found = node.values.get(key)
    return [each for each in found.items if isinstance(each, MapNode)] if isinstance(found, ListNode) else []


def _variable(node: MapNode, checker: Checker) -> Variable:
    text: Any = plain(node)
    label = text.get("of", text["name"])
    selector = text["values"].replace("$target", TARGET)
    query = checker.query(node.values["values"], selector)
    if query is not None:
        checker.shows(node.values.get("of", node.values["name"]), query, [label])
    return Variable(text["name"], text["label"], selector, label)


def _row(node: MapNode, checker: Checker) -> Row:
    title = node.values["title"]
    assert isinstance(title, ScalarNode)
    return Row(title.text, tuple(_panel(each, checker) for each in _items(node, "panels")))


def _panel(node: MapNode, checker: Checker) -> Panel:
    text: Any = plain(node)
    targets = []
    for each in _items(node, "queries"):
        target, query = _target(each, checker)
        targets.append(target)
        for key, labels in (
            ("columns", text.get("columns", ())),
            ("choose", text.get("choose", {}).values()),
        ):
            if query is not None and key in text:
                checker.shows(
                    node.values[key], query, [label for label in labels if label not in _NOT_LABELS]
                )
    sizes = {
        key: text[key] for key in ("width", "height", "decimals", "min", "max", "stacked") if key in text
    }
    words = text.get("words")
    return Panel(
        title=text["title"],
        description=text["description"],
        type=text["type"],
        unit=text["unit"],
        targets=tuple(targets),
        thresholds=_thresholds(node.values.get("thresholds"), checker),
        words={int(value): word for value, word in words.items()} if words else None,
        columns=text.get("columns"),
        link=text.get("link", ""),
        choose=text.get("choose", {}),
        **sizes,
    )


def _target(node: MapNode, checker: Checker) -> tuple[Target, Query | None]:
    text: Any = plain(node)
    expr = " ".join(text["expr"].split()).replace("$target", TARGET)
    query = checker.query(node.values["expr"], expr)
    legend = text.get("legend", "")
    if query is not None and "legend" in node.values:
        checker.shows(node.values["legend"], query, _LEGEND.findall(legend))
    return Target(expr, legend), query


def _thresholds(node: Node | None, checker: Checker) -> tuple[tuple[float, str], ...]:
    if not isinstance(node, MapNode):
        return ()
    found: list[tuple[float, str]] = []
    for key, colour in node.values.items():
        try:
            found.append((float(key), str(plain(colour))))
        except ValueError:
            checker.report.add(node.keys[key], "wrong-value", f"`{key}` is no number", "")
    if found != sorted(found):
        checker.report.add(node, "wrong-value", "thresholds must ascend", "")
    return tuple(found)
