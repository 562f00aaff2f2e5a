"""`$patch: delete` (talos-api 4.6 rule 6; talos-config-rules 14 to 16, 26, 27).

`extract` takes the deletions out of a patch document, `apply` carries one out on a typed value.
Never merges. Neighbours: `patch` orders deletions and documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.machineconfig.config import API_VERSION, scalar_of
from engine.machineconfig.decode import join
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.model import V1ALPHA1, AnyType, ListType, MapType, PointerType, StructType, Type
from engine.machineconfig.nodes import ListNode, MapNode, Node, Scalar
from engine.machineconfig.scalars import ScalarType

DIRECTIVE = "$patch"


@dataclass(frozen=True, slots=True)
class Item:
    """Selects the first item of a list whose field `key` reads `text`; `index` is for messages."""

    index: int
    key: str
    text: str


Step: TypeAlias = str | Item


@dataclass(frozen=True, slots=True)
class Deletion:
    """What one directive takes away: a place inside a document, or all of it when `path` is empty."""

    kind: str
    name: str
    path: tuple[Step, ...]
    api_version: str = API_VERSION

    @property
    def shown(self) -> str:
        """The dotted path for messages."""
        text = ""
        for step in self.path:
            text = join(text, step) if isinstance(step, str) else f"{text}[{step.index}]"
        return text


def extract(node: MapNode) -> tuple[MapNode | None, list[Deletion]]:
    """The document without its deletions (None when nothing is left of it), and the deletions.

    Raises ConfigError (Invalid) for a directive in a place or of a value that Talos refuses.
    """
    found: list[tuple[Step, ...]] = []
    rest = _strip(node, (), found)
    if not found:
        return node, []
    kind, name = scalar_of(node, "kind"), scalar_of(node, "name")
    if found == [()]:
        _check_whole(node, kind)
    kind, version = kind or V1ALPHA1, scalar_of(node, "apiVersion") or API_VERSION
    return (rest if isinstance(rest, MapNode) and rest.entries else None), [
        Deletion(kind, name, path, version) for path in found
    ]


def _check_whole(node: MapNode, kind: str) -> None:
    if not scalar_of(node, "apiVersion") or not kind:
        missing = "apiVersion" if kind or not scalar_of(node, "apiVersion") else "kind"
        message = f"$patch: delete of a document needs its apiVersion and kind; {missing} is missing"
        raise ConfigError("Invalid", message, line=node.line)


def _strip(node: Node, path: tuple[Step, ...], found: list[tuple[Step, ...]]) -> Node | None:
    if isinstance(node, MapNode):
        if _directive(node):
            found.append(path)
            return None
        before = len(found)
        kept = [(key, _strip(item, (*path, key.text), found)) for key, item in node.entries]
        entries = tuple((key, item) for key, item in kept if item is not None)
        return MapNode(entries, node.line) if entries or len(found) == before else None
    if isinstance(node, ListNode):
        items, before = [], len(found)
        for index, item in enumerate(node.items):
            rest = _strip_item(item, index, path, found)
            if rest is not None:
                items.append(rest)
        return ListNode(tuple(items), node.line) if items or len(found) == before else None
    return node


def _strip_item(item: Node, index: int, path: tuple[Step, ...], found: list[tuple[Step, ...]]) -> Node | None:
    if isinstance(item, MapNode) and _directive(item):
        chosen = next(((key.text, value) for key, value in item.entries if key.text != DIRECTIVE), None)
        if chosen is None or not isinstance(chosen[1], Scalar):
            raise ConfigError("Invalid", "a list item to delete needs a key that selects it", line=item.line)
        found.append((*path, Item(index, chosen[0], chosen[1].text)))
        return None
    inner: list[tuple[Step, ...]] = []
    _strip(item, path, inner)
    if inner:
        message = "nothing below a list item can be deleted; delete the item and add it anew"
        raise ConfigError("Invalid", message, path=Deletion("", "", path).shown, line=item.line)
    return item


def _directive(node: MapNode) -> bool:
    value = node.get(DIRECTIVE)
    if value is None:
        return False
    if not isinstance(value, Scalar) or value.text != "delete":
        raise ConfigError("Invalid", "the only patch directive is `$patch: delete`", line=value.line)
    return True


def apply(kind: Type, value: Any, deletion: Deletion) -> Any:
    """The value without what the deletion names. Raises ConfigError (NotFound)."""
    prefix = "" if deletion.kind == V1ALPHA1 else f"{deletion.kind}: "
    return _delete(kind, value, deletion.path, f"{prefix}{deletion.shown}")


def _delete(kind: Type, value: Any, path: tuple[Step, ...], shown: str) -> Any:
    if isinstance(kind, PointerType):
        return _delete(kind.target, value, path, shown)
    step, rest = path[0], path[1:]
    if isinstance(step, Item):
        return _without_item(kind, value, step, shown)
    if not isinstance(value, dict) or isinstance(kind, ListType):
        raise _missing(shown)
    known = step in kind.fields if isinstance(kind, StructType) else step in value
    if not known or (isinstance(kind, StructType) and kind.sealed):
        raise _missing(shown)
    if not rest:
        return {key: item for key, item in value.items() if key != step}
    below = _below(kind, step)
    if step not in value:
        # What cannot be unset is there, if empty; deleting from it an unset field is no mistake (rule 26).
        if not isinstance(below, StructType):
            raise _missing(shown)
        _delete(below, {}, rest, shown)
        return value
    return {**value, step: _delete(below, value[step], rest, shown)}


def _below(kind: Type, step: str) -> Type:
    if isinstance(kind, StructType):
        return kind.fields[step].type
    return kind.item if isinstance(kind, MapType) else AnyType()


def _without_item(kind: Type, value: Any, step: Item, shown: str) -> Any:
    item_type = _target(kind.item) if isinstance(kind, ListType) else kind
    field = None
    if isinstance(item_type, StructType) and not item_type.sealed:
        field = item_type.fields.get(step.key)
    scalar = _target(field.type) if field else None
    # Only what is a text to Talos can select an item; its numbers and booleans never do (rule 26).
    if field is None or not isinstance(scalar, ScalarType) or not isinstance(scalar.zero, str):
        raise _missing(shown)
    unset = None if isinstance(field.type, PointerType) else scalar.zero
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if item.get(step.key, unset) == step.text:
            return [*value[:index], *value[index + 1 :]]
    raise _missing(shown)


def _target(kind: Type) -> Type:
    return kind.target if isinstance(kind, PointerType) else kind


def _missing(shown: str) -> ConfigError:
    return ConfigError("NotFound", "$patch: delete finds nothing here", path=shown)
