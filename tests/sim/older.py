"""A running cluster as another operator leaves it: its objects in the API, and nothing of ours.

The fields are those of the reference operator (reference-contract 3 and 4): the keys and configurations in
the status in plain text, the state Secret beside them, no conditions. Neighbour: `test_take_over`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from engine.base.kinds import Key
from tests.sim.cluster import MODE, NAME, Cluster
from tests.sim.shipped import API

KINDS = ("TalosCluster", "TalosControlPlane", "TalosWorker", "TalosMachine")
KUBE_VERSION = "v1.35.0"


def left_by_another_operator(cluster: Cluster, machines: int, *, with_secret: bool = True) -> None:
    """Kill the engine, forget all its objects, start it anew and put the other operator's there, disabled.

    The machines run on meanwhile. `with_secret`: whether the state Secret was written, too.
    """
    kept = _remembered(cluster)
    cluster.run.kill()
    for file in cluster.run.folder.glob("objects.db*"):
        file.unlink()
    cluster.run.start("--simulate", str(machines))
    cluster.client = cluster.run.client()
    if with_secret:
        texts = {**kept["secret"], "bundleConfig": kept["bundle"], "state": "Ready"}
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"{NAME}-state", "labels": {"talos.alperen.cloud/type": "state"}},
                "data": {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()},
            }
        )
    uids: dict[tuple[str, str], str] = {}
    for item, status in kept["objects"]:
        for owner in item["metadata"].get("ownerReferences", ()):
            owner["uid"] = uids[owner["kind"], owner["name"]]
        made = _create(cluster, item)
        uids[item["kind"], item["metadata"]["name"]] = made["metadata"]["uid"]
        cluster.client.patch_status(_key(cluster, item), {"status": status})


def enable(cluster: Cluster, *kinds: str) -> None:
    """Take the disabling annotation away, kind by kind."""
    for kind in kinds or KINDS:
        for name in sorted(cluster.names(kind)):
            cluster.annotate(kind, name, MODE, None)


def _remembered(cluster: Cluster) -> dict[str, Any]:
    secret = cluster.secret(f"{NAME}-state")
    bundle = json.loads(secret["bundleConfig"])
    bundle.pop("clusterDomain", None)  # the other one does not know it
    text = json.dumps(bundle)
    status = {
        "TalosCluster": {},
        "TalosControlPlane": {
            "state": "Ready",
            "secretBundle": secret["secretBundle"],
            "bundleConfig": text,
            "config": secret["config"],
            "observedKubeVersion": KUBE_VERSION,
        },
        "TalosWorker": {"state": "Ready", "config": "machine: {type: worker}"},
        "TalosMachine": {"state": "Available", "observedVersion": "v1.13.0", "config": "machine: {}"},
    }
    objects = [(_bare(item), status[kind]) for kind in KINDS for item in _all(cluster, kind)]
    return {"secret": secret, "bundle": text, "objects": objects}


def _all(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return cluster.run.all_of(cluster.client, kind)


def _bare(item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: item["metadata"].get(key) for key in ("name", "finalizers", "ownerReferences")}
    metadata = {key: value for key, value in kept.items() if value} | {"annotations": {MODE: "disable"}}
    return {"apiVersion": API, "kind": item["kind"], "metadata": metadata, "spec": item["spec"]}


def _key(cluster: Cluster, item: dict[str, Any]) -> Key:
    return Key(cluster.client.kind_named(API, item["kind"]), "default", item["metadata"]["name"])


def _create(cluster: Cluster, item: dict[str, Any]) -> dict[str, Any]:
    key = _key(cluster, item)
    return cluster.client.create(key.kind, key.namespace, item)
