"""`python -m engine.simulator FOLDER MACHINES FIRST_ADDRESS [SPEED [VERSIONS [DISKS]]]`: a simulator for tests.

People use `talos-operator simulate`, which has help.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.base.errors import SettingsError
from engine.simulator import SimulatorSettings, run
from engine.simulator.hardware import DEFAULT_DISKS


def main(arguments: list[str]) -> int:
    """Run and give the exit code: 2 for unusable settings."""
    folder, machines, first = Path(arguments[0]), int(arguments[1]), arguments[2]
    speed = float(arguments[3]) if len(arguments) > 3 else 1.0
    versions = tuple(arguments[4].split(",")) if len(arguments) > 4 else ("v1.13.0",)
    disks = [texts.split(",") for texts in arguments[5].split("/")] if len(arguments) > 5 else [DEFAULT_DISKS]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        sets = tuple(tuple(texts) for texts in disks)
        run(SimulatorSettings(machines, first, folder, folder / "calls.jsonl", speed, versions, sets))
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
