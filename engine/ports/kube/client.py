"""The client of the Kubernetes API that the engine uses: plain dicts in, plain dicts out.

Every method has a deadline and raises RemoteError whose `sent` says whether the server may have
acted. Never caches objects, never retries a write, changes nothing with `dry_run`, writes nothing but events and
reviews outside of its tenure. Methods block: call them from worker threads, not from the loop. Neighbours: `transport` sends, `stream` is a
watch, `recorder` writes events; `engine.watch` keeps what the lists and watches give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from engine.base.errors import Expired, Garbled
from engine.base.kinds import Key, Kind
from engine.base.tenure import Tenure
from engine.ports.kube.access import Access, open_access
from engine.ports.kube.discovery import Discovery
from engine.ports.kube.events import EventRecord
from engine.ports.kube.failures import SOURCE
from engine.ports.kube.recorder import EventRecorder
from engine.ports.kube.review import AccessQuestion, UserInfo, access_review, token_review, user_of
from engine.ports.kube.stream import WatchStream
from engine.ports.kube.transport import Request, RequestRecord, Transport

FIELD_MANAGER: Final = "talos-operator"
PatchType = Literal["merge", "json"]
Propagation = Literal["Background", "Foreground", "Orphan"]

# A server that says nothing for this long after a watch should have ended is gone.
_WATCH_GRACE_S = 30.0
_CONTENT_TYPES: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}
_APPLY_TYPE = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. With `first`, forget the pages before it: the list began (again) here."""

    items: list[dict[str, Any]]
    resource_version: str
    first: bool


