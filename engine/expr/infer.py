"""Find out the type of an expression before it runs, and the mistakes that types can show.

Walks the tree with the types of the names: an unknown field, a word that is not in its enumeration,
a value that may be null where none may be, an operand that is no boolean. What a guard has shown to
be not null is remembered to the right of `&&`, in the branches of `if`, and where the caller says
so. Silent wherever a type is unknown. Pure. Neighbours: `walk` is what is shared with `infer_calls` and
`infer_comparisons`; the loader of rules gives the names and turns issues into errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engine.expr.facts import Path, holds_when, path_of
from engine.expr.infer_calls import type_of_call
from engine.expr.infer_comparisons import check_equality, check_order, close_to
from engine.expr.template import Expression
from engine.expr.traps import ROOTS
from engine.expr.tree import Node
from engine.expr.types import ANY, BOOLEAN, Type, joined, of_literal
from engine.expr.walk import Issue, Place


@dataclass(frozen=True, slots=True)
class Inference:
    """What is known of an expression. `reads`: root paths it may read, such as ("obs", "probe", "stage")."""

    type: Type
    issues: tuple[Issue, ...]
    reads: frozenset[Path]


def infer(
    expression: Expression,
    types: Mapping[str, Type],
    current: Type | None = None,
    *,
    facts: frozenset[Path] = frozenset(),
) -> Inference:
    """Type, mistakes and reads of an expression.

    `types` are the names at the root, `current` the type of `@` where it is not the root (a `pick`);
    `facts` are paths that the caller's guards have shown to be not null.
    """
    walk = _Walk(types)
    place = Place(current, ("@",) if current is not None else None, facts, picked=current is not None)
    found = walk.type_of(expression.node, place)
    return Inference(found, tuple(walk.issues), frozenset(walk.reads))


@dataclass(slots=True)
class _Walk:
    """One walk over one tree; a `walk.Walk` for those who look at calls and comparisons."""

    types: Mapping[str, Type]
    issues: list[Issue] = field(default_factory=list)
    reads: set[Path] = field(default_factory=set)

    def report(self, code: str, node: Node, message: str, hint: str = "") -> None:
        """Note one mistake."""
        self.issues.append(Issue(code, message, hint, node.offset))

    def type_of(self, node: Node, place: Place) -> Type:
        """The type of one node; mistakes below it are noted."""
        path = path_of(node, place.path, items=True)
        if path is not None and path[0] != "@":
            self.reads.add(path[: next((end for end, step in enumerate(path) if step[:1] == "["), len(path))])
        method: Callable[[Node, Place], Type] = getattr(self, f"_{node.type}")
        found = method(node, place)
        return found.not_null() if path is not None and path in place.facts else found

    def boolean(self, node: Node, place: Place, where: str) -> None:
        """Check an operand that has to be true or false."""
        found = self.type_of(node, place)
        if found.kind not in ("boolean", "any"):
            self.report(
                "not-boolean",
                node,
                f"{where} needs true or false, this is a {found}",
                "compare it with something",
            )
        elif found.nullable:
            self.report(
                "may-be-null",
                node,
                f"{where} needs true or false, this may be null",
                "use default(x, `false`)",
            )

    def _literal(self, node: Node, place: Place) -> Type:
        return of_literal(node.value)

    def _identity(self, node: Node, place: Place) -> Type:
        return place.current if place.current is not None else ANY

    _current = _identity

    def _field(self, node: Node, place: Place) -> Type:
        name = node.value
        if name.startswith("$"):
            return self._root(name[1:], node)
        if place.current is None:
            return self._root(name, node)
        if place.picked and name in ROOTS and name not in place.current.fields:
            self.report(
                "outer-name-in-filter", node, f"`{name}` is looked up on the answer here", f"write ${name}"
            )
            return ANY
        return self.field(place.current, name, node)

    def _root(self, name: str, node: Node) -> Type:
        found = self.types.get(name)
        if found is None:
            self.report("unknown-name", node, f"nothing is called `{name}` here", close_to(name, self.types))
            return ANY
        return found

    def field(self, base: Type, name: str, node: Node) -> Type:
        """The type of a field of `base`; an unknown one is a mistake unless the map is open."""
        if base.kind == "object":
            known = base.fields.get(name)
            if known is None and base.values is not None:
                known = base.values.or_null()
            if known is None and base.open:
                return ANY
            if known is not None:
                return known.or_null() if base.nullable else known
            hint = (
                f"write ${name} for the name outside the item"
                if name in self.types
                else close_to(name, base.fields)
            )
            self.report("unknown-field", node, f"there is no field `{name}`", hint)
        elif base.kind == "array":
            self.report(
                "wrong-type",
                node,
                f"`{name}` is asked of a list",
                f"write [].{name}, or [0].{name} for the first",
            )
        elif base.kind not in ("any", "null"):
            self.report("wrong-type", node, f"a {base} has no field `{name}`")
        return ANY

    def _subexpression(self, node: Node, place: Place) -> Type:
        left, right = node.children[0], node.children[1]
        found = self.type_of(left, place)
        path = path_of(left, place.path, items=True)
        inner = Place(found, path or ("@",), place.facts if path else frozenset())
        return self.type_of(right, inner)

    def _pipe(self, node: Node, place: Place) -> Type:
        found = self.type_of(node.children[0], place)
        return self.type_of(node.children[1], Place(found, ("@",), frozenset()))

    def _index_expression(self, node: Node, place: Place) -> Type:
        found = self.type_of(node.children[0], place)
        for child in node.children[1:]:
            found = self.type_of(child, Place(found, ("@",), frozenset()))
        return found

    def _index(self, node: Node, place: Place) -> Type:
        found = place.current or ANY
        if found.kind == "array":
            return (found.items or ANY).or_null()
        if found.kind not in ("any", "null"):
            self.report("wrong-type", node, f"a {found} has no items")
        return ANY

    def _slice(self, node: Node, place: Place) -> Type:
        return place.current or ANY

    def _items(self, source: Node, place: Place, node: Node) -> tuple[Type, bool]:
        """The type of the items of a list, and whether the list may be null."""
        found = self.type_of(source, place)
        if found.kind == "array":
            return found.items or ANY, found.nullable
        if found.kind not in ("any", "null"):
            self.report("wrong-type", node, f"a {found} is used as a list")
        return ANY, found.nullable

    def _projection(self, node: Node, place: Place) -> Type:
        item, nullable = self._items(node.children[0], place, node)
        inner = self.type_of(node.children[1], place.inside(item))
        return Type("array", nullable=nullable, items=inner.not_null())

    def _value_projection(self, node: Node, place: Place) -> Type:
        found = self.type_of(node.children[0], place)
        inner = self.type_of(node.children[1], place.inside(found.values or ANY))
        return Type("array", nullable=found.nullable, items=inner.not_null())

    def _filter_projection(self, node: Node, place: Place) -> Type:
        item, nullable = self._items(node.children[0], place, node)
        inside = place.inside(item)
        self.boolean(node.children[2], inside, "a filter")
        known = inside.knowing(holds_when(node.children[2], True, inside.path))
        kept = replace(known, current=_narrowed(item, inside.path or (), known.facts))
        inner = self.type_of(node.children[1], kept)
        return Type("array", nullable=nullable, items=inner.not_null())

    def _flatten(self, node: Node, place: Place) -> Type:
        item, nullable = self._items(node.children[0], place, node)
        inner = (item.items or ANY) if item.kind == "array" else item
        return Type("array", nullable=nullable, items=inner.not_null())

    def _multi_select_list(self, node: Node, place: Place) -> Type:
        found = [self.type_of(child, place) for child in node.children]
        items = found[0] if found else ANY
        for other in found[1:]:
            items = joined(items, other)
        return Type("array", items=items)

    def _multi_select_dict(self, node: Node, place: Place) -> Type:
        return Type(
            "object", fields={child.value: self.type_of(child.children[0], place) for child in node.children}
        )

    def _not_expression(self, node: Node, place: Place) -> Type:
        self.boolean(node.children[0], place, "`!`")
        return BOOLEAN

    def _and_expression(self, node: Node, place: Place) -> Type:
        left, right = node.children
        self.boolean(left, place, "`&&`")
        self.boolean(right, place.knowing(holds_when(left, True, place.path)), "`&&`")
        return BOOLEAN

    def _or_expression(self, node: Node, place: Place) -> Type:
        left, right = node.children
        self.boolean(left, place, "`||`")
        self.boolean(right, place.knowing(holds_when(left, False, place.path)), "`||`")
        return BOOLEAN

    def _comparator(self, node: Node, place: Place) -> Type:
        left, right = (self.type_of(child, place) for child in node.children)
        if node.value in ("eq", "ne"):
            check_equality(self, node, left, right)
        else:
            for child, found in zip(node.children, (left, right), strict=True):
                check_order(self, child, found)
        return BOOLEAN

    def _expref(self, node: Node, place: Place) -> Type:
        return Type("expression")

    def _function_expression(self, node: Node, place: Place) -> Type:
        return type_of_call(self, node, place)


def _narrowed(found: Type, path: Path, facts: frozenset[Path]) -> Type:
    """The type with those of its fields, at any depth, that are surely there."""
    if found.kind != "object" or not any(
        fact[: len(path)] == path and len(fact) > len(path) for fact in facts
    ):
        return found
    fields = {name: _narrowed(inner, (*path, name), facts) for name, inner in found.fields.items()}
    fields = {name: inner.not_null() if (*path, name) in facts else inner for name, inner in fields.items()}
    return replace(found, fields=fields)
