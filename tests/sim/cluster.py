"""A cluster on simulated machines as its user sees it: objects that are edited, and what came of them.

Promises that every wait has a deadline and says what it waited for. Neighbours: `shipped` runs the
program; the tests of `sim` and `faults`.
"""

from __future__ import annotations

import base64
import copy
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.base.kinds import Key, Kind
from engine.base.yamltext import load_documents
from engine.machineconfig.identity import read_credentials
from engine.ports.kube.clusters import Administrator, Clusters
from engine.protocol import message_class
from tests.sim.shipped import API, QUICKSTART, Shipped, free_port, is_ready, shipped, until
from tests.unit.simulator.simulator_client import Client

BOOTSTRAP = "machine.MachineService/Bootstrap"
APPLY = "machine.MachineService/ApplyConfiguration"
RESET = "machine.MachineService/Reset"
LEAVE = "machine.MachineService/EtcdLeaveCluster"
NAME = "quickstart"
MODE = "talos.alperen.cloud/reconcile-mode"

_NODE = Kind("", "v1", "Node", "nodes", namespaced=False)

Document = dict[str, Any]


def quickstart(
    controls: int = 3, workers: int = 2, *, change: Callable[[Document], None] | None = None
) -> Document:
    """The shipped example with so many machines; the workers' addresses begin at 127.0.1.4."""
    (document,) = load_documents(QUICKSTART.read_text())
    document = copy.deepcopy(document)
    spec = document["spec"]
    spec["controlPlane"]["metalSpec"]["machines"] = addresses(1, controls)
    spec["worker"]["metalSpec"]["machines"] = addresses(4, workers)
    if not workers:
        del spec["worker"]
    if change is not None:
        change(document)
    return document


def addresses(first: int, count: int) -> list[dict[str, str]]:
    """Entries of `metalSpec.machines`."""
    return [{"address": f"127.0.1.{first + index}"} for index in range(count)]


def patched(document: Document, patch: Mapping[str, Any], *parts: str) -> Document:
    """A copy in which these parts (default: both) have this one configuration patch."""
    changed = copy.deepcopy(document)
    for part in parts or ("controlPlane", "worker"):
        changed["spec"][part]["metalSpec"].setdefault("machineSpec", {})["configPatches"] = [patch]
    return changed


