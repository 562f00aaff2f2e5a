"""Rule files to a RuleSet, or every mistake in them at once.

`load_rules` is the way in: files -> shape -> parts and chapters -> compiled model -> names, types, safety. Reading
files is the only I/O. A file with a mistake of shape is still checked as far as it can be, so that
nobody mends one mistake only to meet the next. Neighbours: the cli and app call it, `catalog` says
what may be named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.base.kinds import Kind
from engine.base.values import Value
from engine.base.yamlnodes import MapNode, plain
from engine.ruleset.agreement import check_agreement
from engine.ruleset.build import Builder
from engine.ruleset.catalog import Catalog, definitions
from engine.ruleset.chapters import report_loose
from engine.ruleset.check import check_engine_metrics, check_rule
from engine.ruleset.compile_context import Compiler
from engine.ruleset.compile_metrics import compile_metric
from engine.ruleset.compile_rule import compile_rule
from engine.ruleset.crd import make_crd, plural_of
from engine.ruleset.documents import Document, Documents
from engine.ruleset.errors import Report, suggest
from engine.ruleset.model import Rule, RuleSet
from engine.ruleset.model_metrics import MetricRule
from engine.ruleset.parts import merge_parts, metrics_of
from engine.ruleset.references import LetSources


def load_rules(paths: Sequence[Path], catalog: Catalog) -> RuleSet:
    """The rules of `paths` (files, or folders with *.yaml, parts/ and chapters).

    Raises RuleErrors with every mistake found, ordered by file and place.
    """
    report = Report()
    documents = Documents(report)
    found = documents.load(paths)
    rules = [document for document in found if document.kind == "Reconciler" and not document.unusable]
    kinds: dict[Document, tuple[Kind, Mapping[str, Value] | None]] = {}
    for document in rules:
        kind, crd = _kind_of(document, catalog, report)
        if kind is not None:
            kinds[document] = kind, crd
            catalog = _with_crd(catalog, crd)
    _report_rivals(kinds, report)
    report_loose(found, documents, report)
    drafts = []
    touched: set[Kind] = set()
    operations: set[str] = set()
    for document, (kind, crd) in kinds.items():
        source = merge_parts(document, documents, report)
        if source.is_short:
            continue
        compiler = Compiler(Builder(report, LetSources(source).is_unset_spec), catalog, report)
        drafts.append(compile_rule(compiler, source, kind, crd))
        touched |= compiler.kinds | {kind}
        operations |= compiler.operations
    finished = [check_rule(draft, catalog, report) for draft in drafts]
    metrics = _engine_metrics(found, catalog, report)
    check_agreement(drafts, metrics, report)
    report.raise_if_any()
    return _rule_set(finished, metrics, touched, operations, catalog, found)


def _rule_set(
    rules: Sequence[Rule],
    metrics: Sequence[MetricRule],
    touched: set[Kind],
    operations: set[str],
    catalog: Catalog,
    documents: Sequence[Document],
) -> RuleSet:
    texts = [rule.digest for rule in rules] + [
        item.text for item in documents if item.kind == "EngineMetrics"
    ]
    return RuleSet(
        rules={rule.kind: rule for rule in rules},
        engine_metrics=tuple(metrics),
        kinds=frozenset(touched),
        on_demand=frozenset(kind for kind in touched if kind.name in catalog.core),
        operations=tuple(sorted(operation.rpartition(".")[2] for operation in operations)),
        digest=hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16],
    )


def _kind_of(
    document: Document, catalog: Catalog, report: Report
) -> tuple[Kind | None, Mapping[str, Value] | None]:
    """The kind a rule is for, and the CRD made from its own schema, if it brings one."""
    node = document.root.values["for"]
    assert isinstance(node, MapNode)
    given = plain(node)
    name = given["kind"]
    known = catalog.kinds.get(name)
    if "schema" in given:
        kind = Kind(given["group"], given["version"], name, plural_of(name))
        if known is not None and (known.group, known.version) != (kind.group, kind.version):
            report.add(
                node.values["kind"],
                "known-kind",
                f"another {name} is known, of {known.api_version}",
                "choose another name",
            )
        return kind, make_crd(kind, given["schema"])
    if known is None:
        hint = suggest(name, set(catalog.kinds) - catalog.core) or "give its fields in `for.schema`"
        report.add(node.values["kind"], "unknown-kind", f"no kind `{name}` is known", hint)
        return None, None
    for key, wanted in (("group", known.group), ("version", known.version)):
        if given[key] != wanted:
            report.add(
                node.values[key], "wrong-value", f"the {key} of {name} is `{wanted}`, not `{given[key]}`"
            )
    return known, None


def _with_crd(catalog: Catalog, crd: Mapping[str, Value] | None) -> Catalog:
    for kind, schema in definitions(crd) if crd is not None else ():
        catalog = catalog.with_kind(kind, schema)
    return catalog


def _report_rivals(kinds: Mapping[Document, tuple[Kind, Mapping[str, Value] | None]], report: Report) -> None:
    first: dict[Kind, Document] = {}
    for document, (kind, _) in kinds.items():
        other = first.setdefault(kind, document)
        if other is not document:
            node = document.root.values["for"]
            report.add(node, "defined-twice", f"{kind.name} has a rule already", f"in {other.path}")


def _engine_metrics(documents: Sequence[Document], catalog: Catalog, report: Report) -> list[MetricRule]:
    metrics: list[MetricRule] = []
    for document in documents:
        if document.kind != "EngineMetrics":
            continue
        source = metrics_of(document, report)
        compiler = Compiler(Builder(report, LetSources(source).is_unset_spec), catalog, report)
        compiled = [compile_metric(compiler, named, None) for named in source.metrics.values()]
        check_engine_metrics([unit for unit, _ in compiled], catalog, report)
        metrics += [metric for _, metric in compiled if metric is not None]
    return metrics
