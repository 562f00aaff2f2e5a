"""The command line. `main` is the console script; everything else is loaded when it is asked for.

Never computes anything itself: each module here turns flags into a call of one part of the engine, and
its answer into text. Neighbours: `app`, `ruleset`, `ports.kube`, `simulator`.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is done, 1 is failed, 2 is "not understood"."""
    from engine.cli.program import execute

    return execute(arguments)
