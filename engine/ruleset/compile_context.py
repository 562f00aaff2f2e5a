"""What compiling any section needs: nodes to forms, durations, kinds and capabilities by name.

Every mistake goes to the report and compiling goes on with something harmless in its place.
Neighbours: `build` makes the forms; the other `compile_*` modules take a Compiler.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.base.kinds import Kind
from engine.base.yamlnodes import ListNode, MapNode, Node, ScalarNode, plain
from engine.capabilities.contract import Capability
from engine.ruleset.build import Builder
from engine.ruleset.catalog import Catalog
from engine.ruleset.errors import Report, suggest
from engine.ruleset.forms import AllForm, Compiled, LiteralForm
from engine.ruleset.model_values import Connect, ForEach, Position
from engine.ruleset.units import Role, Schema, Unit, Use

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
DURATION_PATTERN: Final = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

BOOLEAN: Final[Schema] = {"type": "boolean"}
TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": "string", "nullable": True}
LIST: Final[Schema] = {"type": "array", "items": {}}
TEXT_MAP: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}, "nullable": True}
OPAQUE: Final[Schema] = {"type": "string", "x-opaque": True}


def seconds_of(text: str) -> float:
    """`1h30m` in seconds; the shape was checked before."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


def position_of(node: Node) -> Position:
    """Where a node stands."""
    return Position(node.source.name, node.line, node.column)


def get(node: Node | None, key: str) -> Node | None:
    """The value of `key` in a map node, or None."""
    return node.values.get(key) if isinstance(node, MapNode) else None


def text(node: Node | None) -> str:
    """A scalar's text, "" for anything else."""
    return node.text if isinstance(node, ScalarNode) else ""


class Compiler:
    """Holds what all sections of one rule share."""

    def __init__(self, builder: Builder, catalog: Catalog, report: Report) -> None:
        self.builder = builder
        self.catalog = catalog
        self.report = report
        self.kinds: set[Kind] = set()
        self.operations: set[str] = set()
        self.connect_node: MapNode | None = None

    def use(
        self, unit: Unit, node: Node | None, role: Role, schema: Schema | None = None, *, opaque: bool = False,
        made: bool = False, once: bool = False, inside: bool = True, partial: bool = False,
    ) -> Compiled | None:  # fmt: skip
        """The form of `node`, noted in `unit`; None when there is no node."""
        if node is None:
            return None
        form = self.builder.form(node, picked=role == "pick")
        unit.uses.append(Use(form, role, schema, opaque, made, once, partial, inside))
        return form

    def need(
        self, unit: Unit, node: Node | None, role: Role, schema: Schema | None = None, *, opaque: bool = False,
        made: bool = False, once: bool = False, inside: bool = True, partial: bool = False,
    ) -> Compiled:  # fmt: skip
        """As `use`, with an empty literal in place of what is missing (reported as a mistake of shape)."""
        form = self.use(
            unit, node, role, schema, opaque=opaque, made=made, once=once, inside=inside, partial=partial
        )
        return form if form is not None else LiteralForm(unit.node, None)

    def tests(self, unit: Unit, node: Node | None, role: Role, *, once: bool = False) -> tuple[Compiled, ...]:
        """The tests of a `when`: one or a list, of which all must hold."""
        nodes = node.items if isinstance(node, ListNode) else (node,) if node is not None else ()
        return tuple(self.need(unit, item, role, BOOLEAN, once=once) for item in nodes)

    def all_of(self, unit: Unit, node: Node | None, role: Role) -> Compiled | None:
        """The tests of a `when` as one form."""
        tests = self.tests(unit, node, role)
        if node is None or len(tests) <= 1:
            return tests[0] if tests else None
        return AllForm(node, tests)

    def for_each(self, unit: Unit, node: Node | None) -> ForEach | None:
        """`forEach: {in, as, key}`; the item's name becomes visible in the unit."""
        if not isinstance(node, MapNode):
            return None
        items = self.need(unit, get(node, "in"), "items", LIST, inside=False)
        name = text(get(node, "as"))
        unit.locals[name] = items
        return ForEach(items=items, name=name, key=self.need(unit, get(node, "key"), "key", TEXT))

    def connection(self, unit: Unit, node: Node | None, *, once: bool = False) -> Connect:
        """How the node is reached: the keys of the step or read, then those of the file."""

        def pick(key: str) -> Node | None:
            own = get(node, key)
            return own if own is not None else get(self.connect_node, key)

        if pick("endpoint") is None:
            self.report.add(
                unit.node,
                "no-connection",
                "nothing says which node this goes to",
                "add `connect: {endpoint, identity}`",
            )
        return Connect(
            endpoint=self.need(unit, pick("endpoint"), "connect", TEXT, once=once),
            identity=self.use(unit, pick("identity"), "identity", OPAQUE, opaque=True),
            insecure=self.use(unit, pick("insecure"), "connect", BOOLEAN),
        )

    def kind(self, node: Node | None) -> Kind | None:
        """A kind by its name; unknown ones are reported."""
        name = text(node)
        found = self.catalog.kinds.get(name)
        if found is None and node is not None:
            self.report.add(
                node, "unknown-kind", f"no kind `{name}` is known", suggest(name, self.catalog.kinds)
            )
        if found is not None:
            self.kinds.add(found)
        return found

    def capability(self, node: Node | None) -> Capability | None:
        """A capability by its name; unknown ones are reported."""
        name = text(node)
        found = self.catalog.capabilities.get(name)
        if found is None and node is not None:
            hint = suggest(name, self.catalog.capabilities)
            self.report.add(node, "unknown-capability", f"no capability `{name}` is known", hint)
        if found is not None:
            self.operations.update(found.talos_methods)
        return found

    def duration(self, node: Node | None) -> float | None:
        """A fixed duration in seconds."""
        return seconds_of(text(node)) if isinstance(node, ScalarNode) else None


def texts(node: Node | None) -> frozenset[str]:
    """The items of a list of words."""
    return frozenset(str(item) for item in plain(node)) if isinstance(node, ListNode) else frozenset()


def property_schema(schema: Schema, name: str) -> Schema | None:
    """The schema of one property, or None when there is none."""
    found = schema.get("properties", {}).get(name)
    return found if isinstance(found, Mapping) else None
