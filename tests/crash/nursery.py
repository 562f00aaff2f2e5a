"""Starts the programs of a trial: as a process of its own each, most of them out of one that has imported them already.

Half of what a trial costs is importing. The shipped program is therefore forked from a server that did that
once and nothing else (multiprocessing's forkserver); a patched copy is started anew. Promises the same of both: output
to a file, nothing on standard input, the exit code of the program. Neighbour: `world` starts and ends them.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.crash.program import ROOT, Program

_MAIN = {"engine": "engine.cli", "engine.standalone": "engine.standalone.__main__"}
"""Where the function `main` of a program is, if not in itself."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.crash.preload"])


class Child:
    """One program that was started."""

    def __init__(self, process: subprocess.Popen[bytes] | BaseProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def wait(self, deadline_s: float) -> int | None:
        """The exit code; None when it still runs then."""
        if isinstance(self._process, subprocess.Popen):
            try:
                return self._process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                return None
        self._process.join(deadline_s)
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()


def start(program: Program, module: str, arguments: Sequence[str], log: Path, *, anew: bool = False) -> Child:
    """Start `python -m module arguments` of a program; `anew`: with nothing imported before."""
    log.touch()
    if program.root == ROOT and not anew:
        process = _FORKS.Process(target=run, args=(module, list(arguments), str(log)), daemon=True)
        process.start()
        return Child(process)
    environment = {**os.environ, "PYTHONPATH": f"{program.root}:{ROOT}", "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPYCACHEPREFIX": str(program.compiled)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("ab") as output:
        return Child(
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=program.root,
                env=environment,
            )
        )


def run(module: str, arguments: list[str], log: str) -> None:
    """In the child: become that program."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(ROOT)
    sys.argv = [f"python -m {module}", *arguments]
    sys.exit(import_module(_MAIN.get(module, module)).main())
