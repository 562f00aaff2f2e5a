"""The command line. `main` is the console script; everything else is loaded when it is asked for.

Never computes anything itself: each module here turns flags into a call of one part of the engine, and
its answer into text. Neighbours: `app`, `ruleset`, `ports.kube`, `simulator`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_TERMINATED: Final = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 is done, 1 is failed, 2 is "not understood"."""
    if os.getpid() == 1:
        # The first process of a container gets no signal that it has no handler for (pid_namespaces(7)), so whoever
        # ended a pod in its first second would wait for the whole grace period. `run` has a handler of its own later.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    from engine.cli.program import execute

    return execute(arguments)
