"""One request in, one answer out: discovery, reviews and the verbs on objects, without any HTTP library.

Everything here is synchronous, so that a request is one uninterrupted step between store states;
watches are the exception and only made here. Raises ApiFailure. Neighbours: `cluster` below, `http` above.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.standalone import discovery, failures, openapi, patches, tables
from engine.standalone.admission import WriteOptions, Written
from engine.standalone.cluster import Cluster
from engine.standalone.conversion import from_stored, presented
from engine.standalone.decoding import decode
from engine.standalone.failures import bad_request
from engine.standalone.kinds import Catalog, Served
from engine.standalone.lists import list_page
from engine.standalone.reviews import answer, review_of
from engine.standalone.routes import Target, flag, target_of
from engine.standalone.watching import Event, Watch


@dataclass(frozen=True, slots=True)
class Request:
    """What of an HTTP request matters; header values are lower-cased where they are media types."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    media_type: str = ""
    accept: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, or a watch whose events are still to come."""

    body: bytes = b""
    code: int = 200
    warnings: list[str] = field(default_factory=list)
    media_type: str = "application/json"
    watch: Watch | None = None
    render: Renderer | None = None


class Renderer:
    """The form a client wants objects in: plain, Table or PartialObjectMetadata, from its Accept header."""

    def __init__(self, served: Served, accept: str, query: Mapping[str, str]) -> None:
        self._served = served
        self._include = query.get("includeObject", "Metadata")
        self._headed = False
        self.form = ""
        for part in accept.replace(" ", "").split(","):
            fields = part.split(";")
            if fields[0] in ("application/json", "*/*", ""):
                wanted = dict(field.partition("=")[::2] for field in fields[1:])
                if wanted.get("as", "") in (
                    "",
                    "Table",
                    "PartialObjectMetadata",
                    "PartialObjectMetadataList",
                ):
                    self.form = wanted.get("as", "")
                    break

    def one(self, body: bytes) -> bytes:
        """A stored object."""
        if not self.form:
            return presented(self._served, body)
        return encode(self.value(from_stored(self._served, body)))

    def value(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """An object in the form of the served version."""
        if self.form == "Table":
            head = not self._headed
            self._headed = True
            metadata = {"resourceVersion": value["metadata"].get("resourceVersion", "")}
            rows = [] if "name" not in value["metadata"] else [value]
            return tables.table(
                self._served, rows, metadata, include=self._include, now=time.time(), head=head
            )
        return tables.partial(value) if self.form else value

    def many(self, items: list[bytes], metadata: Mapping[str, Any]) -> bytes:
        """A page of presented objects."""
        if self.form == "Table":
            values = [json.loads(item) for item in items]
            include = self._include
            return encode(tables.table(self._served, values, metadata, include=include, now=time.time()))
        kind, api_version = self._served.list_kind, self._served.api_version
        if self.form:
            kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            items = [encode(tables.partial(json.loads(item))) for item in items]
        head = encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})
        return head[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def event(self, event: Event) -> bytes:
        """One line of a watch."""
        value = event.value if event.type == "ERROR" else self.value(event.value)
        return encode({"type": event.type, "object": value}) + b"\n"


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class Api:
    """Answers requests of clients that have already been let in; `token` serves token reviews alone."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        self._cluster = cluster
        self._token = token

    def handle(self, request: Request) -> Answer:
        """The answer; raises ApiFailure and sqlite3.Error."""
        fixed = self._fixed(request)
        if fixed is not None:
            return fixed
        target = target_of(request.path)
        if target is None:
            raise failures.not_served()
        review = review_of(target.group, target.version, target.plural)
        if review is not None and request.method == "POST":
            body = decode(request.body, request.media_type)
            return Answer(encode(answer(review, body, self._token)), 201)
        served = self.served(target)
        if served is None:
            raise failures.not_served()
        if target.name:
            return self._single(request, served, target)
        return self._collection(request, served, target)

    def served(self, target: Target) -> Served | None:
        """The kind that a URL asks for; None when there is no such one, or it has no such URL."""
        served = self._cluster.catalog.find(target.group, target.version, target.plural)
        return served if served is not None and _fits(served, target) else None

    @property
    def revision(self) -> int:
        """The newest resourceVersion."""
        return self._cluster.store.revision

    def _fixed(self, request: Request) -> Answer | None:
        if request.method != "GET":
            return None
        catalog, parts = self._cluster.catalog, request.path.strip("/").split("/")
        if parts in (["api"], ["apis"]) and discovery.AGGREGATED in request.accept:
            form = "v2" if "v=v2;" in request.accept + ";" else "v2beta1"
            body = discovery.aggregated(catalog, core=parts == ["api"], form=form)
            media_type = f"application/json;g={discovery.AGGREGATED};v={form};as=APIGroupDiscoveryList"
            return Answer(encode(body), media_type=media_type)
        found = _openapi(catalog, parts[1:]) if parts[0] == "openapi" else _discovered(catalog, parts)
        return Answer(encode(found)) if found is not None else None

    def _collection(self, request: Request, served: Served, target: Target) -> Answer:
        render = Renderer(served, request.accept, request.query)
        namespace = target.namespace if served.namespaced else None
        if request.method == "GET" and flag(request.query, "watch"):
            watch = Watch(self._cluster.store, self._cluster.bell, served, namespace, request.query)
            return Answer(watch=watch, render=render)
        if request.method == "GET":
            page = list_page(self._cluster.store, served, namespace, request.query)
            return Answer(render.many(page.items, page.metadata()))
        if request.method == "POST" and not (served.namespaced and namespace is None):
            body = decode(request.body, request.media_type)
            return _written(
                render, self._cluster.objects.create(served, namespace or "", body, _options(request))
            )
        if request.method == "DELETE" and not (served.namespaced and namespace is None):
            return self._delete_all(request, served, namespace, render)
        raise _not_allowed(request.method)

    def _single(self, request: Request, served: Served, target: Target) -> Answer:
        render = Renderer(served, request.accept, request.query)
        namespace, name, status = target.namespace or "", target.name, target.subresource == "status"
        if request.method == "GET":
            body = self._cluster.store.get(served.place(namespace, name))
            if body is None:
                raise failures.not_found(served.group, served.plural, name)
            return Answer(render.one(body))
        objects = self._cluster.objects
        if request.method == "PUT":
            value = decode(request.body, request.media_type)
            options = _options(request)
            return _written(render, objects.replace(served, namespace, name, value, options, status=status))
        if request.method == "PATCH":
            patch, form, options = (
                decode(request.body, request.media_type),
                request.media_type,
                _options(request),
            )
            if form == patches.APPLY_PATCH:
                if not request.query.get("fieldManager"):
                    raise bad_request("fieldManager: Required value: is required for apply patch")
                return _written(render, objects.apply(served, namespace, name, patch, options, status=status))
            return _written(
                render, objects.patch(served, namespace, name, patch, form, options, status=status)
            )
        if request.method == "DELETE" and not target.subresource:
            return self._delete(request, served, namespace, name, render)
        raise _not_allowed(request.method)

    def _delete(
        self, request: Request, served: Served, namespace: str, name: str, render: Renderer
    ) -> Answer:
        value, gone = self._cluster.deleter.delete(served, namespace, name, _delete_options(request))
        if not gone:
            return Answer(render.one(encode(value)))
        details = {
            "name": name,
            "group": served.group,
            "kind": served.plural,
            "uid": value["metadata"]["uid"],
        }
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
        return Answer(encode(status))

    def _delete_all(
        self, request: Request, served: Served, namespace: str | None, render: Renderer
    ) -> Answer:
        page = list_page(self._cluster.store, served, namespace, request.query)
        options = _delete_options(request)
        for item in page.items:
            metadata = json.loads(item)["metadata"]
            self._cluster.deleter.delete(served, metadata.get("namespace", ""), metadata["name"], options)
        return Answer(render.many(page.items, page.metadata()))


