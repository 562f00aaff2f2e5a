"""One running engine: the hops of the spine put together over one API server.

Starts the watch of every kind that the rules name, the worker threads and the servers; stops them
in the opposite order. While another engine leads it only answers probes and scrapes; whatever it reads, it reads once
it leads. Never decides anything. Neighbours: `app` builds it, `worker` runs passes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from engine.act import Actor
from engine.act.jobs import Jobs
from engine.act.kube import KubeWriter
from engine.act.lanes import Lanes
from engine.act.once import Intents
from engine.act.send import Sender
from engine.base.kinds import Key, Kind
from engine.base.tenure import Tenure
from engine.base.values import Value
from engine.capabilities.contract import Ports
from engine.capabilities.identities import Identities
from engine.capabilities.memo import Memo
from engine.capabilities.registry import all_capabilities
from engine.clockwatch import ClockWatch
from engine.endpoints import listeners
from engine.freshness import OwnWrites
from engine.health import Check
from engine.measure import Meter
from engine.nodes import Nodes
from engine.observe import Observer
from engine.observe.reads import Reader
from engine.ports.kube.client import KubeClient
from engine.ports.kube.clusters import Clusters
from engine.ports.talos.client import TalosClient
from engine.report import Reporter
from engine.ruleset.model import RuleSet
from engine.settings import Settings
from engine.streams import Streams
from engine.wake import Readers, is_status_only
from engine.watch import Cache
from engine.worker import Hops, Worker
from engine.workqueue import WorkQueue

log = logging.getLogger(__name__)

Object = Mapping[str, Any]

_STOP_TIMEOUT_S = 20.0
_CALM_S = 0.3
"""How long passes may still do what they want when the work is to be handed over."""


class Engine:
    """The parts of one engine and their life."""

    def __init__(
        self,
        rules: RuleSet,
        client: KubeClient,
        settings: Settings,
        meter: Meter,
        tenure: Tenure | None = None,
        notes: Mapping[str, Check] | None = None,
    ) -> None:
        """`tenure`: until when anything may be changed; that of the client, too. None: for ever.

        `notes` are told by /readyz and keep nothing from being ready.
        """
        self.rules = rules
        self._tenure = tenure or Tenure.unlimited()
        self._waits = False
        self._serves = False
        self._has_let_go = False
        self._meter = meter
        self.queue = WorkQueue(observer=self._meter)
        self._meter.watch(self.queue)
        self.cache = Cache(client, rules.kinds, on_demand=rules.on_demand, owners=frozenset(rules.rules))
        self._meter.ask("watches", self._heard)
        self.client = client
        self._talos = TalosClient(
            loopback_only=settings.loopback_only, on_call=self._meter.called, tenure=self._tenure
        )
        self._identities = Identities()
        self._streams = Streams(self._talos, self._identities, self._wake)
        self._meter.ask("streams", self._streams.figures)
        self._clusters = Clusters(settings.loopback_only, self._tenure)
        self._readers = Readers(frozenset(rules.rules))
        self._writes = OwnWrites(rules.rules)
        self._jobs = Jobs(self._wake)
        self.worker = Worker(self._hops(settings), self.queue)
        self._threads = [
            threading.Thread(target=self.worker.run, name=f"worker-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        self._clock = ClockWatch(self.queue.hasten)
        self._listeners = listeners(
            settings,
            client,
            self._meter,
            health={"workers": self._deaths, "watches": self._liveness},
            ready={"caches": self._readiness},
            notes=notes or {},
        )
        self.cache.subscribe(self._changed)

    def wait_in_line(self) -> None:
        """Answer probes and scrapes while another engine leads."""
        self._waits = True
        self._serve()

    def start(self) -> None:
        """Answer probes, connect the loop, fill the cache, then start the passes."""
        self._waits = False
        self._serve()
        self._talos.start()
        if any(rule.streams for rule in self.rules.rules.values()):
            self._streams.start()
        self.cache.start()
        for thread in self._threads:
            thread.start()
        self._clock.start()

    def let_go(self) -> bool:
        """Change nothing any more, so that another engine may; False when something is under way all the same."""
        self.queue.shut_down()
        self._jobs.halt()
        self.queue.drain(_CALM_S)
        self._tenure.end()
        self._has_let_go = self._tenure.wait_idle(_STOP_TIMEOUT_S)
        return self._has_let_go

    def _serve(self) -> None:
        if not self._serves:
            for listener in self._listeners:
                listener.start()
        self._serves = True

    def _readiness(self) -> str | None:
        """What is not ready; whoever waits is ready to take over, and a rollout need not wait for more."""
        return None if self._waits else self.cache.readiness()

    def _liveness(self) -> str | None:
        """Which watch has died or hangs; before they are started nothing can be wrong with them."""
        return None if self._waits else self.cache.liveness()

    def _deaths(self) -> str | None:
        """Which workers have ended though nobody told them to."""
        dead = [each.name for each in self._threads if each.ident is not None and not each.is_alive()]
        return f"ended: {', '.join(dead)}" if dead else None

    def stop(self) -> None:
        """Let running passes end, for a bounded time, then close everything."""
        self._clock.stop()
        self.queue.shut_down()
        # Passes that may change nothing any more are not waited for.
        deadline = time.monotonic() + (_CALM_S if self._has_let_go else _STOP_TIMEOUT_S)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._jobs.close(max(1.0, deadline - time.monotonic()))
        self.cache.stop()
        self._talos.close()
        for listener in self._listeners:
            listener.stop()

    def has_jobs(self) -> bool:
        """Whether something runs beside the passes that it is better to wait for."""
        return self._jobs.are_running()

    def has_ended(self) -> bool:
        """Whether, after `stop`, nothing of this engine can change anything any more."""
        return not (any(thread.is_alive() for thread in self._threads) or self._jobs.are_running())

    def _hops(self, settings: Settings) -> Hops:
        nodes = Nodes(self._talos, self._identities)
        run = self._talos.run
        cpu = threading.Lock()
        backups = settings.backup_directory
        known = {
            "backupDirectory": None if backups is None else str(backups.absolute()),
            "loopbackOnly": settings.loopback_only,
            "metaKey": settings.meta_key,
        }
        return Hops(
            rules=self.rules.rules,
            cache=self.cache,
            readers=self._readers,
            observer=Observer(Reader(self.cache, nodes, Memo()), run, known, cpu, self._jobs.states),
            actor=Actor(
                KubeWriter(self.client, self.cache, self._writes),
                Lanes(self.client),
                Intents(self.client, self._writes),
                Sender(nodes, all_capabilities(), run),
                self._jobs,
            ),
            reporter=Reporter(self.client, self._writes),
            meter=self._meter,
            streams=self._streams,
            jobs=self._jobs,
            writes=self._writes,
            ports=self._ports,
            cpu=cpu,
        )

    def _heard(self) -> list[Value]:
        """What `engine.watches` holds in the rules for metrics."""
        return [
            {"group": kind.group, "resource": kind.plural, "heard": at} for kind, at in self.cache.heard()
        ]

    def _ports(self, namespace: str) -> Ports:
        return Ports(
            talos=self._talos,
            kube=self.client,
            identities=self._identities,
            clusters=self._clusters,
            now=time.time(),
            namespace=namespace,
        )

    def _wake(self, key: Key, delay_s: float = 0.0) -> None:
        """Have an object looked at of which something was told."""
        self.queue.add(key, delay_s=delay_s, news=True)

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        """Put every object to work that this change concerns: itself, its owners, its readers."""
        seen = new if new is not None else old
        if seen is None:
            return
        woken = self._readers.woken_by(kind, old, new)
        itself = Key(kind, seen["metadata"].get("namespace", ""), seen["metadata"]["name"])
        if kind in self.rules.rules and new is not None and is_status_only(old, new):
            echo = self.queue.is_working(itself) or self._writes.made(itself, new)
            # Of what a pass itself wrote: the pass has said when it wants to run again.
            woken -= {itself} if echo else set()
        for key in woken:
            self._wake(key, 0.0 if key == itself else self.worker.patience.rest_s(key))
