"""Lists: pages over a consistent snapshot, selectors, and the version a watch can go on from.

A continue token holds the revision of its first page; once the log no longer reaches back to
it, 410 tells the client to begin again. Neighbours: `storage`, `selectors`; `http` renders the items.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from engine.standalone import failures
from engine.standalone.conversion import from_stored, presented
from engine.standalone.failures import ApiFailure, bad_request
from engine.standalone.kinds import Served
from engine.standalone.selectors import exact_name, selector
from engine.standalone.storage import Store


@dataclass(frozen=True, slots=True)
class Page:
    """JSON items, the revision they show, and where the next page begins ("" at the end)."""

    items: list[bytes]
    revision: int
    token: str = ""
    remaining: int | None = None

    def metadata(self) -> dict[str, str | int]:
        """The metadata of the list object."""
        found: dict[str, str | int] = {"resourceVersion": str(self.revision)}
        if self.token:
            found["continue"] = self.token
        if self.remaining:
            found["remainingItemCount"] = self.remaining
        return found


def list_page(store: Store, served: Served, namespace: str | None, query: Mapping[str, str]) -> Page:
    """One page as the query asks: limit, continue, selectors, resourceVersion. 400, 410 or 504 otherwise."""
    limit = _number(query, "limit")
    revision, after = _start(store, query)
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    test = selector(served, labels, fields)
    name = exact_name(fields)
    if name is not None and namespace is not None and revision == store.revision:
        body = store.get(served.place(namespace, name))
        bodies = iter([body] if body else [])
    else:
        bodies = store.snapshot(served.storage, namespace, revision=revision, after=after)
    items: list[bytes] = []
    for body in bodies:
        if test is not None and not test(from_stored(served, body)):
            continue
        if limit and len(items) == limit:
            remaining = None if test else 1 + sum(1 for _ in bodies)
            return Page(items, revision, _token(revision, items[-1]), remaining)
        items.append(presented(served, body))
    return Page(items, revision)


def require_reachable(store: Store, revision: int) -> None:
    """410 for a revision the log no longer holds, 504 for one that does not exist yet."""
    if revision < store.compacted:
        raise failures.expired(f"too old resource version: {revision} ({store.compacted})")
    if revision > store.revision:
        text = f"Too large resource version: {revision}, current: {store.revision}"
        causes = [failures.Cause("ResourceVersionTooLarge", "", "Too large resource version")]
        details = {"causes": failures.cause_list(causes), "retryAfterSeconds": 1}
        raise ApiFailure(504, "Timeout", text, details)


def version_of(query: Mapping[str, str]) -> int:
    """The resourceVersion of a query, 0 when it has none."""
    text = query.get("resourceVersion", "")
    if text and not text.isdigit():
        raise bad_request(f"resourceVersion: Invalid value: {text!r}")
    return int(text or 0)


def _start(store: Store, query: Mapping[str, str]) -> tuple[int, tuple[str, str]]:
    token = query.get("continue", "")
    if token:
        try:
            held = json.loads(base64.urlsafe_b64decode(token))
            revision, after = int(held["revision"]), (str(held["namespace"]), str(held["name"]))
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise bad_request("continue key is not valid") from error
        if revision < store.compacted:
            text = "The provided continue parameter is too old to display a consistent list result. You must start a"
            raise failures.expired(f"{text} new list without the continue parameter.")
        return revision, after
    version = version_of(query)
    if not version:
        return store.revision, ("", "")
    exact = query.get("resourceVersionMatch") == "Exact"
    if exact or version > store.revision:
        require_reachable(store, version)
    return (version if exact else store.revision), ("", "")


def _token(revision: int, last: bytes) -> str:
    metadata = json.loads(last)["metadata"]
    held = {"revision": revision, "namespace": metadata.get("namespace", ""), "name": metadata["name"]}
    return base64.urlsafe_b64encode(json.dumps(held).encode()).decode()


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f"{name}: Invalid value: {text!r}")
    return int(text)
