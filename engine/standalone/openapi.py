"""OpenAPI documents, so that `kubectl explain` and kubectl's validation know our kinds.

One v3 document per group version and one small v2 document; only what kubectl reads is in them.
Pure functions over the catalog. Neighbours: `api`.
"""

from __future__ import annotations

from typing import Any

from engine.standalone.kinds import Catalog, Served

_WRITES = ("dryRun", "fieldManager", "fieldValidation")


def index(catalog: Catalog) -> dict[str, Any]:
    """GET /openapi/v3."""
    paths = {_root(kind): {"serverRelativeURL": f"/openapi/v3/{_root(kind)}"} for kind in catalog}
    return {"paths": paths}


def document(catalog: Catalog, group: str, version: str) -> dict[str, Any] | None:
    """GET /openapi/v3/apis/GROUP/VERSION; None when it is not served."""
    kinds = [kind for kind in catalog if (kind.group, kind.version) == (group, version)]
    if not kinds:
        return None
    paths: dict[str, Any] = {}
    for kind in kinds:
        collection, single = _urls(kind)
        reference = {"$ref": f"#/components/schemas/{_schema_name(kind)}"}
        reply = {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}}
        paths[collection] = {
            "get": _operation(kind, "list", (), reply),
            "post": _operation(kind, "post", _WRITES, reply),
        }
        paths[single] = {
            "get": _operation(kind, "get", (), reply),
            "put": _operation(kind, "put", _WRITES, reply),
            "patch": _operation(kind, "patch", (*_WRITES, "force"), reply),
            "delete": _operation(kind, "delete", ("dryRun",), reply),
        }
    schemas = {_schema_name(kind): _schema(kind) for kind in kinds}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def swagger(catalog: Catalog) -> dict[str, Any]:
    """GET /openapi/v2."""
    definitions = {_schema_name(kind): _plain(_schema(kind)) for kind in catalog}
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": definitions}


_INFO = {"title": "Talos Operator standalone API", "version": "v1"}


def _operation(
    kind: Served, action: str, parameters: tuple[str, ...], reply: dict[str, Any]
) -> dict[str, Any]:
    listed = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters]
    return {
        "parameters": listed,
        "responses": reply,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }


def _schema(kind: Served) -> dict[str, Any]:
    return {**kind.schema, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _plain(value: Any) -> Any:
    """A schema without what OpenAPI 2.0 does not know."""
    if isinstance(value, dict):
        unknown = ("anyOf", "oneOf", "not", "nullable")
        return {name: _plain(member) for name, member in value.items() if name not in unknown}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _gvk(kind: Served) -> dict[str, str]:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _schema_name(kind: Served) -> str:
    domain = ".".join(reversed(kind.group.split("."))) if kind.group else "io.k8s.api.core"
    return f"{domain}.{kind.version}.{kind.kind}"


def _root(kind: Served) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _urls(kind: Served) -> tuple[str, str]:
    place = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"/{_root(kind)}{place}/{kind.plural}"
    return collection, collection + "/{name}"
