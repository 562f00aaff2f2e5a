"""Mistakes in comparisons that types can show: null with null, text with number, a word nobody uses.

Pure. Neighbour: `infer` calls it for each comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from engine.expr.tree import Node
from engine.expr.types import Type, is_numeric
from engine.expr.walk import Walk

_ORDER_HINTS: Final = {
    "timestamp": "use epoch(x), age(x) or left(x)",
    "string": "use duration(x), epoch(x) or semver_cmp(x, y)",
}


def check_equality(walk: Walk, node: Node, left: Type, right: Type) -> None:
    """Note what is wrong with `==` or `!=` between values of two types."""
    if "null" in (left.kind, right.kind):
        return
    if "opaque" in (left.kind, right.kind):
        walk.report("opaque-use", node, "a secret may only be compared with null", "x != `null`")
    elif left.nullable and right.nullable:
        hint = "first ask whether one of them is null: x != `null` && x == y"
        walk.report("null-equals-null", node, "both sides may be null, and null equals null", hint)
    elif not _comparable(left, right):
        walk.report("wrong-type", node, f"a {left} never equals a {right}")
    else:
        _check_words(walk, node, left, right)


def check_order(walk: Walk, node: Node, found: Type) -> None:
    """Note an operand of `< <= > >=` that is no number."""
    if found.nullable:
        walk.report("may-be-null", node, "null has no order", "use default(x, ...) first")
    elif not is_numeric(found) and found.kind != "any":
        hint = _ORDER_HINTS.get(found.kind, "")
        walk.report("wrong-type", node, f"a {found} has no order; only numbers have", hint)


def close_to(name: str, known: Mapping[str, object] | frozenset[str]) -> str:
    """A hint that names what was probably meant, or what there is."""
    close = get_close_matches(name, list(known), 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(sorted(known)[:12])}" if known else ""


def _check_words(walk: Walk, node: Node, left: Type, right: Type) -> None:
    """A literal word against an enumeration that does not have it."""
    for found, literal, at in ((left, right, 1), (right, left, 0)):
        if node.children[at].type != "literal" or not found.enum or node.children[1 - at].type == "literal":
            continue
        for word in literal.enum - found.enum:
            walk.report(
                "not-in-enum", node.children[at], f"`{word}` is none of its words", close_to(word, found.enum)
            )


def _comparable(left: Type, right: Type) -> bool:
    if "any" in (left.kind, right.kind) or left.kind == right.kind:
        return True
    pair = {left.kind, right.kind}
    return pair <= {"integer", "number"} or pair <= {"string", "timestamp"}
