"""`make bench`: measure, and print a table. Takes some minutes, most of them for a thousand machines.

`python -m tests.bench --quick` leaves those out.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.figures import shown
from tests.bench.measure import everything


def main() -> None:
    """Measure in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="talos-operator-bench-") as place:

        def folder(name: str) -> Path:
            made = Path(place) / name
            made.mkdir()
            return made

        print(shown(everything(folder, quick="--quick" in sys.argv[1:])))


if __name__ == "__main__":
    main()
