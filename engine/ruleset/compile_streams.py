"""`on.streams:` compiled: which resources of the object's machine wake it when they change.

What such a stream tells is not read by anybody, so even a resource with keys may be named. Neighbours:
`compile_rule` calls it, `compile_reads` knows the resources, `engine.streams` takes the result.
"""

from __future__ import annotations

from engine.base.yamlnodes import ListNode, MapNode, Node
from engine.ruleset.compile_context import TEXT, Compiler, get, text
from engine.ruleset.compile_reads import cosi_type
from engine.ruleset.model import StreamRule
from engine.ruleset.model_values import Connect
from engine.ruleset.units import Unit

_WATCH = "cosi.resource.State/Watch"


def compile_streams(
    compiler: Compiler, units: dict[str, Unit], node: Node | None
) -> tuple[tuple[StreamRule, ...], Connect | None]:
    """The streams of a rule, and how their machine is reached."""
    if not isinstance(node, ListNode):
        return (), None
    unit = units["on.streams"] = Unit("rule", "on.streams", node)
    compiler.operations.add(_WATCH)
    connect = compiler.connection(unit, None)
    streams = [_stream(compiler, unit, item) for item in node.items if isinstance(item, MapNode)]
    return tuple(each for each in streams if each is not None), connect


def _stream(compiler: Compiler, unit: Unit, node: MapNode) -> StreamRule | None:
    single = get(node, "get")
    when = compiler.all_of(unit, get(node, "when"), "test")
    wanted = compiler.use(unit, get(node, "id"), "name", TEXT)
    if cosi_type(compiler, node) is None:
        return None
    return StreamRule(
        verb="get" if single is not None else "list",
        type=text(single if single is not None else get(node, "list")),
        id=wanted,
        when=when,
    )
