"""`python -m tests.cuts.engine ORDER ...`: the engine, on a disk and with a clock that do what a trial orders.

ORDER is JSON: {"disk": {"root", "log", "full", "order": null | {"call", "does", "moment"}}, "behind": null | seconds, "part": null | bytes}. SIGUSR2 puts the
clock back by an hour. Everything else is the engine's own command line. Neighbours: `disk`, `world` starts it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from tests.cuts.disk import Disk, Order

HOUR_S = 3600.0


class _Clock:
    """What `time.time` tells the engine's own modules; to be installed before anybody has taken it.

    Libraries are told the true time: gRPC would reckon with the one here and the one of its own C at once.
    """

    def __init__(self, behind: float) -> None:
        self._real, self._behind = time.time, behind

    def __call__(self) -> float:
        asks = sys._getframe(1).f_globals.get("__name__", "")
        return self._real() - (self._behind if asks.startswith("engine.") else 0.0)

    def put_back(self, *_: object) -> None:
        self._behind += HOUR_S


def main() -> int:
    """Become the engine; its exit code."""
    told = json.loads(sys.argv[1])
    disk, behind = told["disk"], told.get("behind")
    if behind is not None:
        if "engine.engine" in sys.modules:
            raise AssertionError("with a clock of its own the engine has to be started anew")
        clock = _Clock(float(behind))
        time.time = clock
        signal.signal(signal.SIGUSR2, clock.put_back)
    order = Order(**disk["order"]) if disk["order"] else None
    Disk(Path(disk["root"]), Path(disk["log"]), Path(disk["full"]), order).install()
    if told["part"]:
        from engine.ports.stores import s3_upload

        s3_upload.PART = told["part"]
    sys.argv[1:2] = []
    from engine.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
