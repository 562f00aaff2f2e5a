"""`python -m engine.standalone DIR [--port P] [--crds DIR]`: the embedded API as a process of its own.

Prints one line when it serves and ends on SIGINT or SIGTERM; exit code 2 when it cannot start.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from engine.base.assets import asset
from engine.standalone.failures import StandaloneError
from engine.standalone.server import StandaloneApi


def main() -> int:
    """Serve until a signal; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.standalone", description=__doc__)
    parser.add_argument("directory", type=Path, help="where its state and its kubeconfig lie")
    parser.add_argument("--port", type=int, default=0, help="0: that of the last run, or a free one")
    parser.add_argument("--crds", type=Path, help="a folder of CustomResourceDefinitions (*.yaml)")
    options = parser.parse_args()
    # Blocked before the server's thread exists, so that only sigwait below receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    api = StandaloneApi(options.directory, options.crds or asset("schemas", "crds"), options.port)
    try:
        api.start()
    except StandaloneError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"serving {api.address}; export KUBECONFIG={api.kubeconfig}\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    api.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
