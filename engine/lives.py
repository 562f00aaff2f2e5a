"""One engine after the other in one process: each works by the rules of its time.

When rule files changed for the better the engine ends in order, as it does when it is told to stop, and another one
begins with the new rules; machines, API and process stay. Rules that cannot be started give way to the former ones.
Never two engines at once: what does not end ends the process. Neighbours: `app` says where to work and when to stop,
`reload` offers rules, `engine` is what lives.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine import process
from engine.base.errors import EngineError, SettingsError
from engine.base.kinds import Key
from engine.base.tenure import Tenure
from engine.bringup import Applied, Manifest, apply_all, obstacles
from engine.cli.bringup import Progress, progress
from engine.definitions import install_kinds, missing_kinds
from engine.election import Terms
from engine.engine import Engine
from engine.leader import Election
from engine.measure import Meter
from engine.ports.kube.client import KubeClient
from engine.ports.kube.events import EventRecord
from engine.ports.kube.lease import LEASE
from engine.progress import rows
from engine.reload import RuleFiles
from engine.ruleset.model import RuleSet
from engine.settings import LeaderElection, Settings

log = logging.getLogger(__name__)

_TICK_S = 0.2
_CALM_TICK_S = 2.0
"""How often the table is drawn while everything is Ready."""
_GIVE_BACK_S = 30.0
_JOBS_S: Final = 600.0
"""How long changed rules wait for what runs beside the passes, such as the upload of a backup."""


@dataclass(slots=True)
class Stay:
    """What outlives an engine: where it works, by which files, and what was applied when the first one began.

    `faulty` says what has ended of that on which all engines depend; None when nothing has.
    """

    settings: Settings
    files: RuleFiles
    kubeconfig: Path | None
    manifests: list[Manifest]
    stopping: threading.Event
    faulty: Callable[[], str | None]
    applied: list[Applied] | None = None
    deadline: float | None = None
    shown: Progress = field(default_factory=lambda: progress(sys.stdout))


def live(stay: Stay) -> int:
    """Run engines until stopped. 0: stopped or everything Ready; 1: time was up.

    Raises SettingsError, RuleErrors or RemoteError when the first one cannot begin, EngineError when one cannot end.
    """
    former: RuleSet | None = None
    while True:
        failure: EngineError | None = None
        ended: int | RuleSet = 0
        with ExitStack() as life:
            begun: list[Engine] = []
            try:
                goes_on = _begin(stay, life, begun)
            except EngineError as error:
                if former is None:
                    raise
                failure = error
            else:
                ended = _stay(stay, begun[0]) if goes_on else 0
        if failure is None and isinstance(ended, int):
            return ended
        if any(not engine.has_ended() for engine in begun):
            raise EngineError("what the engine was doing did not end, so no other one may begin beside it")
        if isinstance(ended, RuleSet) and failure is None:
            former = stay.files.take(ended)
            stay.shown.note(f"the rules changed: revision {ended.digest} in place of {former.digest}")
        elif former is not None:
            stay.files.put_back(former, str(failure))
            former = None


def _begin(stay: Stay, life: ExitStack, begun: list[Engine]) -> bool:
    """Build an engine, put it into `begun`, and start it once it leads; False when it is to stop before."""
    settings, files = stay.settings, stay.files
    rules = files.rules
    meter = Meter(rules, settings.workers)
    meter.ask("rulesLoadedAt", lambda: files.loaded_at)
    meter.ask("rulesReloaded", lambda: files.trouble is None)
    connections = settings.workers + len(rules.kinds) + 4
    tenure = Tenure.unlimited() if settings.leader_election is None else Tenure()
    client = KubeClient.connect(
        stay.kubeconfig, pool_size=connections, on_request=meter.requested, tenure=tenure
    )
    life.callback(client.close)
    engine = Engine(rules, client, settings, meter, tenure, notes={"rules": files.note})
    begun.append(engine)
    life.callback(engine.stop)
    if settings.leader_election is not None:
        election = _candidate(settings.leader_election, stay.kubeconfig, tenure, meter, life)
        if not _lead(election, engine, client, stay.stopping, life):
            return False
    if files.offered is not None:
        # It waited for long: it works by the newer rules or not at all.
        return True
    _have_kinds(client, rules)
    engine.start()
    if stay.applied is None:
        stay.applied = apply_all(client, stay.manifests)
        for line in _told(settings, stay.kubeconfig, rules):
            stay.shown.note(line)
    return True


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


def _stay(stay: Stay, engine: Engine) -> int | RuleSet:
    """Show the bring-up and keep running until stopped, or until other rules are to be worked by: those.

    With a time limit only until everything is Ready. Raises EngineError when something it depends on has ended.
    """
    was_ready = False
    tick_s, trimmed = _TICK_S, time.monotonic()
    offer_s: float | None = None
    while not stay.stopping.wait(tick_s):
        fault = stay.faulty()
        if fault is not None:
            raise EngineError(fault)
        now = time.monotonic()
        offered = stay.files.offered
        offer_s = None if offered is None else offer_s or now
        if offered is not None and offer_s is not None and (now - offer_s > _JOBS_S or not engine.has_jobs()):
            return offered
        table = rows(engine.cache, engine.rules, time.time())
        stay.shown.update(table)
        calm = bool(table) and all(row.ready for row in table) and stay.deadline is None
        tick_s = _CALM_TICK_S if calm else _TICK_S
        if now - trimmed > _GIVE_BACK_S:
            process.give_back_memory()
            trimmed = now
        reasons = _obstacles(stay, engine) if not was_ready or stay.deadline is not None else []
        if not reasons and stay.applied and not was_ready:
            was_ready = True
            stay.shown.note("everything applied is Ready")
        if stay.deadline is None:
            continue
        if not reasons:
            return 0
        if now > stay.deadline:
            stay.shown.close()
            for reason in reasons:
                sys.stderr.write(f"not ready: {reason}\n")
            return 1
    stay.shown.close()
    return 0


def _obstacles(stay: Stay, engine: Engine) -> list[str]:
    return list(obstacles(engine.client, stay.applied or []))
