"""An object store for whole runs: moto's server behind TLS, its bucket seen from outside.

Neighbours: `unit/stores/s3_server` runs the server, stands between and looks into the bucket; the tests of backups and restores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sim.cluster import Cluster
from tests.unit.stores.s3_server import ACCESS, BUCKET, OWN, REGION, SECRET, Between, Bucket, moto_server

__all__ = ["ACCESS", "BUCKET", "SECRET", "ObjectStore", "object_store"]

CREDENTIALS = "store-credentials"


@dataclass
class ObjectStore:
    """A bucket behind TLS for the engine of a cluster; `log` is what the server printed."""

    bucket: Bucket
    log: Path

    @property
    def between(self) -> Between:
        """Counts the requests and spoils them on order."""
        return self.bucket.between

    @property
    def spec(self) -> dict[str, Any]:
        """`backupStorage` with credentials and authority from a Secret."""
        return {
            "s3": {
                "bucket": BUCKET,
                "region": REGION,
                "endpoint": self.between.url,
                "accessKeyID": {"name": CREDENTIALS, "key": "id"},
                "secretAccessKey": {"name": CREDENTIALS, "key": "key"},
                "certificateAuthority": {"name": CREDENTIALS, "key": "ca.crt"},
            }
        }

    def introduce(self, cluster: Cluster) -> None:
        """Make the Secret that `spec` names."""
        data = {"id": ACCESS, "key": SECRET, "ca.crt": OWN.crt}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CREDENTIALS}, "stringData": data}
        cluster.client.create(cluster.client.kind_named("v1", "Secret"), "default", body)

    def flags(self, folder: Path) -> list[str]:
        """The flags by which the command line reaches the bucket; their files are put into `folder`."""
        texts = {"access-key-file": ACCESS, "secret-key-file": SECRET, "ca-file": OWN.crt}
        found = ["--s3-endpoint", self.between.url, "--s3-region", REGION]
        for flag, text in texts.items():
            (folder / flag).write_text(text)
            found += [f"--s3-{flag}", str(folder / flag)]
        return found


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A store with an empty bucket."""
    with moto_server(folder) as port:
        bucket = Bucket(port)
        bucket.empty()
        try:
            yield ObjectStore(bucket, folder / "moto.log")
        finally:
            bucket.between.close()
