"""All generated files of grafana/ and alerting/, by their paths in the project.

Reads sources and rules, never writes: `__main__` does, and the tests compare. Every mistake of every source is
raised at once. Neighbours: `sources`, `custommetrics`, `alerts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.base.assets import asset
from engine.boards.alerts import read_alerts, written_alerts
from engine.boards.check import Checker
from engine.boards.custommetrics import read_custom_metrics
from engine.boards.grafana import dashboard_text
from engine.boards.known import known_series
from engine.boards.sources import read_dashboard
from engine.ruleset.catalog import load_catalog
from engine.ruleset.errors import Report
from engine.ruleset.load import load_rules
from engine.ruleset.model import RuleSet

CUSTOM: Final = "custom-metrics"
"""The source of this name is the frame for the panels of grafana/custom-metrics/config.yaml."""


def shipped_rules() -> RuleSet:
    """The rules of this project. Raises RuleErrors."""
    return load_rules((asset("rules"),), load_catalog(asset("schemas")))


def custom_dashboard(root: Path, rules: RuleSet) -> Mapping[str, str]:
    """Path -> text of the dashboard made from the custom metrics below `root`. Raises RuleErrors."""
    checker = Checker(known_series(rules), Report())
    found = _custom(root, checker)
    checker.report.raise_if_any()
    return found


def everything(root: Path, rules: RuleSet) -> Mapping[str, str]:
    """Path -> text of every generated file below `root`. Raises RuleErrors."""
    checker = Checker(known_series(rules), Report())
    found = dict(_custom(root, checker))
    for path in sorted((root / "grafana" / "source").glob("*.yaml")):
        dashboard = read_dashboard(path, checker) if path.stem != CUSTOM else None
        if dashboard is not None:
            found[f"grafana/{path.stem}.json"] = dashboard_text(dashboard)
    alerts = read_alerts(root / "alerting" / "source.yaml", checker)
    if alerts is not None:
        found.update(written_alerts(alerts))
    checker.report.raise_if_any()
    return found


def _custom(root: Path, checker: Checker) -> Mapping[str, str]:
    frame = read_dashboard(root / "grafana" / "source" / f"{CUSTOM}.yaml", checker)
    row = read_custom_metrics(root / "grafana" / CUSTOM / "config.yaml", checker)
    if frame is None or row is None:
        return {}
    rows = (*frame.rows, row) if row.panels else frame.rows
    return {f"grafana/{CUSTOM}/{CUSTOM}-dashboard.json": dashboard_text(replace(frame, rows=rows))}
