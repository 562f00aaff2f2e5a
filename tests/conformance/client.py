"""A thin HTTP client of a Kubernetes API: what was sent, what came back, nothing in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

JSON, MERGE = "application/json", "application/merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"


@dataclass
class Reply:
    code: int
    body: Any
    headers: Any

    @property
    def causes(self) -> list[tuple[str, str]]:
        return [(one["reason"], one["field"]) for one in self.body.get("details", {}).get("causes", [])]


class Client:
    def __init__(self, base: str, token: str, ca: Path | str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(ca)
        self.session.headers["Authorization"] = f"Bearer {token}"

    def send(
        self, method: str, path: str, body: Any = None, form: str = JSON, accept: str = JSON, **params: Any
    ) -> Reply:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": form, "Accept": accept}
        got = self.session.request(
            method, self.base + path, data=data, params=params, headers=headers, timeout=20
        )
        decoded = got.json() if "json" in got.headers.get("Content-Type", "") else got.text
        return Reply(got.status_code, decoded, got.headers)

    def get(self, path: str, **params: Any) -> Reply:
        return self.send("GET", path, **params)

    def post(self, path: str, body: Any, **params: Any) -> Reply:
        return self.send("POST", path, body, **params)

    def put(self, path: str, body: Any, **params: Any) -> Reply:
        return self.send("PUT", path, body, **params)

    def merge(self, path: str, body: Any, **params: Any) -> Reply:
        return self.send("PATCH", path, body, MERGE, **params)

    def apply(self, path: str, body: Any, manager: str, **params: Any) -> Reply:
        return self.send("PATCH", path, body, APPLY, fieldManager=manager, **params)

    def delete(self, path: str, options: Any = None, **params: Any) -> Reply:
        return self.send("DELETE", path, options, **params)

    def watch(self, path: str, accept: str = JSON, **params: Any) -> Iterator[dict[str, Any]]:
        """The events until the server ends the watch; pass timeoutSeconds."""
        query = {"watch": "true", **params}
        with self.session.get(
            self.base + path, params=query, headers={"Accept": accept}, stream=True, timeout=20
        ) as got:
            for line in got.iter_lines(chunk_size=1):
                yield json.loads(line)
