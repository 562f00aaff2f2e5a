"""The spine over the embedded API: a namespace for each test, a cache, an actor, a worker.

Everything is the real part, put together as `engine` does; only the capabilities are the tests' own.
Neighbours: `world` has the rules, `conftest` starts the server.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.act import Actor
from engine.act.jobs import Jobs
from engine.act.kube import KubeWriter
from engine.act.lanes import Lanes
from engine.act.once import Intents
from engine.act.perform import Performed
from engine.act.send import Sender
from engine.base.errors import Missing
from engine.base.kinds import Key, Kind
from engine.capabilities.contract import Ports
from engine.capabilities.identities import Identities
from engine.capabilities.memo import Memo
from engine.definitions import install_kinds
from engine.freshness import OwnWrites
from engine.measure import Meter
from engine.nodes import Nodes
from engine.observe import Observer
from engine.observe.reads import Reader
from engine.ports.kube.client import KubeClient
from engine.ports.kube.clusters import Clusters
from engine.ports.kube.transport import RequestRecord
from engine.ports.talos.client import TalosClient
from engine.report import Reporter
from engine.ruleset.model import RuleSet
from engine.standalone import StandaloneApi
from engine.streams import Streams
from engine.wake import Readers
from engine.watch import Cache
from engine.worker import Hops, PassEnd, Worker
from engine.workqueue import WorkQueue
from tests.unit.spine.capabilities import TEST_CAPABILITIES
from tests.unit.spine.world import CONFIG_MAP, SECRET, WIDGET, catalog, decided, rules_of

LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
EVENT = Kind("", "v1", "Event", "events")
_NUMBERS = itertools.count()
IDLE = "act: []"


def until(what: str, test: Callable[[], Any], deadline_s: float = 10.0) -> Any:
    """Ask until the answer is true; fails at the deadline."""
    end = time.monotonic() + deadline_s
    while not (answer := test()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)
    return answer


@dataclass
class Server:
    """One namespace of the embedded API."""

    client: KubeClient
    namespace: str
    requests: list[RequestRecord] = field(default_factory=list)

    def key(self, name: str = "w", kind: Kind = WIDGET) -> Key:
        return Key(kind, self.namespace, name)

    def make(self, name: str = "w", kind: Kind = WIDGET, **parts: Any) -> dict[str, Any]:
        """Create an object; `spec`, `data` and so on as given, everything else is metadata."""
        body = {part: parts.pop(part) for part in ("spec", "data", "stringData") if part in parts}
        status = parts.pop("status", None)
        made = self.client.create(kind, self.namespace, {"metadata": {"name": name, **parts}, **body})
        return made if status is None else self.client.patch_status(self.key(name, kind), {"status": status})

    def get(self, name: str = "w", kind: Kind = WIDGET) -> dict[str, Any] | None:
        """The object as the server has it, or None."""
        try:
            return self.client.get(self.key(name, kind))
        except Missing:
            return None

    def all(self, kind: Kind) -> list[dict[str, Any]]:
        return [item for page in self.client.list_pages(kind, self.namespace) for item in page.items]

    def writes(self) -> list[str]:
        """The methods of all requests so far that could change something, events apart."""
        return [item.method for item in self.requests if item.method not in ("GET", "LIST", "WATCH")]

    def events(self) -> list[tuple[str, str, str]]:
        """Type, reason and message of all events here."""
        return [(item["type"], item["reason"], item["message"]) for item in self.all(EVENT)]


@contextmanager
def serve(api: StandaloneApi) -> Iterator[Server]:
    requests: list[RequestRecord] = []
    client = KubeClient.connect(api.kubeconfig, on_request=requests.append)
    install_kinds(client, rules_of(IDLE))
    namespace = f"n{next(_NUMBERS)}"
    client.create(NAMESPACE, "", {"metadata": {"name": namespace}})
    requests.clear()
    made = Server(client, namespace, requests)
    try:
        yield made
    finally:
        for item in made.all(WIDGET):
            key = made.key(item["metadata"]["name"])
            client.patch(key, {"metadata": {"finalizers": None}})
            with suppress(Missing):
                client.delete(key)
        client.close()


class Spine:
    """All hops over one server, without threads of its own but for the watches and the loop."""

    def __init__(self, server: Server, text: str = IDLE, *, now: Callable[[], float] = time.time) -> None:
        self.server = server
        self.rules: RuleSet = rules_of(text)
        self.rule = self.rules.rules[WIDGET]
        self.now = now
        self.ticks = 0.0
        self.writes = OwnWrites(self.rules.rules)
        self.cache = Cache(
            server.client, {WIDGET, SECRET, CONFIG_MAP}, on_demand={SECRET, CONFIG_MAP}, owners={WIDGET}
        )
        self.readers = Readers(frozenset(self.rules.rules))
        self.meter = Meter(self.rules, 1)
        self.queue = WorkQueue()
        self.talos = TalosClient(loopback_only=True)
        self.cpu = threading.Lock()
        self.identities = Identities()
        self.jobs = Jobs(self.queue.add, clock=now, monotonic=now)

    @cached_property
    def writer(self) -> KubeWriter:
        return KubeWriter(self.server.client, self.cache, self.writes)

    @cached_property
    def lanes(self) -> Lanes:
        return Lanes(self.server.client, lambda: self.ticks)

    @cached_property
    def intents(self) -> Intents:
        return Intents(self.server.client, self.writes, self.now)

    @cached_property
    def actor(self) -> Actor:
        capabilities = {**catalog().capabilities, **TEST_CAPABILITIES}
        sender = Sender(self.nodes, capabilities, self.talos.run)
        return Actor(self.writer, self.lanes, self.intents, sender, self.jobs)

    @cached_property
    def nodes(self) -> Nodes:
        return Nodes(self.talos, self.identities)

    @cached_property
    def observer(self) -> Observer:
        settings = {"backupDirectory": None, "metaKey": False, "loopbackOnly": True}
        reader = Reader(self.cache, self.nodes, Memo())
        return Observer(reader, self.talos.run, settings, self.cpu, self.jobs.states)

    @cached_property
    def reporter(self) -> Reporter:
        return Reporter(self.server.client, self.writes)

    @cached_property
    def worker(self) -> Worker:
        hops = Hops(
            rules=self.rules.rules,
            cache=self.cache,
            readers=self.readers,
            observer=self.observer,
            actor=self.actor,
            reporter=self.reporter,
            meter=self.meter,
            streams=Streams(
                self.talos, self.identities, lambda key, delay_s: self.queue.add(key, delay_s=delay_s)
            ),
            jobs=self.jobs,
            writes=self.writes,
            ports=self.ports,
            cpu=self.cpu,
        )
        return Worker(hops, self.queue)

    def ports(self, namespace: str = "") -> Ports:
        return Ports(
            talos=self.talos,
            kube=self.server.client,
            identities=self.identities,
            clusters=Clusters(loopback_only=True),
            now=self.now(),
            namespace=namespace or self.server.namespace,
        )

    def caught_up(self, name: str = "w", kind: Kind = WIDGET) -> Mapping[str, Any] | None:
        """The cached object, once the cache shows what the server has."""
        live = self.server.get(name, kind)
        version = live["metadata"]["resourceVersion"] if live else None

        def seen() -> bool:
            found = self.cache.get(self.server.key(name, kind))
            return (found["metadata"]["resourceVersion"] if found else None) == version

        until("the cache has caught up", seen)
        return self.cache.get(self.server.key(name, kind))

    def act(self, text: str, name: str = "w", **answers: Any) -> Performed:
        """Decide one pass with these answers over what the cache has, and carry it out."""
        live = self.caught_up(name)
        made = decided(text, live, now=self.now(), **answers)
        self.server.requests.clear()
        return self.actor.perform(made.rule, made.plan, made.snapshot.object, self.ports())

    def turn(self, name: str = "w") -> PassEnd:
        """One pass over a Widget, on a cache that has caught up."""
        self.caught_up(name)
        return self.worker.pass_over(self.rule, self.server.key(name))


@contextmanager
def spine(server: Server, text: str = IDLE, **options: Any) -> Iterator[Spine]:
    made = Spine(server, text, **options)
    made.talos.start()
    made.cache.start()
    server.requests.clear()
    try:
        yield made
    finally:
        made.queue.shut_down()
        made.cache.stop()
        made.talos.close()
