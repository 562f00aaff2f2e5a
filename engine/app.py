"""The composition root: build the parts, start them, keep them running, stop them in order.

Nothing is decided here. `run` builds an Engine for the given Settings and stays with it until a
signal, a time limit or a failure; whatever it started it stops, the simulated machines included.
Neighbours: the command line calls `run`; every part below is put together here and nowhere else.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from engine import process
from engine.base.assets import asset
from engine.base.errors import EngineError, SettingsError
from engine.base.kinds import Key
from engine.base.log import configure
from engine.base.tenure import Tenure
from engine.bringup import Applied, apply_all, obstacles, read_files
from engine.cli.bringup import Progress, progress
from engine.companion import Companion
from engine.definitions import install_kinds, missing_kinds
from engine.election import Terms
from engine.embedded import EmbeddedApi
from engine.engine import Engine
from engine.leader import Election
from engine.measure import Meter
from engine.ports.kube.client import KubeClient
from engine.ports.kube.events import EventRecord
from engine.ports.kube.lease import LEASE
from engine.progress import rows
from engine.ruleset.catalog import load_catalog
from engine.ruleset.load import load_rules
from engine.ruleset.model import RuleSet
from engine.settings import LeaderElection, Settings

log = logging.getLogger(__name__)

_TICK_S = 0.2
_CALM_TICK_S = 2.0
"""How often the table is drawn while everything is Ready."""
_GIVE_BACK_S = 60.0


def run(settings: Settings) -> int:
    """Run until stopped. 0: stopped by a signal or everything Ready; 1: time was up.

    Raises SettingsError and RuleErrors, with nothing left running.
    """
    process.tune()
    configure(settings.log_format)
    rules = load_rules(settings.rules or (asset("rules"),), load_catalog(asset("schemas")))
    manifests = read_files(settings.apply)
    stopping = threading.Event()
    # Before anything is started: whoever stops us half-way must not leave machines running.
    _on_signals(stopping)
    with ExitStack() as stack:
        api = _own_cluster(settings, stack)
        kubeconfig = settings.kubeconfig if api is None else api.kubeconfig
        meter = Meter(rules, settings.workers)
        connections = settings.workers + len(rules.kinds) + 4
        tenure = Tenure.unlimited() if settings.leader_election is None else Tenure()
        client = KubeClient.connect(
            kubeconfig, pool_size=connections, on_request=meter.requested, tenure=tenure
        )
        stack.callback(client.close)
        engine = Engine(rules, client, settings, meter, tenure)
        stack.callback(engine.stop)
        if settings.leader_election is not None:
            election = _candidate(settings.leader_election, kubeconfig, tenure, meter, stack)
            if not _lead(election, engine, client, stopping, stack):
                return 0
        _have_kinds(client, rules)
        engine.start()
        applied = apply_all(client, manifests)
        shown = progress(sys.stdout)
        for line in _told(settings, kubeconfig, rules):
            shown.note(line)
        return _stay(engine, client, applied, settings, stopping, shown, api)


def _have_kinds(client: KubeClient, rules: RuleSet) -> None:
    install_kinds(client, rules)
    missing = missing_kinds(client, rules)
    if missing:
        raise SettingsError(f"the cluster has no {', '.join(missing)}; apply schemas/crds first")


def _candidate(
    asked: LeaderElection, kubeconfig: Path | None, tenure: Tenure, meter: Meter, stack: ExitStack
) -> Election:
    """A candidate with a connection of its own, which waits for nobody else's requests."""
    deadline_s = max(1.0, asked.renew_s / 2)
    client = KubeClient.connect(kubeconfig, pool_size=1, deadline_s=deadline_s, on_request=meter.requested)
    stack.callback(client.close)
    key = Key(LEASE, asked.namespace or client.namespace, asked.name)
    terms = Terms(lease_s=asked.lease_s, renew_s=asked.renew_s, retry_s=asked.retry_s)
    election = Election(client, key, terms, tenure, process.end_at_once)
    meter.ask("elections", lambda: [{"name": asked.name, "leads": election.leads}])
    return election


def _lead(
    election: Election, engine: Engine, client: KubeClient, stopping: threading.Event, stack: ExitStack
) -> bool:
    """Wait until this process leads, and have it hand its work over at its end; False when it is to stop before."""
    engine.wait_in_line()
    if not election.campaign(stopping):
        return False

    def tell(what: str) -> None:
        if election.lease is not None:
            text = f"{election.identity} {what}"
            client.emit(EventRecord(election.lease, "Normal", "LeaderElection", text, election.identity))

    def hand_over() -> None:
        if engine.let_go():
            election.release()
            tell("stopped leading")

    stack.callback(hand_over)
    tell("became leader")
    return True


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


def _told(settings: Settings, kubeconfig: Path | None, rules: RuleSet) -> Iterator[str]:
    """Where things are, for whoever started the engine."""
    if settings.standalone is not None:
        kinds = ",".join(sorted(kind.plural for kind in rules.rules))
        yield f"objects: kubectl --kubeconfig {kubeconfig} get {kinds}"
    if settings.metrics_bind_address is not None:
        scheme = "https" if settings.metrics_secure else "http"
        yield f"metrics: {scheme}://{settings.metrics_bind_address}/metrics"
    if settings.calls is not None:
        yield f"calls to the simulated machines: {settings.calls}"


def _stay(
    engine: Engine,
    client: KubeClient,
    applied: list[Applied],
    settings: Settings,
    stopping: threading.Event,
    shown: Progress,
    api: EmbeddedApi | None,
) -> int:
    """Show the bring-up and keep running; with a time limit, only until everything is Ready.

    Raises EngineError when the embedded API, if there is one, has ended.
    """
    deadline = None if settings.until_ready_s is None else time.monotonic() + settings.until_ready_s
    was_ready = False
    tick_s, trimmed = _TICK_S, time.monotonic()
    while not stopping.wait(tick_s):
        if api is not None and api.has_ended:
            raise EngineError(f"the embedded API has ended; {api.log} says why")
        table = rows(engine.cache, engine.rules, time.time())
        shown.update(table)
        calm = bool(table) and all(row.ready for row in table) and deadline is None
        tick_s = _CALM_TICK_S if calm else _TICK_S
        if time.monotonic() - trimmed > _GIVE_BACK_S:
            process.give_back_memory()
            trimmed = time.monotonic()
        reasons = obstacles(client, applied) if not was_ready or deadline is not None else []
        if not reasons and applied and not was_ready:
            was_ready = True
            shown.note("everything applied is Ready")
        if deadline is None:
            continue
        if not reasons:
            return 0
        if time.monotonic() > deadline:
            shown.close()
            for reason in reasons:
                sys.stderr.write(f"not ready: {reason}\n")
            return 1
    shown.close()
    return 0


def _on_signals(stopping: threading.Event) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
