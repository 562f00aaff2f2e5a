"""Rule files from the disk: found, parsed, and their shape checked.

The only module of the loader that reads rule files. A folder stands for the `*.yaml` in it, for the
parts in its `parts/` and for the chapters below it. Never looks into expressions. Neighbours: `chapters`
and `parts` say what belongs together, `schema` judges the shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final

from engine.base.yamlnodes import MapNode, ScalarNode, YamlProblems, parse_document
from engine.ruleset.errors import Report, suggest
from engine.ruleset.schema import SCHEMAS, Path, check_shape

_CHAPTER: Final = re.compile(rb"^kind:\s*Chapter\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One file. `broken` are the paths at which its shape is wrong."""

    path: FilePath
    text: str
    kind: str
    root: MapNode
    broken: frozenset[Path] = field(default_factory=frozenset)

    def is_broken(self, *path: str | int) -> bool:
        """Whether something at or below `path`, or the map around it, has the wrong shape."""
        return any(bad[: len(path)] == path for bad in self.broken)

    @property
    def unusable(self) -> bool:
        """Whether nothing more can be said about this file until its shape is mended."""
        kind = self.root.values.get("for")
        named = isinstance(kind, MapNode) and {"group", "version", "kind"} <= kind.keys.keys()
        return not named or self.is_broken("for")


class Documents:
    """Reads every file at most once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._read: dict[FilePath, Document | None] = {}

    def load(self, paths: Sequence[FilePath]) -> list[Document]:
        """The documents of `paths`; parts are read too, for their own mistakes, and chapters without a rule."""
        found = [self.read(path) for path in self._files(paths)]
        return [document for document in found if document is not None and document.kind != "Part"]

    def part(self, rule: Document, name: str) -> Document | None:
        """The part `name` beside `rule`, or None when it is absent or unreadable."""
        path = rule.path.parent / "parts" / f"{name}.yaml"
        return self.read(path) if path.is_file() else None

    def part_names(self, rule: Document) -> list[str]:
        """The parts that `rule` could use."""
        return sorted(path.stem for path in (rule.path.parent / "parts").glob("*.yaml"))

    def in_folder(self, folder: FilePath) -> list[FilePath]:
        """The YAML files of a folder, in the order of their names; none when there is no such folder."""
        return sorted(folder.glob("*.yaml"))

    def _files(self, paths: Iterable[FilePath]) -> list[FilePath]:
        files: dict[FilePath, None] = {}
        for path in paths:
            if path.is_dir():
                inside = sorted(path.glob("*.yaml")) + sorted(path.glob("parts/*.yaml"))
                if not inside:
                    self._report.add_file(str(path), "no-rules", "no *.yaml file is in this folder")
                files.update(dict.fromkeys([*inside, *_without_rule(path)]))
            else:
                files[path] = None
        return list(files)

    def read(self, path: FilePath) -> Document | None:
        """One file, or None when it cannot be used (its mistakes are reported)."""
        if path not in self._read:
            self._read[path] = self._parse(path)
        return self._read[path]

    def _parse(self, path: FilePath) -> Document | None:
        try:
            text = path.read_text("utf-8")
            root = parse_document(text, str(path))
        except YamlProblems as problems:
            self._report.add_yaml(problems)
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self._report.add_file(str(path), "unreadable", f"the file cannot be read: {reason}")
            return None
        if not isinstance(root, MapNode):
            self._report.add(root, "wrong-type", "a rule file must be a map")
            return None
        kind = self._kind(root)
        if not kind:
            return None
        return Document(path, text, kind, root, check_shape(root, kind, self._report))

    def _kind(self, root: MapNode) -> str:
        node = root.values.get("kind")
        if isinstance(node, ScalarNode) and node.text in SCHEMAS:
            return node.text
        message = f"`kind` must be one of {', '.join(SCHEMAS)}"
        hint = suggest(node.text, SCHEMAS) if isinstance(node, ScalarNode) else ""
        self._report.add(node or root, "unknown-kind", message, hint)
        return ""


def _without_rule(folder: FilePath) -> list[FilePath]:
    """Chapters in folders that are named for no rule. What else lies in such a folder is not ours."""
    below = [path for path in sorted(folder.glob("*/*.yaml")) if not path.parent.name.startswith(".")]
    alone = [path for path in below if not path.parent.with_suffix(".yaml").is_file()]
    return [path for path in alone if path.is_file() and _CHAPTER.search(path.read_bytes())]
