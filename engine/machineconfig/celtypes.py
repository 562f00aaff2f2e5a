"""Whether a CEL expression names what its place offers, and gives what its place needs.

The names and types of each place are data: schemas/talos/expressions.json, asked of Talos's own library by
tests/talos-model. Promises: only what is certainly refused by CEL is a mistake; of unknown types everything
may be said. Never evaluates. Neighbours: `cel` (trees), the checks of documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from engine.base.assets import asset
from engine.machineconfig.cel import Call, CelError, Field, Items, Literal, Name, NotRead, Tree, parse

Type: TypeAlias = tuple[Any, ...]
"""(name, parameter types...); a type parameter is ("<A>",)."""

DYN: Final[Type] = ("dyn",)
BOOL: Final[Type] = ("bool",)
_TYPE_NAMES: Final = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint")
_LOOPS: Final = ("all", "exists", "exists_one", "existsOne", "filter", "map")
_PARTS = re.compile(r"<\w+>|[\w.]+|[(),]")


@dataclass(frozen=True, slots=True)
class _Overload:
    member: bool
    arguments: tuple[Type, ...]
    result: Type
    mixed: bool = False
    """Numbers of two kinds: there for values whose types are known only later."""


@lru_cache(maxsize=256)
def mistake(text: str, place: str, result: str = "bool") -> str:
    """What is wrong with an expression in that place (disk, volume, link, oomTrigger, oomRanking); "" if nothing."""
    try:
        found = _Check(place).type(parse(text), {})
    except NotRead:
        return ""
    except CelError as error:
        return str(error)
    if found not in (DYN, (result,)):
        return f"the expression gives {_shown(found)}; {result} is needed"
    return ""


class _Check:
    """Types of the trees of one place."""

    def __init__(self, place: str) -> None:
        self._variables = {name: _type(text) for name, text in _data()["variables"][place].items()}
        self._functions = {**_functions(""), **_functions(place)}

    def type(self, tree: Tree, local: Mapping[str, Type]) -> Type:
        if isinstance(tree, Literal):
            return (tree.type,) if tree.type != "null_type" else DYN
        if isinstance(tree, Name):
            return self._name(tree.text, local)
        if isinstance(tree, Field):
            return self._field(tree, local)
        if isinstance(tree, Items):
            keys = _common([self.type(key, local) for key in tree.keys])
            if tree.values is None:
                return ("list", keys)
            return ("map", keys, _common([self.type(value, local) for value in tree.values]))
        return self._call(tree, local)

    def _name(self, text: str, local: Mapping[str, Type]) -> Type:
        found = local.get(text) or self._variables.get(text)
        if found is not None:
            return found
        if text in _TYPE_NAMES:
            return DYN
        raise CelError(f"there is no {text} here; known are {', '.join(sorted(self._variables)[:12])}")

    def _field(self, tree: Field, local: Mapping[str, Type]) -> Type:
        if isinstance(tree.of, Name) and tree.of.text in ("google", "optional"):
            return DYN
        of = self.type(tree.of, local)
        if of[0] == "map":
            return of[2] if len(of) > 2 else DYN
        fields = _data()["objects"].get(of[0])
        if fields is not None and tree.text not in fields:
            raise CelError(f"there is no field {tree.text}; known are {', '.join(fields)}")
        if fields is None and of[0] in ("bool", "bytes", "double", "int", "list", "string", "uint"):
            raise CelError(f"{_shown(of)} has no fields, such as {tree.text}")
        return _type(fields[tree.text]) if fields else DYN

    def _call(self, tree: Call, local: Mapping[str, Type]) -> Type:
        if tree.function == "has" and not tree.member and len(tree.arguments) == 1:
            if not isinstance(tree.arguments[0], Field):
                raise CelError("has() needs a field, such as has(disk.serial)")
            self.type(tree.arguments[0], local)
            return BOOL
        if tree.member and tree.function in _LOOPS and len(tree.arguments) in (3, 4):
            return self._loop(tree, local)
        arguments = [self.type(argument, local) for argument in tree.arguments]
        known = self._functions.get(tree.function)
        if known is None:
            if tree.member and _root(tree.arguments[0]) not in {*local, *self._variables, ""}:
                raise NotRead("a function of a namespace")
            raise CelError(f"there is no function {tree.function}")
        results = [found for each in known if (found := _result(each, tree.member, arguments)) is not None]
        if not results:
            shown = ", ".join(_shown(argument) for argument in arguments)
            raise CelError(f"{tree.function} is not for {shown}{_hint(arguments)}")
        return results[0] if all(found == results[0] for found in results) else DYN

    def _loop(self, tree: Call, local: Mapping[str, Type]) -> Type:
        over = self.type(tree.arguments[0], local)
        if not isinstance(tree.arguments[1], Name):
            raise NotRead("a loop over two names")
        if over[0] not in ("list", "map", "dyn"):
            raise CelError(f"{tree.function} goes over lists and maps, not over {_shown(over)}")
        inner = {**local, tree.arguments[1].text: over[1] if len(over) > 1 else DYN}
        found = [self.type(argument, inner) for argument in tree.arguments[2:]]
        if tree.function == "map":
            return ("list", found[-1])
        if found[0] not in (DYN, BOOL):
            raise CelError(f"{tree.function} asks a question of each; {_shown(found[0])} is no answer")
        return over if tree.function == "filter" else BOOL


def _result(overload: _Overload, member: bool, arguments: Sequence[Type]) -> Type | None:
    """The result of an overload for these arguments, None when it is not for them."""
    if overload.member != member or len(overload.arguments) != len(arguments) or overload.mixed:
        return None
    bound: dict[str, Type] = {}
    if not all(
        _fits(wanted, given, bound) for wanted, given in zip(overload.arguments, arguments, strict=True)
    ):
        return None
    return _filled(overload.result, bound)


def _fits(wanted: Type, given: Type, bound: dict[str, Type]) -> bool:
    if DYN in (wanted, given):
        return True
    if wanted[0].startswith("<"):
        known = bound.get(wanted[0])
        if known is None or known == DYN:
            bound[wanted[0]] = given
            return True
        return _fits(known, given, bound)
    if wanted[0] != given[0]:
        return False
    return all(_fits(*pair, bound) for pair in zip(wanted[1:], given[1:], strict=False))


def _filled(kind: Type, bound: Mapping[str, Type]) -> Type:
    if kind[0].startswith("<"):
        return bound.get(kind[0], DYN)
    return (kind[0], *(_filled(part, bound) for part in kind[1:]))


def _root(tree: Tree) -> str:
    """The variable at the beginning of a chain of fields; "" when there is something else."""
    while isinstance(tree, Field):
        tree = tree.of
    return tree.text if isinstance(tree, Name) else ""


def _common(types: Sequence[Type]) -> Type:
    return types[0] if types and all(each == types[0] for each in types) else DYN


def _hint(arguments: Sequence[Type]) -> str:
    names = {argument[0] for argument in arguments}
    return "; write 100u for a uint" if names == {"int", "uint"} else ""


def _shown(kind: Type) -> str:
    inner = ", ".join(_shown(part) for part in kind[1:])
    return f"{kind[0].rsplit('.', 1)[-1]}{f'({inner})' if inner else ''}"


@lru_cache(maxsize=512)
def _type(text: str) -> Type:
    """`map(int, list(string))` as a tuple."""
    parts = _PARTS.findall(text)

    def read() -> Type:
        name, inner = parts.pop(0), []
        if parts and parts[0] == "(":
            parts.pop(0)
            while parts[0] != ")":
                if parts[0] == ",":
                    parts.pop(0)
                inner.append(read())
            parts.pop(0)
        return DYN if name in ("any", "wrapper", "null_type") else (name, *inner)

    return read()


@cache
def _functions(place: str) -> Mapping[str, tuple[_Overload, ...]]:
    raw = _data()["more"][place] if place else _data()["functions"]
    return {name: tuple(_overload(text) for text in texts) for name, texts in raw.items()}


def _overload(text: str) -> _Overload:
    """`.(string; string) bool`."""
    head, _, result = text.rpartition(") ")
    inner = head.removeprefix(".")[1:]
    arguments = tuple(map(_type, inner.split("; "))) if inner else ()
    kinds = {argument[0] for argument in arguments}
    mixed = len(kinds) == 2 and kinds <= {"int", "uint", "double"}
    return _Overload(text.startswith("."), arguments, _type(result), mixed)


@cache
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(
        asset("schemas", "talos", "expressions.json").read_text(encoding="utf-8")
    )
    return found
