"""`python -m engine.standalone DIR [--port P] [--crds DIR] [--control SOCKET]`: the embedded API as a process of its own.

Prints one line when it serves and ends on SIGINT or SIGTERM, or with `--with-parent` when its standard
input ends, as it does when whoever started it is gone; exit code 2 when it cannot start.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
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
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait for a directory in use")
    parser.add_argument("--control", type=Path, help="a socket for orders about its callers; see `control`")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    # Blocked before the server's thread exists, so that only sigwait below receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    crds = options.crds or asset("schemas", "crds")
    api = StandaloneApi(options.directory, crds, options.port, wait_s=options.wait, control=options.control)
    try:
        api.start()
    except StandaloneError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"serving {api.address}; export KUBECONFIG={api.kubeconfig}\n")
    sys.stdout.flush()
    if options.with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    api.stop()
    return 0


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