class KubeClient:
    """One API server. Safe for use by many threads."""

    def __init__(
        self,
        access: Access,
        *,
        deadline_s: float = 10.0,
        on_request: Callable[[RequestRecord], None] | None = None,
        tenure: Tenure | None = None,
    ) -> None:
        """Writes only within `tenure`; None: always."""
        self.namespace = access.namespace
        self._deadline_s = deadline_s
        self._tenure = tenure or Tenure.unlimited()
        self._transport = Transport(access, on_request)
        self._discovery = Discovery(self._get)
        # Events tell what was, and who gives up its work tells so too.
        self._recorder = EventRecorder(self if tenure is None else KubeClient(access, on_request=on_request))

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | str | None = None,
        *,
        context: str | None = None,
        pool_size: int = 32,
        deadline_s: float = 10.0,
        on_request: Callable[[RequestRecord], None] | None = None,
        tenure: Tenure | None = None,
    ) -> Self:
        """A client by kubeconfig or, in a pod, by its service account (see `open_access`).

        Sends nothing yet. Raises SettingsError when there is no usable configuration.
        """
        path = None if kubeconfig is None else Path(kubeconfig)
        access = open_access(path, context=context, pool_size=pool_size)
        return cls(access, deadline_s=deadline_s, on_request=on_request, tenure=tenure)

    def close(self) -> None:
        """Write the events that wait, for at most two seconds, and close all connections."""
        self._recorder.close()
        self._transport.close()

    def kind_named(self, api_version: str, name: str) -> Kind:
        """The kind by `apiVersion` and `kind`; raises Missing when the server does not serve it."""
        return self._discovery.kind_named(api_version, name)

    def get(self, key: Key) -> dict[str, Any]:
        """The object as the server has it now; raises Missing."""
        return self._object(self._get(_path(key.kind, key.namespace, key.name), f"GET {key}"), f"GET {key}")

    def list_pages(
        self, kind: Kind, namespace: str | None = None, *, limit: int = 100, label_selector: str = ""
    ) -> Iterator[Page]:
        """All objects of a kind, `limit` a page, all at one resource version.

        When the server forgets that version half-way (410) the list begins again, in one piece:
        the page then has `first` set and what came before it no longer counts.
        """
        token, first, whole = "", True, False
        while True:
            params = {"limit": str(limit)} if not whole else {}
            if token:
                params["continue"] = token
            if label_selector:
                params["labelSelector"] = label_selector
            try:
                answer = self._get(_path(kind, namespace), f"LIST {kind.plural}", params)
            except Expired:
                if first:
                    raise
                token, first, whole = "", True, True
                continue
            page, token = _page(kind, answer, first=first)
            yield page
            first = False
            if not token:
                return

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        timeout_s: float,
    ) -> WatchStream:
        """Changes after `resource_version`, bookmarks included; the server ends it after `timeout_s`.

        Raises Expired, here or while iterating, when that version is too old: list again.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout_s))),
        }
        request = Request("GET", _path(kind, namespace), f"WATCH {kind.plural}", params)
        response = self._transport.open_stream(request, read_timeout_s=timeout_s + _WATCH_GRACE_S)
        return WatchStream(response, request.operation)

    def create(
        self, kind: Kind, namespace: str, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object; raises AlreadyExists."""
        metadata = body.get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName", "")
        operation = f"CREATE {Key(kind, namespace, name)}"
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
        return self._write(Request("POST", _path(kind, namespace), operation, _dry(dry_run), whole))

    def apply(
        self,
        key: Key,
        body: Mapping[str, Any],
        *,
        manager: str = FIELD_MANAGER,
        force: bool = True,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply: `body` is all that `manager` wants of the object; creates it if absent.

        Without `force`, fields that another manager owns raise Conflict naming them.
        """
        metadata = {**(body.get("metadata") or {}), "name": key.name}
        if key.namespace:
            metadata["namespace"] = key.namespace
        whole = {**body, "apiVersion": key.kind.api_version, "kind": key.kind.name, "metadata": metadata}
        params = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry_run)}
        path = _path(key.kind, key.namespace, key.name)
        return self._write(Request("PATCH", path, f"APPLY {key}", params, whole, _APPLY_TYPE))

    def replace(self, key: Key, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """PUT the whole object; with metadata.resourceVersion in `body` a change by others raises Conflict."""
        whole = {"apiVersion": key.kind.api_version, "kind": key.kind.name, **body}
        path = _path(key.kind, key.namespace, key.name)
        return self._write(Request("PUT", path, f"REPLACE {key}", _dry(dry_run), whole))

    def patch(
        self,
        key: Key,
        body: Mapping[str, Any] | list[Any],
        *,
        type: PatchType = "merge",  # noqa: A002 - the protocol's word
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Merge patch (null removes; a resourceVersion inside makes it conditional) or JSON patch."""
        path = _path(key.kind, key.namespace, key.name, subresource)
        operation = f"PATCH {key}" + (f" {subresource}" if subresource else "")
        return self._write(Request("PATCH", path, operation, _dry(dry_run), body, _CONTENT_TYPES[type]))

    def patch_status(self, key: Key, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Merge patch of the status subresource; `body` holds `status` and, if wanted, `metadata`."""
        return self.patch(key, body, subresource="status", dry_run=dry_run)

    def delete(
        self,
        key: Key,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> None:
        """Delete the object, only if it is still that `uid` and version, else Conflict; raises Missing."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: dict[str, Any] = {
            "apiVersion": "meta.k8s.io/v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {name: value for name, value in preconditions.items() if value is not None},
        }
        path = _path(key.kind, key.namespace, key.name)
        request = Request("DELETE", path, f"DELETE {key}", _dry(dry_run), options)
        with self._tenure.effect(request.operation):
            self._transport.send(request, deadline_s=self._deadline_s)

    def emit(self, event: EventRecord) -> None:
        """Record an event beside the caller: never blocks, never fails, may drop (see `recorder`)."""
        self._recorder.emit(event)

    def review_token(self, token: str) -> UserInfo | None:
        """Who `token` belongs to by TokenReview, None when the server does not accept it."""
        path, body = token_review(token)
        return user_of(self._ask(Request("POST", path, "CREATE tokenreviews", {}, body)))

    def review_access(self, user: UserInfo, question: AccessQuestion) -> bool:
        """Whether `user` may, by SubjectAccessReview."""
        path, body = access_review(user, question)
        answer = self._ask(Request("POST", path, "CREATE subjectaccessreviews", {}, body))
        return bool((answer.get("status") or {}).get("allowed"))

    def _get(self, path: str, operation: str, params: Mapping[str, str] | None = None) -> Any:
        return self._transport.send(
            Request("GET", path, operation, params or {}), deadline_s=self._deadline_s
        )

    def _write(self, request: Request) -> dict[str, Any]:
        with self._tenure.effect(request.operation):
            return self._ask(request)

    def _ask(self, request: Request) -> dict[str, Any]:
        return self._object(self._transport.send(request, deadline_s=self._deadline_s), request.operation)

    def _object(self, answer: Any, operation: str) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise Garbled("the answer is not an object", source=SOURCE, operation=operation, sent="yes")
        return answer


def _path(kind: Kind, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, an object or a part of one; every part is percent-encoded."""
    parts = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if namespace and kind.namespaced:
        parts += ["namespaces", namespace]
    parts.append(kind.plural)
    parts += [part for part in (name, subresource) if part]
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _page(kind: Kind, answer: Any, *, first: bool) -> tuple[Page, str]:
    """The page, and the token of the next one. Items get the `kind` that lists of core kinds omit."""
    try:
        items = [
            {"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer["items"] or ()
        ]
        metadata = answer["metadata"]
        return Page(items, metadata["resourceVersion"], first), metadata.get("continue") or ""
    except (TypeError, KeyError):
        text = "the answer is not a list of objects"
        raise Garbled(text, source=SOURCE, operation=f"LIST {kind.plural}", sent="yes") from None
