"""The object whose etcd is restored, its keys, and what its machines say; what `talos-operator restore` works with.

Promises that nothing is sent to a machine before a look at all of them has found no quorum, and that the
order to begin is only ever given by the engine: this notes it in the object. Keys stay in memory.
Neighbours: `restore` shows and asks, `capabilities.etcd_recovery` talks to machines.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from engine.base.errors import Missing, RemoteError
from engine.base.kinds import Key
from engine.base.values import Opaque
from engine.base.yamltext import load_documents
from engine.capabilities import etcd_recovery
from engine.capabilities.contract import Ports
from engine.capabilities.identities import Identities
from engine.cli.backups import connected
from engine.cli.failures import CommandFailed
from engine.cli.get import definitions, kind_of, spec_fields
from engine.etcdfile.verify import SnapshotFacts
from engine.ports.kube.client import KubeClient
from engine.ports.kube.clusters import Clusters
from engine.ports.talos.client import TalosClient

FIELD: Final = "restore"
CONDITION: Final = "Restored"
_STATE: Final = "{}-state"
_BUNDLE: Final = "secretBundle"
_LOOK_S: Final = 0.5
_ENGINE_S: Final = 30.0


class Restoring:
    """One restore of one object. `machine` and `others` are known after `look`."""

    def __init__(self, client: KubeClient, talos: TalosClient, key: Key, attempt: int) -> None:
        self._client = client
        self._talos = talos
        self._key = key
        self._attempt = attempt
        self._live = client.get(key)
        self._brought: Mapping[str, str] = {}
        self.title = f"{key.kind.name} {key.namespace}/{key.name}"
        self.machine = ""
        self.others: list[str] = []

    def ordered(self, snapshot: str) -> bool:
        """Whether the engine has written down that it gives the order to begin with this snapshot, or gave it."""
        intents = (self._live.get("status") or {}).get("intents") or ()
        start = f"{FIELD}-{snapshot}-{self._attempt}-"
        return any(str(intent["key"]).startswith(start) for intent in intents)

    def bring_state(self, text: str, where: str, *, dry: bool) -> None:
        """Bring the Secret with the keys back from its manifest, unless it is there; another one there is refused."""
        documents = load_documents(text)
        name = _STATE.format(self._key.name)
        found = next((each for each in documents if _is_state(each)), None)
        if found is None:
            hint = "take the file state-... that was stored beside the snapshot"
            raise CommandFailed(f"no Secret with {_BUNDLE} in it", where=f"in {where}", hint=hint)
        secret = Key(self._client.kind_named("v1", "Secret"), self._key.namespace, name)
        try:
            there = self._client.get(secret)
        except Missing:
            self._brought = _data(found)
            if not dry:
                self._client.create(secret.kind, secret.namespace, _secret(found, secret))
            return
        if (there.get("data") or {}).get(_BUNDLE) != _data(found).get(_BUNDLE):
            raise CommandFailed(
                f"the Secret {name} is there and has other keys than the file",
                where=f"in namespace {secret.namespace}",
                hint="if the file is the right one, delete the Secret first; machines with other keys must be wiped",
            )

    def look(self, machine: str | None, *, members: int) -> None:
        """Choose the machine to begin with. Raises CommandFailed when nothing may be restored now."""
        nodes = [str(each) for each in (self._live.get("status") or {}).get("endpoints") or ()]
        if not nodes:
            hint = "is the engine running? it writes the addresses of the machines into status.endpoints"
            raise CommandFailed("no machine is known", where=f"of {self.title}", hint=hint)
        ports = self._ports()
        bundle = self._bundle()
        found = self._talos.run(etcd_recovery.standing(ports, nodes, bundle), timeout_s=_ENGINE_S)
        try:
            obstacle = etcd_recovery.obstacle(found, machine, members=members)
        except RemoteError as error:
            raise CommandFailed(error.message, where=f"of {self.title}") from error
        if obstacle:
            raise CommandFailed(obstacle, where=f"of {self.title}", hint="nothing was changed")
        self.machine = etcd_recovery.address_of(etcd_recovery.target_of(found, machine))
        self.others = [node for node in nodes if node != self.machine]

    def send(self, path: Path, facts: SnapshotFacts) -> None:
        """Send the snapshot to the machine, and then have the engine know of it."""
        pieces = etcd_recovery.file_pieces(path)
        upload = etcd_recovery.upload(self._ports(), self.machine, self._bundle(), pieces, facts.size)
        longest_s = 2 * _ENGINE_S + facts.size / etcd_recovery.SLOWEST_BYTES_S
        self._talos.run(upload, timeout_s=longest_s)
        asked = {
            "snapshot": facts.sha256,
            "machine": self.machine,
            "attempt": self._attempt,
            "file": None,
            "backupRef": None,
        }
        self._client.patch(self._key, {"spec": {FIELD: asked}})

    def wait(self, snapshot: str, timeout_s: float, tell: Callable[[str], object]) -> None:
        """Wait until the engine says that etcd runs with the snapshot; tells what it says meanwhile."""
        end, told = time.monotonic() + timeout_s, ""
        while True:
            self._live = self._client.get(self._key)
            condition = self._condition()
            if condition.get("status") == "True" and self.ordered(snapshot):
                return
            said = f"{condition.get('reason', 'waiting for the engine')}: {condition.get('message', '')}"
            if said != told:
                tell(said.rstrip(": "))
                told = said
            if time.monotonic() > end:
                hint = "call the same command again to wait on; nothing is done twice"
                raise CommandFailed(f"not restored within {timeout_s:g} s: {told}", hint=hint)
            time.sleep(_LOOK_S)

    def _condition(self) -> Mapping[str, Any]:
        status = self._live.get("status") or {}
        if status.get("observedGeneration") != self._live["metadata"].get("generation"):
            return {}
        found = (each for each in status.get("conditions") or () if each["type"] == CONDITION)
        return next(found, {})

    def _bundle(self) -> Opaque:
        name = _STATE.format(self._key.name)
        secret = Key(self._client.kind_named("v1", "Secret"), self._key.namespace, name)
        try:
            data = self._brought or self._client.get(secret).get("data") or {}
        except Missing as error:
            hint = "--state FILE brings it back from the file that was stored beside the snapshot"
            raise CommandFailed(f"the Secret {name} with the cluster's keys is gone", hint=hint) from error
        if not data.get(_BUNDLE):
            raise CommandFailed(f"the Secret {name} has no {_BUNDLE}", hint="delete it and use --state FILE")
        return Opaque(base64.b64decode(data[_BUNDLE]).decode())

    def _ports(self) -> Ports:
        return Ports(
            talos=self._talos,
            kube=self._client,
            identities=Identities(),
            clusters=Clusters(loopback_only=False),
            now=time.time(),
            namespace=self._key.namespace,
        )


@contextmanager
def open_restoring(
    kubeconfig: Path | None, namespace: str | None, name: str, *, attempt: int
) -> Iterator[Restoring]:
    """A Restoring of the object called `name`, of the kind that can be restored; closed afterwards."""
    with connected(kubeconfig) as client, closing(TalosClient()) as talos:
        talos.start()
        kind = next(kind_of(each) for each in definitions(client) if _restores(each))
        yield Restoring(client, talos, Key(kind, namespace or client.namespace, name), attempt)


def _restores(definition: Mapping[str, Any]) -> bool:
    return "snapshot" in spec_fields(definition).get(FIELD, {}).get("properties", {})


def _is_state(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("kind") == "Secret" and _BUNDLE in _data(document)


def _data(document: Mapping[str, Any]) -> dict[str, str]:
    plain = document.get("stringData") or {}
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
    return {**(document.get("data") or {}), **encoded}


def _secret(document: Mapping[str, Any], key: Key) -> dict[str, Any]:
    labels = (document.get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": dict(labels)},
        "type": document.get("type") or "Opaque",
        "data": _data(document),
    }
