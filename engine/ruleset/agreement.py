"""Whether the metric families of all files fit together: one name, one meaning.

Two kinds may share a family when type, help, labels and buckets are the same. Neighbours: `load`
calls it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.base.yamlnodes import MapNode, Node
from engine.ruleset.compile_rule import Draft
from engine.ruleset.errors import Report
from engine.ruleset.model_metrics import MetricRule


def check_agreement(drafts: Sequence[Draft], engine_metrics: Iterable[MetricRule], report: Report) -> None:
    """Reports a family that two files declare differently, at the later one."""
    first: dict[str, MetricRule] = {metric.name: metric for metric in engine_metrics}
    for draft in drafts:
        for metric in draft.rule.metrics:
            other = first.setdefault(metric.name, metric)
            for what in _differences(other, metric):
                named = draft.source.metrics[metric.name]
                place: Node = named.key
                if isinstance(named.node, MapNode):
                    place = named.node.keys.get(what, named.key)
                message = f"`{metric.name}` is declared elsewhere with another `{what}`"
                report.add(place, "metric-differs", message, f"make it equal to {other.position}")


def _differences(one: MetricRule, other: MetricRule) -> list[str]:
    pairs = {
        "type": (one.type, other.type),
        "help": (one.help, other.help),
        "labels": (set(one.labels), set(other.labels)),
        "buckets": (one.buckets, other.buckets),
        "aggregate": (one.aggregate, other.aggregate),
    }
    return [what for what, (here, there) in pairs.items() if here != there]
