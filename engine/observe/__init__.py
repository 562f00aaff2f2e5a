"""Read everything that a rule declares about one object, as concurrently as its references allow.

`snapshot` is the entry; `reads` resolves one declared read to something to do, `answers` turns
what came back into a value. Never writes anywhere.
"""

from engine.observe.snapshot import Observer

__all__ = ["Observer"]
