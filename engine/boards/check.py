"""Mistakes in queries: what does not parse, metrics that nobody declares, labels that a metric does not have.

Each mistake has the place of the query in its file. Neighbours: `promql` takes a query apart, `known` says
which series there are; `sources`, `custommetrics` and `alerts` call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.base.yamlnodes import Node
from engine.boards.known import TARGET_LABELS, Series
from engine.boards.promql import Labels, NotPromql, Query, read_query
from engine.ruleset.errors import Report, suggest


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks queries against the series there are; `recorded` are the names that recording rules add."""

    known: Mapping[str, Series]
    report: Report
    recorded: dict[str, Labels] = field(default_factory=dict)

    def query(self, node: Node, text: str) -> Query | None:
        """The query, or None when it cannot be used; every mistake is reported at `node`."""
        try:
            query = read_query(text, self._labels_of)
        except NotPromql as error:
            self.report.add(node, "not-promql", f"this is no PromQL: {error}", "")
            return None
        for selector in query.selectors:
            self._selector(node, selector.name, selector.matchers)
        if any(not self._exists(selector.name) for selector in query.selectors):
            return None
        for label, word in query.wanted:
            self.report.add(
                node,
                "unknown-label",
                f"`{word}` names the label `{label}`, which what it works on does not have",
                suggest(label, self._all_labels(query)),
            )
        return query

    def shows(self, node: Node, query: Query, labels: list[str]) -> None:
        """A legend, a column or an annotation shows `labels` of the answer."""
        for label in labels:
            if label not in query.labels:
                hint = suggest(label, query.labels)
                self.report.add(node, "unknown-label", f"the answer has no label `{label}`", hint)

    def metric(self, node: Node, name: str) -> Series | None:
        """The series of a metric named alone; a histogram may be named with or without `_bucket`."""
        found = self.known.get(name) or self.known.get(f"{name}_bucket")
        if found is None:
            self._unknown(node, name)
        return found

    def _selector(self, node: Node, name: str, matchers: Mapping[str, str]) -> None:
        if not self._exists(name):
            self._unknown(node, name)
            return
        labels = self._labels_of(name)
        for label in matchers:
            if label not in labels:
                hint = suggest(label, labels)
                self.report.add(node, "unknown-label", f"`{name}` has no label `{label}`", hint)

    def _unknown(self, node: Node, name: str) -> None:
        hint = suggest(name, {*self.known, *self.recorded}) or "declare it in a file of rules/ first"
        self.report.add(node, "unknown-metric", f"no rule declares the metric `{name}`", hint)

    def _exists(self, name: str) -> bool:
        return name in self.known or name in self.recorded

    def _labels_of(self, name: str) -> Labels:
        if name in self.recorded:
            return self.recorded[name]
        series = self.known.get(name)
        return TARGET_LABELS | (series.labels if series is not None else frozenset())

    def _all_labels(self, query: Query) -> set[str]:
        return {label for selector in query.selectors for label in self._labels_of(selector.name)}