class Cluster:
    """One run with a client of its API."""

    def __init__(self, run: Shipped, metrics_port: int = 0) -> None:
        self.run = run
        self.client = run.client()
        self.address = f"http://127.0.0.1:{metrics_port}/metrics"

    def metrics(self) -> str:
        """What is exposed now."""
        with urllib.request.urlopen(self.address, timeout=5) as answer:
            return str(answer.read().decode())

    def apply(self, document: Mapping[str, Any]) -> None:
        """Apply an object as a user of kubectl would."""
        kind = self.client.kind_named(document["apiVersion"], document["kind"])
        namespace = document["metadata"].get("namespace", "default")
        key = Key(kind, namespace, document["metadata"]["name"])
        self.client.apply(key, document, manager="talos-operator-apply")

    def annotate(self, kind: str, name: str, key: str, value: str | None) -> None:
        """Set or remove one annotation."""
        target = Key(self.client.kind_named(API, kind), "default", name)
        self.client.patch(target, {"metadata": {"annotations": {key: value}}})

    def delete(self, kind: str, name: str) -> None:
        """Ask for an object's end."""
        self.client.delete(Key(self.client.kind_named(API, kind), "default", name))

    def find(self, kind: str, name: str, api: str = API) -> dict[str, Any] | None:
        """One object, None when it is not there."""
        return self.run.find(self.client, kind, name, api)

    def get(self, kind: str, name: str, api: str = API) -> dict[str, Any]:
        """One object that has to be there."""
        found = self.find(kind, name, api)
        assert found is not None, f"no {kind} {name}"
        return found

    def names(self, kind: str, api: str = API) -> set[str]:
        """The names of all objects of a kind."""
        return {item["metadata"]["name"] for item in self.run.all_of(self.client, kind, api)}

    def condition(self, kind: str, name: str, sort: str) -> dict[str, Any]:
        """One condition of an object; empty while it has none."""
        found = self.find(kind, name) or {}
        conditions = found.get("status", {}).get("conditions", ())
        return next((item for item in conditions if item["type"] == sort), {})

    def says(self, kind: str, name: str, sort: str, reason: str, *, deadline_s: float = 30) -> dict[str, Any]:
        """Wait until a condition has this reason, and give it."""

        def told() -> dict[str, Any] | None:
            found = self.condition(kind, name, sort)
            return found if found.get("reason") == reason else None

        what = f"{kind} {name} says {sort} {reason}; it says {self.condition(kind, name, sort)}"
        found: dict[str, Any] = until(what, told, deadline_s=deadline_s)
        return found

    def is_ready(self, kind: str = "TalosCluster", name: str = NAME) -> bool:
        """Whether the newest spec of an object is Ready."""
        found = self.find(kind, name)
        if found is None or not is_ready(found):
            return False
        return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])

    def ready(self, kind: str = "TalosCluster", name: str = NAME, *, deadline_s: float = 60) -> None:
        """Wait until it is; fails with what the objects say."""
        try:
            until(f"{kind} {name} is ready", lambda: self.is_ready(kind, name), deadline_s=deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run.log()}") from None

    def gone(self, kind: str, name: str, *, deadline_s: float = 60) -> None:
        """Wait until an object is gone."""
        until(f"{kind} {name} is gone", lambda: self.find(kind, name) is None, deadline_s=deadline_s)

    def secret(self, name: str) -> dict[str, str]:
        """The texts of a Secret."""
        data = self.get("Secret", name, "v1").get("data", {})
        return {key: base64.b64decode(text).decode() for key, text in data.items()}

    def events(self) -> list[dict[str, Any]]:
        """Every event in the namespace."""
        return self.run.all_of(self.client, "Event", "events.k8s.io/v1")

    def calls(self, method: str, *, ok: bool = True) -> list[str]:
        """The machines that received a call, in order; refused ones too when not `ok`."""
        return [
            call["machine"]
            for call in self.run.calls()
            if call["method"] == method and (call["code"] == "OK" or not ok)
        ]

    def nodes(self, name: str = NAME) -> set[str]:
        """The addresses of the Nodes in the cluster's own Kubernetes API, by its published kubeconfig."""
        found = read_credentials(self.secret(f"{name}-kubeconfig")["kubeconfig"])
        who = Administrator(found.ca, found.client.crt, found.client.key)
        client = Clusters(loopback_only=True).client(found.endpoints[0], who, deadline_s=5)
        try:
            items = [item for page in client.list_pages(_NODE) for item in page.items]
        finally:
            client.close()
        return {item["status"]["addresses"][0]["address"] for item in items}

    def machine_api(self, address: str, name: str = NAME) -> Client:
        """A Talos client of one machine with the published talosconfig."""
        found = read_credentials(self.secret(f"{name}-talosconfig")[f"{name}.talosconfig"])
        return Client(address, found.ca, found.client)

    def configuration(self, address: str, name: str = NAME) -> str:
        """The configuration that a machine runs, keys included."""
        wanted = {"namespace": "config", "type": "MachineConfigs.config.talos.dev", "id": "v1alpha1"}
        with self.machine_api(address, name) as machine:
            reply = machine.message("cosi.resource.State/Get", wanted)
        spec: Any = message_class("resource.config.MachineConfigSpec").FromString(
            reply.resource.spec.proto_spec
        )
        return str(bytes(spec.yaml_marshalled).decode())

    def etcd_leader(self, address: str = "127.0.1.1") -> str:
        """The address of etcd's leader, asked of one member."""
        with self.machine_api(address) as machine:
            reply = machine.call("machine.MachineService/EtcdStatus")
        leader = reply["messages"][0]["member_status"]["leader"]
        members = {int(each["etcd_member"] or "0", 16): at for at, each in self.run.machines().items()}
        return members[leader]


def is_down(machine: Mapping[str, Any]) -> bool:
    """Whether a configured machine is out of service at the moment."""
    return machine["configured"] and not (machine["stage"] == "running" and machine["ready"])


@contextmanager
def watching(run: Shipped) -> Iterator[list[frozenset[str]]]:
    """Look at the machines many times a second; gives the sets of those found down at the same time."""
    seen: list[frozenset[str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.03):
            down = frozenset(at for at, machine in run.machines().items() if is_down(machine))
            if not seen or seen[-1] != down:
                seen.append(down)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@contextmanager
def started(
    folder: Path, *arguments: str, machines: int = 5, environment: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A run on so many machines, without any object yet."""
    with shipped(folder, environment) as run:
        port = free_port()
        run.start("--simulate", str(machines), "--metrics-bind-address", f"127.0.0.1:{port}", *arguments)
        until("the machines are there", (folder / "machines" / "ready.json").exists)
        yield Cluster(run, port)
