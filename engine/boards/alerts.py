"""alerting/source.yaml to what Prometheus reads: a rule file, and the same as a PrometheusRule.

`$target` in a query stands for what selects this operator's own series. An alert's address of what to do is made
from its name. Neighbours: `check` judges the queries, `generate` writes; the shape is schemas/alerting.schema.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.base.yamlnodes import ListNode, MapNode, plain
from engine.base.yamltext import dump
from engine.boards.check import Checker
from engine.boards.sources import read_source

NAME: Final = "talos-operator"
_SHOWN: Final = re.compile(r"\$labels\.(\w+)")
_HEAD: Final = "# Made by `make dashboards` from alerting/source.yaml: edit that, not this file.\n"


@dataclass(frozen=True, slots=True)
class Alerting:
    """The groups as Prometheus reads them, rules in their order."""

    groups: tuple[Mapping[str, Any], ...]

    def rules(self) -> Iterator[Mapping[str, Any]]:
        """Every rule of every group."""
        for group in self.groups:
            yield from group["rules"]


def read_alerts(path: Path, checker: Checker) -> Alerting | None:
    """The rules of the file, or None when its shape is wrong; mistakes in queries are reported too."""
    root = read_source(path, "Alerting", checker)
    if root is None:
        return None
    text: Any = plain(root)
    groups = root.values["groups"]
    assert isinstance(groups, ListNode)
    found = []
    for node in groups.items:
        assert isinstance(node, MapNode)
        rules = node.values["rules"]
        assert isinstance(rules, ListNode)
        members = [_rule(each, text, checker) for each in rules.items if isinstance(each, MapNode)]
        found.append({"name": plain(node.values["name"]), "rules": members})
    return Alerting(tuple(found))


def written_alerts(alerting: Alerting) -> Mapping[str, str]:
    """Path -> text of both forms."""
    groups = {"groups": list(alerting.groups)}
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
        "spec": groups,
    }
    return {
        f"alerting/{NAME}.rules.yaml": _HEAD + dump(groups),
        "alerting/prometheusrule.yaml": _HEAD + dump(manifest),
    }


def _rule(node: MapNode, source: Any, checker: Checker) -> Mapping[str, Any]:
    text: Any = plain(node)
    expr = " ".join(text["expr"].split()).replace("$target", source["target"])
    query = checker.query(node.values["expr"], expr)
    if "record" in text:
        if query is not None:
            checker.recorded[text["record"]] = query.labels
        return {"record": text["record"], "expr": expr}
    for key in ("summary", "description"):
        if query is not None:
            checker.shows(node.values[key], query, _SHOWN.findall(text[key]))
    name = text["alert"]
    return {
        "alert": name,
        "expr": expr,
        "for": text["for"],
        "labels": {"severity": text["severity"]},
        "annotations": {
            "summary": text["summary"].strip(),
            "description": " ".join(text["description"].split()),
            "runbook_url": f"{source['runbooks']}{name}.md",
        },
    }
