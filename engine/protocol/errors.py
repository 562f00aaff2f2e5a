"""The one error of this package: a value does not fit a message.

Neighbour: `encode` raises it.
"""

from __future__ import annotations

from engine.base.errors import ExpressionError


class MessageError(ExpressionError):
    """A value does not fit a Talos message.

    `path` leads to the place (`devices[0].method`), `hint` says what would fit; neither holds the value, which
    may be a secret.
    """

    def __init__(self, message: str, path: str, hint: str = "") -> None:
        super().__init__(f"{path}: {message}; {hint}" if hint else f"{path}: {message}")
        self.message = message
        self.path = path
        self.hint = hint
