"""Queries of Prometheus taken apart: which series they select, by which labels, and which labels come out.

The only importer of promql-parser, which is here for whoever changes dashboards and is no part of an
installation. Pure. Never asks whether a metric exists: that is `check`'s work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import promql_parser as parser

Labels = frozenset[str]

_TIMES: Final = re.compile(r"\$(__rate_interval|__interval|__range)\b")


class NotPromql(ValueError):
    """The text is no query; the message says why."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One `name{label="value"}`; `inside` names the function around it (`rate`), "" without one."""

    name: str
    matchers: Mapping[str, str]
    inside: str


@dataclass(slots=True)
class Query:
    """What a query says. `wanted`: labels that it groups or joins by where they cannot be, with that place's word.

    `labels`: those its answer can have.
    """

    selectors: list[Selector] = field(default_factory=list)
    wanted: list[tuple[str, str]] = field(default_factory=list)
    labels: Labels = frozenset()


def read_query(text: str, labels_of: Callable[[str], Labels]) -> Query:
    """Take `text` apart; `labels_of` gives the labels of a series. Raises NotPromql."""
    try:
        tree = parser.parse(_TIMES.sub("5m", text))
    except ValueError as error:
        raise NotPromql(str(error)) from error
    query = Query()
    query.labels = _Walk(query, labels_of).labels(tree, "")
    return query


class _Walk:
    """Goes through a tree from the leaves up, and tells which labels each node can have."""

    def __init__(self, query: Query, labels_of: Callable[[str], Labels]) -> None:
        self._query = query
        self._labels_of = labels_of

    def labels(self, node: Any, inside: str) -> Labels:
        """The labels that the answer of `node` can have."""
        match type(node).__name__:
            case "VectorSelector":
                return self._selector(node, inside)
            case "MatrixSelector":
                return self._selector(node.vector_selector, inside)
            case "AggregateExpr":
                return self._aggregate(node, inside)
            case "Call":
                return self._call(node)
            case "BinaryExpr":
                return self._binary(node, inside)
            case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
                return self.labels(node.expr, inside)
        return frozenset()

    def _selector(self, node: Any, inside: str) -> Labels:
        matchers = {each.name: each.value for each in _matchers(node)}
        name = node.name or matchers.pop("__name__", "")
        self._query.selectors.append(Selector(name, matchers, inside))
        return self._labels_of(name)

    def _aggregate(self, node: Any, inside: str) -> Labels:
        found = self.labels(node.expr, inside)
        word = str(node.modifier or "")
        if word.startswith("without"):
            return found - set(node.modifier.labels)
        if not word:
            return found if _keeps_series(str(node.op)) else frozenset()
        self._want(node.modifier.labels, found, "by")
        return found & set(node.modifier.labels)

    def _call(self, node: Any) -> Labels:
        name = node.func.name
        found = frozenset[str]().union(*(self.labels(each, name) for each in node.args))
        if name == "histogram_quantile":
            self._want(["le"], found, "histogram_quantile")
            return found - {"le"}
        if name == "label_replace":
            self._want([node.args[3].val], found, "label_replace")
            return found | {node.args[1].val}
        return found

    def _binary(self, node: Any, inside: str) -> Labels:
        left, right = self.labels(node.lhs, inside), self.labels(node.rhs, inside)
        matching = getattr(node.modifier, "matching", None)
        if matching is not None and str(matching.type).endswith("Include"):
            self._want(matching.labels, left & right, "on")
        return left | right

    def _want(self, labels: list[str], found: Labels, word: str) -> None:
        self._query.wanted += [(label, word) for label in labels if label not in found]


def _matchers(node: Any) -> Iterator[Any]:
    yield from node.matchers.matchers
    for either in node.matchers.or_matchers:
        yield from either


def _keeps_series(operator: str) -> bool:
    return operator in {"topk", "bottomk", "limitk"}
