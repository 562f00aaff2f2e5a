"""What a test says about null: which paths are surely not null where it holds, or where it does not.

A path is a chain of names from the root (`("self", "spec", "x")`) or from the current item
(`("@", "x")`); the first and last item of a list are `[0]` and `[-1]` in it. Pure. Neighbour: `infer`
narrows types with it.
"""

from __future__ import annotations

from engine.expr.tree import Node

Path = tuple[str, ...]


def path_of(node: Node, current: Path | None, *, items: bool = False) -> Path | None:
    """The path that a chain of names reads, or None when it is more than a chain.

    `current` is the path of the item that a bare name belongs to; None at the root. `items`: an index
    is a step of the path too, not the end of the chain.
    """
    if node.type in ("identity", "current"):
        return current
    if node.type == "field":
        if node.value.startswith("$"):
            return (node.value[1:],)
        return (*(current or ()), node.value)
    if node.type == "subexpression":
        first = path_of(node.children[0], current, items=items)
        return None if first is None else path_of(node.children[1], first, items=items)
    if node.type == "index_expression" and items and len(node.children) == 2:
        first, index = path_of(node.children[0], current, items=True), node.children[1]
        return None if first is None or index.type != "index" else (*first, f"[{index.value}]")
    if node.type == "function_expression" and node.value == "lookup" and node.children[1].type == "literal":
        first = path_of(node.children[0], current, items=items)
        return None if first is None else (*first, str(node.children[1].value))
    return None


def holds_when(node: Node, outcome: bool, current: Path | None) -> frozenset[Path]:
    """The paths that are not null when the test comes out as `outcome`."""
    if node.type == "not_expression":
        return holds_when(node.children[0], not outcome, current)
    if node.type == ("and_expression" if outcome else "or_expression"):
        left, right = node.children
        return holds_when(left, outcome, current) | holds_when(right, outcome, current)
    if node.type == "comparator" and node.value in ("eq", "ne") and not _is_filled(node, outcome):
        return _compared(node, outcome, current)
    if node.type == "comparator" and _is_filled(node, outcome):
        return _there(path_of(node.children[0].children[0], current, items=True), ("[0]", "[-1]"))
    if node.type == "function_expression" and node.value == "is_true" and outcome:
        return _there(path_of(node.children[0], current, items=True))
    return frozenset()


def _compared(node: Node, outcome: bool, current: Path | None) -> frozenset[Path]:
    left, right = node.children
    for side, other in ((left, right), (right, left)):
        if other.type != "literal":
            continue
        # `x != null` where it holds, and `x == 'word'` where it holds, both mean that x is there.
        means_there = (
            (node.value == "ne") is outcome if other.value is None else (node.value == "eq") is outcome
        )
        if means_there:
            return _there(path_of(side, current, items=True))
    return frozenset()


def _is_filled(node: Node, outcome: bool) -> bool:
    """Whether the outcome of `length(x) > 0` says that x has an item."""
    left, right = node.children
    if left.type != "function_expression" or left.value != "length" or right.type != "literal":
        return False
    least: dict[str, bool] = {"gt": right.value == 0, "gte": right.value == 1, "ne": right.value == 0}
    most: dict[str, bool] = {"lte": right.value == 0, "lt": right.value == 1, "eq": right.value == 0}
    return (least if outcome else most).get(node.value, False)


def _there(path: Path | None, below: tuple[str, ...] = ()) -> frozenset[Path]:
    """The path, all that it goes through, and these steps below it."""
    if path is None:
        return frozenset()
    return frozenset(path[:end] for end in range(1, len(path) + 1)) | {(*path, step) for step in below}
