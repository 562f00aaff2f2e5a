"""The table of functions: JMESPath's own and our few additions, each with its signature.

A function is added only when a rule that ships needs it. None reads a clock, a file or anything
else outside its arguments; `now` is the pass's. Neighbours: `functions_*` hold the code, `compile`
calls, `infer` reads the signatures, the documentation is made from `signature` and `doc`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.expr import functions_json as std
from engine.expr import functions_rules as own
from engine.expr.operators import Closure

ANY_NUMBER: Final = 100


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `call` gets the scope and the arguments; `lazy` makes a closure of its own.

    `signature` reads `name(param: type, ...) -> type`; a type with `?` may be null, `...` repeats the
    last parameter. `keeps_unknown`: it wants to see Unknown arguments itself.
    """

    name: str
    signature: str
    doc: str
    call: Callable[..., Any]
    lazy: Callable[[list[Closure]], Closure] | None = None
    keeps_unknown: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The types of the parameters, without `...`."""
        inner = self.signature.partition("(")[2].rpartition(") -> ")[0]
        return tuple(part.rpartition(": ")[2] for part in inner.split(", ") if part and part != "...")

    @property
    def result(self) -> str:
        """The type of the result."""
        return self.signature.rpartition(" -> ")[2]

    @property
    def repeats(self) -> bool:
        """Whether the last parameter may be given again and again."""
        return ", ...)" in self.signature

    @property
    def arity(self) -> tuple[int, int]:
        """The least and the most number of arguments."""
        count = len(self.parameters)
        return count, ANY_NUMBER if self.repeats else count


def _table(*entries: tuple[str, str, Callable[..., Any]]) -> dict[str, Function]:
    found = {}
    for signature, doc, call in entries:
        name = signature.partition("(")[0]
        found[name] = Function(name, signature, doc, call)
    return found


_STANDARD: Final = _table(
    ("abs(value: number) -> number", "The absolute value.", std.absolute),
    ("avg(values: array) -> number?", "The mean of numbers; null of none.", std.average),
    ("ceil(value: number) -> integer", "The next integer up.", std.ceiling),
    ("contains(subject: array|string, search: any) -> boolean", "Whether a list or text holds it.", std.contains),
    ("ends_with(subject: string, suffix: string) -> boolean", "Whether the text ends so.", std.ends_with),
    ("floor(value: number) -> integer", "The next integer down.", std.floor),
    ("join(glue: string, values: array) -> string", "The texts in one.", std.join),
    ("keys(map: object) -> array", "The keys of a map.", std.keys),
    ("length(subject: array|string|object) -> integer", "How many items, characters or keys.", std.length),
    ("map(of: expression, values: array) -> array", "The expression of each item, nulls kept.", std.map_each),
    ("max(values: array) -> any?", "The greatest number or text; null of none.", std.greatest),
    ("max_by(values: array, by: expression) -> any?", "The item with the greatest value.", std.greatest_by),
    ("merge(maps: object, ...) -> object", "One map of several; the last says.", std.merge),
    ("min(values: array) -> any?", "The least number or text; null of none.", std.least),
    ("min_by(values: array, by: expression) -> any?", "The item with the least value.", std.least_by),
    ("not_null(values: any?, ...) -> any?", "The first that is not null.", std.not_null),
    ("reverse(subject: array|string) -> any", "The other way round.", std.reverse),
    ("sort(values: array) -> array", "Numbers or texts in order.", std.sort),
    ("sort_by(values: array, by: expression) -> array", "Items in the order of a value.", std.sort_by),
    ("starts_with(subject: string, prefix: string) -> boolean", "Whether the text begins so.", std.starts_with),
    ("sum(values: array) -> number", "The sum of numbers.", std.total),
    ("to_array(value: any?) -> array", "The list, or the value in one.", std.to_array),
    ("to_number(value: any?) -> number?", "A number of a text; null when it is none.", std.to_number),
    ("to_string(value: any?) -> string", "The text, or compact JSON in the order of the keys.", std.to_string),
    ("type(value: any?) -> string", "number, string, boolean, array, object or null.", std.type_of),
    ("values(map: object) -> array", "The values of a map.", std.values),
)

_OWN: Final = _table(
    ("age(time: timestamp) -> number", "Seconds since a time.", own.age),
    ("all(values: array, test: expression) -> boolean", "Whether the test holds for every item.", own.all_of),
    ("all_but_last(values: array, keep: integer) -> array", "The list without its last items.", own.all_but_last),
    ("any(values: array, test: expression) -> boolean", "Whether the test holds for an item.", own.any_of),
    ("b64encode(text: string|opaque) -> string", "Base64; of a secret a secret.", own.b64encode),
    ("count(values: array, test: expression) -> integer", "How many items pass the test.", own.count),
    ("duration(text: string) -> number", "Seconds of `90s`, `5m`, `2h30m`, `7d`.", own.duration),
    ("epoch(time: timestamp) -> number", "Seconds since 1970.", own.epoch_of),
    ("is_true(conditions: array?, types: string, ...) -> boolean", "Whether any of these has status True.", own.is_true),
    ("left(time: timestamp) -> number", "Seconds until a time; negative after it.", own.left),
    ("lookup(map: object?, key: string) -> any?", "The value of a key that is computed.", own.lookup),
    ("lower(text: string) -> string", "In lower case.", own.lower),
    ("null() -> remove", "Takes the field away.", own.remove),
    ("omit() -> omit", "This field is not mine.", own.omit),
    ("portion(part: any, whole: integer) -> integer", "A number, or a percentage, at least 1.", own.portion),
    ("replace(text: string, old: string, new: string) -> string", "Every occurrence replaced.", own.replace),
    ("semver_cmp(first: string, second: string) -> integer", "-1, 0 or 1, as versions are ordered.", own.semver_cmp),
    ("take(values: array, most: integer) -> array", "The first items.", own.take),
    ("to_yaml(value: any) -> string", "YAML of a value.", own.to_yaml),
)

_LAZY: Final = {
    name: Function(name, signature, doc, own.never, lazy, keeps_unknown=True)
    for name, signature, doc, lazy in (
        ("coalesce", "coalesce(values: any?, ...) -> any?", "The first that is not null.", own.coalesce),
        ("default", "default(value: any?, otherwise: any?) -> any?", "The second where the first is null.", own.default),
        ("error", "error(read: string) -> object?", "{code, message} of a read that failed.", own.error),
        ("failed", "failed(read: string) -> boolean", "Whether a read has no answer.", own.failed),
        ("if", "if(test: boolean, then: any?, otherwise: any?) -> any?", "One of two; only that one is looked at.", own.choose),
        ("known", "known(value: any?, otherwise: any?) -> any?", "The second where the first is unknown.", own.known),
    )
}

FUNCTIONS: Final[dict[str, Function]] = {**_STANDARD, **_OWN, **_LAZY}
