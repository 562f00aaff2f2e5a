"""Bring the snapshot of a backup object out of its store into a file of its own, for as long as it is needed.

Credentials are read from the Secrets that the object names, as the operator reads them. Neighbours: `restore` asks;
`capabilities.store_open` and `stores` know stores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.base.errors import Missing
from engine.base.kinds import Key
from engine.capabilities.secret_keys import SecretKeys
from engine.capabilities.store_open import place_of
from engine.capabilities.stores import handle_of, opened
from engine.cli.backups import connected, kind_with
from engine.cli.buckets import bring, told
from engine.cli.failures import CommandFailed
from engine.ports.kube.client import KubeClient


@contextmanager
def brought(kubeconfig: Path | None, namespace: str | None, name: str, root: Path | None) -> Iterator[Path]:
    """The snapshot of the backup called `name`, in a file that is gone afterwards.

    `root` is the directory below which stores in directories stand, as it is seen from here. Raises CommandFailed,
    RemoteError.
    """
    with connected(kubeconfig) as client, tempfile.TemporaryDirectory(prefix="talos-operator-") as folder:
        place = namespace or client.namespace
        path = Path(folder) / "etcd.db"
        _bring(client, place, name, root, path)
        yield path


def _bring(client: KubeClient, namespace: str, name: str, root: Path | None, path: Path) -> None:
    hint = "talos-operator backup list shows the backups there are"
    try:
        found = client.get(Key(kind_with(client, "backupStorage"), namespace, name))
    except Missing as error:
        raise CommandFailed(
            f"no backup is called {name}", where=f"in namespace {namespace}", hint=hint
        ) from error
    key = (found.get("status") or {}).get("filename")
    if not key:
        raise CommandFailed(
            f"the backup {name} has stored nothing", where=f"in namespace {namespace}", hint=hint
        )
    storage = found["spec"]["backupStorage"]
    if storage.get("directory") is not None and root is None:
        raise CommandFailed(
            f"the backup {name} is in a directory of the operator",
            hint="add --backup-directory DIR, where it is seen from here",
        )
    with told(f"the store of the backup {name}"):
        place = place_of(storage, SecretKeys(client, namespace), None if root is None else str(root))
        bring(opened(handle_of(place)), str(key), path)
