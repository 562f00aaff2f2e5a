"""A rule, the parts it uses and its chapters, merged into one set of named nodes.

Promises that a name defined twice is reported at both places and that what a part `needs` is there.
Never compiles. Neighbours: `documents` and `chapters` give the files, `compile_rule` takes the result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode
from engine.ruleset.chapters import chapters_of
from engine.ruleset.documents import Document, Documents
from engine.ruleset.errors import Report, suggest


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A named piece of a rule: where its name stands and its node. `broken`: its shape is wrong."""

    name: str
    key: ScalarNode
    node: Node
    broken: bool = False


@dataclass(slots=True, eq=False)
class Source:
    """Everything that makes up one rule. Maps keep the order of the files: parts, the rule, its chapters."""

    document: Document
    chapters: tuple[Document, ...] = ()
    is_short: bool = False
    """Whether a chapter could not be taken in: what the others take from it cannot be judged."""
    is_doubled: bool = False
    """Whether a name is defined twice or a part is missing: what is used and what is not cannot be told."""
    digest: str = ""
    let: dict[str, Named] = field(default_factory=dict)
    observe: dict[str, Named] = field(default_factory=dict)
    act: dict[str, Named] = field(default_factory=dict)
    conditions: dict[str, Named] = field(default_factory=dict)
    events: dict[str, Named] = field(default_factory=dict)
    status: dict[str, Named] = field(default_factory=dict)
    metrics: dict[str, Named] = field(default_factory=dict)
    final_observe: dict[str, Named] = field(default_factory=dict)
    final_steps: dict[str, Named] = field(default_factory=dict)
    mode: Named | None = None
    finalizer: Named | None = None
    from_parts: set[str] = field(default_factory=set)
    """Names such as `let.deleting` that a part brought: a rule need not use them all."""

    @property
    def root(self) -> MapNode:
        """The map of the rule's own file."""
        return self.document.root

    @property
    def files(self) -> tuple[Document, ...]:
        """The rule's own file and its chapters: what belongs to this rule alone."""
        return self.document, *self.chapters

    def section(self, name: str) -> MapNode | None:
        """A map of the first file that has it, or None when it is absent or of the wrong shape."""
        nodes = (file.root.values.get(name) for file in self.files)
        return next((node for node in nodes if isinstance(node, MapNode)), None)


_MAPS = ("let", "observe", "status")
_LISTS = {"act": "id", "conditions": "type", "events": "reason", "metrics": "name"}


def merge_parts(document: Document, documents: Documents, report: Report) -> Source:
    """The rule of `document` with all its parts and chapters."""
    chapters = chapters_of(document, documents, report)
    listed = document.root.values.get("chapters")
    short = isinstance(listed, ListNode) and len(listed.items) > len(chapters)
    source = Source(document, tuple(chapters), short)
    known = len(report.errors)
    texts = [file.text for file in source.files]
    for part in _used(document, documents, report):
        texts.append(part.text)
        _take(source, part, report)
        names = (f"{kind}.{name}" for kind in ("let", "observe") for name in getattr(source, kind))
        source.from_parts.update(names)
    for file in source.files:
        _take(source, file, report)
    _take_finalize(source, report)
    source.is_doubled = len(report.errors) > known
    source.digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    for part in _used(document, documents, Report()):
        _check_needs(source, part, report)
    return source


def metrics_of(document: Document, report: Report) -> Source:
    """The families of a document of kind EngineMetrics, as a Source that holds nothing else."""
    source = Source(document)
    _take_list(source.metrics, document, ("metrics",), "name", report)
    return source


