"""What a test says about null: which paths are surely not null where it holds, or where it does not.

A path is a chain of names from the root (`("self", "spec", "x")`) or from the current item
(`("@", "x")`). Pure. Neighbour: `infer` narrows types with it.
"""

from __future__ import annotations

from engine.expr.tree import Node

Path = tuple[str, ...]


def path_of(node: Node, current: Path | None) -> Path | None:
    """The path that a chain of names reads, or None when it is more than a chain.

    `current` is the path of the item that a bare name belongs to; None at the root.
    """
    if node.type in ("identity", "current"):
        return current
    if node.type == "field":
        if node.value.startswith("$"):
            return (node.value[1:],)
        return (*(current or ()), node.value)
    if node.type == "subexpression":
        first = path_of(node.children[0], current)
        return None if first is None else path_of(node.children[1], first)
    if node.type == "function_expression" and node.value == "lookup" and node.children[1].type == "literal":
        first = path_of(node.children[0], current)
        return None if first is None else (*first, str(node.children[1].value))
    return None


def holds_when(node: Node, outcome: bool, current: Path | None) -> frozenset[Path]:
    """The paths that are not null when the test comes out as `outcome`."""
    if node.type == "not_expression":
        return holds_when(node.children[0], not outcome, current)
    if node.type == ("and_expression" if outcome else "or_expression"):
        left, right = node.children
        return holds_when(left, outcome, current) | holds_when(right, outcome, current)
    if node.type == "comparator" and node.value in ("eq", "ne"):
        return _compared(node, outcome, current)
    return frozenset()


def _compared(node: Node, outcome: bool, current: Path | None) -> frozenset[Path]:
    left, right = node.children
    for side, other in ((left, right), (right, left)):
        if other.type != "literal":
            continue
        # `x != null` where it holds, and `x == 'word'` where it holds, both mean that x is there.
        means_there = (node.value == "ne") is outcome if other.value is None else (node.value == "eq") is outcome
        path = path_of(side, current)
        if means_there and path is not None:
            return frozenset(path[:end] for end in range(1, len(path) + 1))
    return frozenset()
