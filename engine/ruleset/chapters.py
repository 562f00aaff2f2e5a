"""The chapters of a rule: one kind's rule told in several files.

`rules/x.yaml` lists its chapters; each is a file of the folder `x/` beside it and says with `of` whose it
is. Promises that a chapter is either taken in, in the order of the list, or reported: nothing lies there
unread. Never merges. Neighbours: `documents` reads the files, `parts` merges what is found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode
from engine.ruleset.documents import Document, Documents
from engine.ruleset.errors import Report, suggest


def chapters_of(rule: Document, documents: Documents, report: Report) -> list[Document]:
    """The chapters that `rule` lists, in its order; those that are missing or not its own are reported."""
    node = rule.root.values.get("chapters")
    found: list[Document] = []
    for item in node.items if isinstance(node, ListNode) else ():
        chapter = _chapter(rule, item, documents, report)
        if chapter is not None:
            found.append(chapter)
    return found


def report_loose(found: Sequence[Document], documents: Documents, report: Report) -> None:
    """Reports each chapter that lies where chapters lie, or was given by name, and that no rule took in."""
    rules = [document for document in found if document.kind == "Reconciler"]
    taken = {chapter for rule in rules for chapter in chapters_of(rule, documents, Report())}
    given = [document for document in found if document.kind == "Chapter"]
    beside = [documents.read(path) for rule in rules for path in documents.in_folder(folder_of(rule))]
    for document in dict.fromkeys([*given, *beside]):
        if document is not None and document.kind == "Chapter" and document not in taken:
            report.add(
                _whose(document),
                "loose-chapter",
                "no rule takes this chapter in",
                _way_in(document, documents),
            )


def folder_of(rule: Document) -> Path:
    """Where the chapters of `rule` lie: a folder with the name of its file."""
    return rule.path.with_suffix("")


def _chapter(rule: Document, item: Node, documents: Documents, report: Report) -> Document | None:
    if not isinstance(item, ScalarNode):
        return None
    folder = folder_of(rule)
    paths = {path.stem: path for path in documents.in_folder(folder)}
    if item.text not in paths:
        message = f"no chapter `{item.text}` is in {folder.name}/ beside this file"
        report.add(item, "unknown-chapter", message, suggest(item.text, paths))
        return None
    chapter = documents.read(paths[item.text])
    if chapter is None:
        return None
    if chapter.kind != "Chapter":
        report.add(item, "unknown-chapter", f"{folder.name}/{item.text}.yaml is not of kind Chapter")
        return None
    _check_owner(rule, chapter, report)
    return chapter


def _check_owner(rule: Document, chapter: Document, report: Report) -> None:
    target, of = rule.root.values.get("for"), chapter.root.values.get("of")
    kind = target.values.get("kind") if isinstance(target, MapNode) else None
    if isinstance(kind, ScalarNode) and isinstance(of, ScalarNode) and of.text != kind.text:
        message = f"this chapter is of `{of.text}`, and taken in by the rule for `{kind.text}`"
        report.add(of, "wrong-chapter", message, f"in {rule.path}")


def _whose(chapter: Document) -> Node:
    return chapter.root.values.get("of", chapter.root)


def _way_in(chapter: Document, documents: Documents) -> str:
    path = chapter.path.parent.with_suffix(".yaml")
    if not path.is_file():
        return f"its rule would be {path}"
    rule = documents.read(path)
    if rule is not None and chapter in chapters_of(rule, documents, Report()):
        return f"give {path}: its chapters come with it"
    return f"list `{chapter.path.stem}` in `chapters` of {path}"
