"""An object store for whole runs: moto's server behind TLS, its bucket seen from outside.

Promises that what is asked here passes nothing of ours. Neighbours: `unit/stores/s3_server` runs the server and
stands between; the tests of backups and restores.
"""

from __future__ import annotations

import http.client
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "stores"))

from s3_server import ACCESS, BUCKET, HOST, OWN, REGION, SECRET, Between, moto_server

from tests.sim.cluster import Cluster

CREDENTIALS = "store-credentials"


@dataclass
class ObjectStore:
    """A bucket behind TLS; `between` counts the requests and spoils them on order."""

    between: Between
    port: int
    log: Path

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

    def objects(self) -> dict[str, bytes]:
        """All that the bucket holds, by key."""
        listed = ET.fromstring(self._ask("GET", f"/{BUCKET}?list-type=2"))
        keys = [each.text or "" for each in listed.iter() if each.tag.rpartition("}")[2] == "Key"]
        return {key: self._ask("GET", f"/{BUCKET}/{key}") for key in keys}

    def open_uploads(self) -> list[str]:
        """What was begun and not ended."""
        listed = ET.fromstring(self._ask("GET", f"/{BUCKET}?uploads"))
        return [each.text or "" for each in listed.iter() if each.tag.rpartition("}")[2] == "UploadId"]

    def make_bucket(self) -> None:
        place = f"<LocationConstraint>{REGION}</LocationConstraint>"
        self._ask(
            "PUT",
            f"/{BUCKET}",
            f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode(),
        )

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            # moto reads who asks from this and checks no more.
            signed = f"AWS4-HMAC-SHA256 Credential={ACCESS}/20260101/{REGION}/s3/aws4_request"
            connection.request(method, path, body or None, {"Authorization": signed})
            answer = connection.getresponse()
            assert answer.status < 300, f"{method} {path}: {answer.status}"
            return answer.read()
        finally:
            connection.close()


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A store with an empty bucket."""
    with moto_server(folder) as port:
        store = ObjectStore(Between(port), port, folder / "moto.log")
        store.make_bucket()
        try:
            yield store
        finally:
            store.between.close()