def _discovered(catalog: Catalog, parts: list[str]) -> dict[str, Any] | None:
    match parts:
        case ["version"]:
            return discovery.VERSION
        case ["api"]:
            return discovery.core_versions("127.0.0.1")
        case ["apis"]:
            return discovery.group_list(catalog)
        case ["apis", group]:
            return discovery.group(catalog, group)
        case ["api", version]:
            return discovery.resource_list(catalog, "", version)
        case ["apis", group, version]:
            return discovery.resource_list(catalog, group, version)
    return None


def _openapi(catalog: Catalog, parts: list[str]) -> dict[str, Any] | None:
    match parts:
        case ["v2"]:
            return openapi.swagger(catalog)
        case ["v3"]:
            return openapi.index(catalog)
        case ["v3", "api", version]:
            return openapi.document(catalog, "", version)
        case ["v3", "apis", group, version]:
            return openapi.document(catalog, group, version)
    return None


def _fits(served: Served, target: Target) -> bool:
    if target.subresource and not (target.subresource == "status" and served.status):
        return False
    if not served.namespaced:
        return target.namespace is None
    return target.namespace is not None or not target.name


def _written(render: Renderer, written: Written) -> Answer:
    return Answer(encode(render.value(written.body)), written.code, written.warnings)


def _options(request: Request) -> WriteOptions:
    query = request.query
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(
            f"fieldValidation: Unsupported value: {validation!r}: Ignore, Strict, Warn are supported"
        )
    if query.get("dryRun", "All") not in ("All", ""):
        raise bad_request(f"dryRun: Unsupported value: {query['dryRun']!r}: supported values: All")
    agent = request.agent.partition("/")[0] or "unknown"
    return WriteOptions(
        manager=query.get("fieldManager") or agent,
        dry_run=query.get("dryRun") == "All",
        force=flag(query, "force"),
        validation=validation,
    )


def _delete_options(request: Request) -> dict[str, Any]:
    body = decode(request.body, request.media_type)
    if not isinstance(body, dict):
        raise bad_request("the body of a DELETE is a DeleteOptions object")
    found = {name: request.query[name] for name in ("propagationPolicy", "dryRun") if request.query.get(name)}
    return {**found, **{name: value for name, value in body.items() if value is not None}}


def _not_allowed(method: str) -> failures.ApiFailure:
    text = "the server does not allow this method on the requested resource"
    return failures.ApiFailure(405, "MethodNotAllowed", f"{text}: {method}")


def joined_warnings(texts: Iterable[str]) -> list[str]:
    """Warning header values (RFC 7234)."""
    return ['299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
