"""Which kinds the API server serves, by `apiVersion` and `kind`, remembered until a kind is missing.

Reads the resource lists of the Kubernetes API (`/api/v1`, `/apis/GROUP/VERSION`). Never guesses a
plural. Neighbours: `client` owns one and lends it the way to send.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine.base.errors import Missing
from engine.base.kinds import Kind
from engine.ports.kube.failures import SOURCE

Fetch = Callable[[str, str], Any]
"""Path and operation to the decoded answer; raises RemoteError."""


class Discovery:
    """A table of kinds, one group version at a time. Safe for use by many threads."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[str, Mapping[str, Kind]] = {}
        self._lock = threading.Lock()

    def kind_named(self, api_version: str, name: str) -> Kind:
        """The kind `name` of `api_version` such as `apps/v1`; asks the server when it is not known.

        Raises Missing, saying what to install, when the server does not serve it.
        """
        with self._lock:
            kind = self._known.get(api_version, {}).get(name)
            if kind is not None:
                return kind
            operation = f"discover {api_version} {name}"
            root = "/apis/" if "/" in api_version else "/api/"
            try:
                self._known[api_version] = _kinds(api_version, self._fetch(root + api_version, operation))
            except Missing:
                self._known.pop(api_version, None)
            kind = self._known.get(api_version, {}).get(name)
        if kind is None:
            text = (
                f"the API server does not serve {name} of {api_version}; install its CustomResourceDefinition"
            )
            raise Missing(text, source=SOURCE, operation=operation, sent="yes", code="KindNotServed")
        return kind


def _kinds(api_version: str, answer: Any) -> dict[str, Kind]:
    group, _, version = api_version.rpartition("/")
    kinds: dict[str, Kind] = {}
    for resource in (answer or {}).get("resources") or ():
        # `pods/status` and the like are parts of a resource, not kinds of their own.
        if "/" not in resource["name"]:
            kinds.setdefault(
                resource["kind"],
                Kind(group, version, resource["kind"], resource["name"], bool(resource["namespaced"])),
            )
    return kinds