def _used(document: Document, documents: Documents, report: Report) -> list[Document]:
    use = document.root.values.get("use")
    found: list[Document] = []
    for item in use.items if isinstance(use, ListNode) else ():
        if not isinstance(item, ScalarNode):
            continue
        part = documents.part(document, item.text)
        if part is not None and part.kind == "Part":
            found.append(part)
        elif item.text not in documents.part_names(document):
            hint = suggest(item.text, documents.part_names(document))
            report.add(item, "unknown-part", f"no part `{item.text}` is in parts/ beside this file", hint)
        elif part is not None:
            report.add(item, "unknown-part", f"parts/{item.text}.yaml is not of kind Part")
    return found


def _take(source: Source, document: Document, report: Report) -> None:
    for section in _MAPS:
        _take_map(getattr(source, section), document, (section,), report)
    for section, name_key in _LISTS.items():
        _take_list(getattr(source, section), document, (section,), name_key, report)
    if "mode" in document.root.keys:
        named = Named("mode", document.root.keys["mode"], document.root.values["mode"])
        source.mode = _only(source.mode, named, "mode", report)
    finalize = document.root.values.get("finalize")
    if isinstance(finalize, MapNode) and "name" in finalize.keys:
        named = Named("name", finalize.keys["name"], finalize.values["name"])
        source.finalizer = _only(source.finalizer, named, "finalize.name", report)


def _take_finalize(source: Source, report: Report) -> None:
    told: Named | None = None
    for file in source.files:
        if "finalize" in file.root.keys:
            told = _only(
                told,
                Named("finalize", file.root.keys["finalize"], file.root.values["finalize"]),
                "finalize",
                report,
            )
        _take_map(source.final_observe, file, ("finalize", "observe"), report)
        _take_list(source.final_steps, file, ("finalize", "steps"), "id", report)
    for name, named in source.final_observe.items():
        if name in source.observe:
            _report_twice(source.observe[name], named, f"observe.{name}", report)


def _at(root: MapNode, path: tuple[str, ...]) -> Node | None:
    node: Node | None = root
    for key in path:
        node = node.values.get(key) if isinstance(node, MapNode) else None
    return node


def _take_map(into: dict[str, Named], document: Document, path: tuple[str, ...], report: Report) -> None:
    node = _at(document.root, path)
    if not isinstance(node, MapNode):
        return
    for name, key in node.keys.items():
        named = Named(name, key, node.values[name], document.is_broken(*path, name))
        if name in into:
            _report_twice(into[name], named, f"{path[-1]}.{name}", report)
        into[name] = named


def _take_list(
    into: dict[str, Named], document: Document, path: tuple[str, ...], name_key: str, report: Report
) -> None:
    node = _at(document.root, path)
    for index, item in enumerate(node.items if isinstance(node, ListNode) else ()):
        key = item.values.get(name_key) if isinstance(item, MapNode) else None
        if not isinstance(key, ScalarNode):
            continue
        named = Named(key.text, key, item, document.is_broken(*path, index))
        if key.text in into:
            _report_twice(into[key.text], named, f"{path[-1]} {key.text}", report)
        into[key.text] = named


def _only(old: Named | None, new: Named, what: str, report: Report) -> Named:
    if old is not None:
        _report_twice(old, new, what, report)
    return new


def _report_twice(old: Named, new: Named, what: str, report: Report) -> None:
    for here, there in ((old, new), (new, old)):
        place = f"{there.key.source.name}:{there.key.line}"
        report.add(here.key, "defined-twice", f"`{what}` is defined twice", f"also at {place}")


def _check_needs(source: Source, part: Document, report: Report) -> None:
    sections = {"let": source.let, "obs": source.observe, "act": source.act, "cond": source.conditions}
    needs = part.root.values.get("needs")
    for item in needs.items if isinstance(needs, ListNode) else ():
        root, _, name = item.text.partition(".") if isinstance(item, ScalarNode) else ("", "", "")
        if root in sections and name not in sections[root]:
            use = source.root.values.get("use", source.root)
            message = f"the part {part.path.stem} needs `{root}.{name}`, which this rule does not define"
            report.add(use, "part-needs", message, f"define it, or do not use {part.path.stem}")
