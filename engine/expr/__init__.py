"""The expression language of rules: JMESPath, `$name`, three-valued logic and a few functions.

Parsed to a tree with offsets, typed by `infer`, compiled once to closures.
"""

from engine.expr.parse import ExpressionSyntaxError
from engine.expr.scope import Namespace, Scope
from engine.expr.template import Expression, Template, compile_expression, compile_scalar

__all__ = [
    "Expression",
    "ExpressionSyntaxError",
    "Namespace",
    "Scope",
    "Template",
    "compile_expression",
    "compile_scalar",
]
