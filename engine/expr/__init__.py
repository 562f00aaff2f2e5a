"""The expression language of rules: JMESPath, `$name`, three-valued logic and a few functions.

Parsed to a tree with offsets, typed by `infer`, compiled once to closures.
"""

from engine.expr.facts import holds_when
from engine.expr.infer import Inference, infer
from engine.expr.scope import Namespace, Scope
from engine.expr.template import Expression, Template, compile_expression, compile_scalar
from engine.expr.tree import ExpressionSyntaxError
from engine.expr.types import Type, type_of_schema
from engine.expr.walk import Issue

__all__ = [
    "Expression",
    "ExpressionSyntaxError",
    "Inference",
    "Issue",
    "Namespace",
    "Scope",
    "Template",
    "Type",
    "compile_expression",
    "compile_scalar",
    "holds_when",
    "infer",
    "type_of_schema",
]
