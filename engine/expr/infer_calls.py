"""The types of function calls: arguments against the signature, and what comes out.

Pure. Neighbours: `infer` calls it for each call, `functions` has the signatures.
"""

from __future__ import annotations

from typing import Final

from engine.expr.facts import holds_when
from engine.expr.functions import known_function
from engine.expr.signatures import Function
from engine.expr.tree import Node
from engine.expr.types import ANY, BOOLEAN, INTEGER, NUMBER, STRING, Type, holds_secret, joined
from engine.expr.walk import Place, Walk

_WITH_ITEMS: Final = frozenset({"all", "any", "count", "map", "max_by", "min_by", "sort_by"})
_SAME_LIST: Final = frozenset({"all_but_last", "reverse", "sort", "sort_by", "take"})
_ACCEPTS: Final = {
    "integer": {"integer", "number"},
    "number": {"integer", "number"},
    "string": {"string", "timestamp"},
    "timestamp": {"timestamp", "string", "integer", "number"},
}
_RESULTS: Final = {
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "number": NUMBER,
    "string": STRING,
    "timestamp": Type("timestamp"),
}
_CARRIERS: Final = frozenset({"coalesce", "default", "if", "known", "lookup", "not_null", "to_array"})
"""Functions that hand a value on without looking at it."""
_READERS: Final = frozenset({"contains", "join", "max", "min", "sort", "to_string", "to_yaml"})
"""Functions that look at what is inside a list or map."""


def type_of_call(walk: Walk, node: Node, place: Place) -> Type:
    """The type of one call; mistakes in its arguments are noted."""
    function = known_function(node)
    if function.name == "if":
        return _type_of_if(walk, node, place)
    if function.name in ("failed", "error"):
        return _type_of_state(walk, node, function)
    found = [walk.type_of(child, place) for child in node.children]
    if function.name in _WITH_ITEMS:
        _check_items(walk, node, found, place)
    _check_arguments(walk, node, function, found)
    return _result(function, node, found)


def _type_of_if(walk: Walk, node: Node, place: Place) -> Type:
    test, then, otherwise = node.children
    walk.boolean(test, place, "if()")
    first = walk.type_of(then, place.knowing(holds_when(test, True, place.path)))
    second = walk.type_of(otherwise, place.knowing(holds_when(test, False, place.path)))
    return joined(first, second)


def _type_of_state(walk: Walk, node: Node, function: Function) -> Type:
    """`failed('x')` and `error('x')`: x has to be an observation."""
    name = node.children[0]
    observations = walk.types.get("obs")
    if name.type != "literal" or not isinstance(name.value, str):
        walk.report(
            "wrong-type", node, f"{function.name}() takes the name of an observation", "write it in quotes"
        )
    elif observations is not None and observations.fields and name.value not in observations.fields:
        walk.report("unknown-name", name, f"no observation is called `{name.value}`")
    else:
        walk.reads.add(("obs", name.value))
    if function.name == "failed":
        return BOOLEAN
    # Whoever asks for the error has asked whether there is one; null fields would only be noise.
    return Type("object", fields={"code": STRING, "message": STRING})


def _check_items(walk: Walk, node: Node, found: list[Type], place: Place) -> None:
    """The `&expression` of a call, for each item of its list."""
    for child in node.children:
        if child.type != "expref":
            continue
        other = next((item for item in found if item.kind == "array"), ANY)
        inside = place.inside(other.items or ANY)
        if node.value in ("all", "any", "count"):
            walk.boolean(child.children[0], inside, f"{node.value}()")
        else:
            walk.type_of(child.children[0], inside)


def _check_arguments(walk: Walk, node: Node, function: Function, found: list[Type]) -> None:
    wanted = function.parameters
    for index, (child, actual) in enumerate(zip(node.children, found, strict=True)):
        expected = wanted[min(index, len(wanted) - 1)]
        _check(walk, child, function, expected, actual)


def _check(walk: Walk, node: Node, function: Function, expected: str, actual: Type) -> None:
    optional = expected.endswith("?")
    kinds = expected.removesuffix("?").split("|")
    if actual.kind == "null":
        if not optional:
            walk.report("may-be-null", node, f"{function.name}() cannot take null", function.signature)
        return
    if actual.nullable and not optional:
        walk.report(
            "may-be-null", node, f"{function.name}() cannot take null, and this may be", "use default(x, ...)"
        )
    looked_at = actual.kind == "opaque" if function.name not in _READERS else holds_secret(actual)
    if looked_at and "opaque" not in kinds and function.name not in _CARRIERS:
        walk.report("opaque-use", node, f"{function.name}() would lay a secret open")
        return
    if actual.kind in ("any", "opaque") or "any" in kinds:
        return
    if not any(actual.kind in _ACCEPTS.get(kind, {kind}) for kind in kinds):
        walk.report(
            "wrong-type",
            node,
            f"{function.name}() takes {' or '.join(kinds)}, this is a {actual}",
            function.signature,
        )


def _result(function: Function, node: Node, found: list[Type]) -> Type:
    name = function.name
    if name in ("default", "known"):
        return joined(found[0].not_null() if name == "default" else found[0], found[1])
    if name in ("coalesce", "not_null"):
        return _first_present(found)
    if name in _SAME_LIST:
        return found[0].not_null() if found[0].kind == "array" else ANY
    if name in ("max_by", "min_by"):
        return (found[0].items or ANY).or_null() if found[0].kind == "array" else ANY
    if name == "lookup":
        return _looked_up(node, found[0])
    if name == "merge":
        return _merged(found)
    if name == "b64encode" and found[0].kind == "opaque":
        return Type("opaque")
    if name in ("omit", "null"):
        return Type("omit" if name == "omit" else "remove")
    return _of_signature(function)


def _of_signature(function: Function) -> Type:
    word = function.result
    optional = word.endswith("?")
    kind = word.removesuffix("?")
    if kind == "array":
        return Type("array", nullable=optional, items=ANY)
    if kind == "object":
        return Type("object", nullable=optional, open=True)
    found = _RESULTS.get(kind, ANY)
    return found.or_null() if optional else found


def _first_present(found: list[Type]) -> Type:
    result = found[-1]
    for other in reversed(found[:-1]):
        result = joined(other.not_null(), result) if result.kind != "null" else other
    return result


def _looked_up(node: Node, found: Type) -> Type:
    key = node.children[1]
    if found.kind != "object":
        return ANY
    if key.type == "literal" and key.value in found.fields:
        return found.fields[key.value].or_null()
    if found.values is not None:
        return found.values.or_null()
    return ANY


def _merged(found: list[Type]) -> Type:
    if any(item.kind != "object" for item in found):
        return Type("object", open=True)
    fields = {name: inner for item in found for name, inner in item.fields.items()}
    return Type("object", fields=fields, open=any(item.open or item.values is not None for item in found))
