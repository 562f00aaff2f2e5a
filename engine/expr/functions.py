"""The table of functions: JMESPath's own and our few additions.

A function is added only when a rule that ships needs it. None reads a clock, a file or anything
else outside its arguments; `now` is the pass's. Neighbours: `functions_*` define, `compile`
calls, `infer_calls` reads the signatures, the documentation is made from `signature` and `doc`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from engine.expr import functions_cron, functions_lists, functions_special, functions_text
from engine.expr.signatures import ANY_NUMBER, Function
from engine.expr.tree import ExpressionSyntaxError, Node

FUNCTIONS: Final[dict[str, Function]] = {
    found.name: found
    for module in (functions_lists, functions_text, functions_special, functions_cron)
    for found in vars(module).values()
    if isinstance(found, Function)
}


def known_function(node: Node) -> Function:
    """The function that a node calls; raises ExpressionSyntaxError for an unknown one or a wrong arity."""
    found = FUNCTIONS.get(node.value)
    if found is None:
        close = get_close_matches(node.value, FUNCTIONS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(FUNCTIONS))}"
        raise ExpressionSyntaxError(
            f"no function is called {node.value}", node.offset, hint, "unknown-function"
        )
    least, most = found.arity
    if not least <= len(node.children) <= most:
        wanted = (
            str(least)
            if least == most
            else f"{least} or more"
            if most == ANY_NUMBER
            else f"{least} to {most}"
        )
        message = f"{node.value}() takes {wanted} arguments, got {len(node.children)}"
        raise ExpressionSyntaxError(message, node.offset, found.signature, "wrong-arity")
    return found
