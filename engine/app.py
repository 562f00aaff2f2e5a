"""The composition root: load the rules, start what the engine stands on, let it live, stop all in order.

Nothing is decided here. `run` stays until a signal, a time limit or a failure; whatever it started it stops, the
simulated machines included. Neighbours: the command line calls `run`; `lives` puts engines together.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import ExitStack

from engine import process
from engine.base.assets import asset
from engine.base.log import configure
from engine.bringup import read_files
from engine.companion import Companion
from engine.embedded import EmbeddedApi
from engine.lives import Stay, live
from engine.reload import RuleFiles
from engine.ruleset.catalog import load_catalog
from engine.ruleset.load import load_rules
from engine.ruleset.settle import settled
from engine.settings import Settings

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run until stopped. 0: stopped by a signal or everything Ready; 1: time was up.

    Raises SettingsError and RuleErrors, with nothing left running.
    """
    process.tune()
    configure(settings.log_format)
    paths = settings.rules or (asset("rules"),)
    files = RuleFiles(paths, lambda: settled(load_rules(paths, load_catalog(asset("schemas")))))
    manifests = read_files(settings.apply)
    stopping = threading.Event()
    # Before anything is started: whoever stops us half-way must not leave machines running.
    _on_signals(stopping)
    with ExitStack() as stack:
        api = _own_cluster(settings, stack)
        stay = Stay(
            settings=settings,
            files=files,
            kubeconfig=settings.kubeconfig if api is None else api.kubeconfig,
            manifests=manifests,
            stopping=stopping,
            faulty=lambda: _fault(api),
        )
        files.start()
        stack.callback(files.stop)
        if settings.until_ready_s is not None:
            stay.deadline = time.monotonic() + settings.until_ready_s
        return live(stay)


def _fault(api: EmbeddedApi | None) -> str | None:
    has_ended = api is not None and api.has_ended
    return f"the embedded API has ended; {api.log} says why" if api is not None and has_ended else None


def _own_cluster(settings: Settings, stack: ExitStack) -> EmbeddedApi | None:
    """The embedded API and the simulated machines where asked for."""
    if settings.standalone is None:
        return None
    folder = settings.standalone.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    api = EmbeddedApi(folder)
    api.start()
    stack.callback(api.stop)
    # Whoever has the folder has its machines too: they are another engine's until the API says otherwise.
    api.wait_until_ready()
    if settings.simulate:
        companion = Companion(folder, settings.simulate)
        found = companion.start()
        stack.callback(companion.stop)
        log.info("%d simulated machines %s", settings.simulate, "found running" if found else "started")
    return api


def _on_signals(stopping: threading.Event) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
