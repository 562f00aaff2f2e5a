"""Discovery: which groups, versions and resources are served, in the plain and the aggregated form.

Pure functions over the catalog. Neighbours: `api` serves the answers, `reviews` adds its kinds.
"""

from __future__ import annotations

from typing import Any

from engine.standalone.kinds import VERBS, Catalog, Served
from engine.standalone.reviews import REVIEWS

VERSION = {
    "major": "1",
    "minor": "35",
    "gitVersion": "v1.35.0+standalone",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "cpython",
    "platform": "any",
}
AGGREGATED = "apidiscovery.k8s.io"


def core_versions(address: str) -> dict[str, Any]:
    """GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(catalog: Catalog) -> dict[str, Any]:
    """GET /apis."""
    groups = [_group(name, versions) for name, versions in _all_groups(catalog).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(catalog: Catalog, name: str) -> dict[str, Any] | None:
    """GET /apis/GROUP; None when the group is not served."""
    versions = _all_groups(catalog).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def resource_list(catalog: Catalog, name: str, version: str) -> dict[str, Any] | None:
    """GET /api/v1 or /apis/GROUP/VERSION; None when it is not served."""
    if version not in _all_groups(catalog).get(name, ()):
        return None
    resources: list[dict[str, Any]] = []
    for kind in _kinds(catalog, name, version):
        resources.append(
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": list(VERBS),
                **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                **({"categories": list(kind.categories)} if kind.categories else {}),
            }
        )
        if kind.status:
            status = {"name": f"{kind.plural}/status", "singularName": "", "namespaced": kind.namespaced}
            resources.append({**status, "kind": kind.kind, "verbs": ["get", "patch", "update"]})
    for review in REVIEWS:
        if (review.group, review.version) == (name, version):
            entry = {"name": review.plural, "singularName": review.kind.lower(), "namespaced": False}
            resources.append({**entry, "kind": review.kind, "verbs": ["create"]})
    api_version = f"{name}/{version}" if name else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }


def aggregated(catalog: Catalog, *, core: bool, form: str) -> dict[str, Any]:
    """GET /api or /apis as apidiscovery.k8s.io/`form`, which is v2 or v2beta1."""
    items = []
    for name, versions in _all_groups(catalog).items():
        if core == (not name):
            listed = [_aggregated_version(catalog, name, version) for version in versions]
            metadata = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
            items.append({"metadata": metadata, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{AGGREGATED}/{form}",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(catalog: Catalog, name: str, version: str) -> dict[str, Any]:
    resources = []
    for kind in _kinds(catalog, name, version):
        response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        entry: dict[str, Any] = {
            "resource": kind.plural,
            "responseKind": response,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(VERBS),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        if kind.status:
            verbs = ["get", "patch", "update"]
            entry["subresources"] = [{"subresource": "status", "responseKind": response, "verbs": verbs}]
        resources.append(entry)
    for review in REVIEWS:
        if (review.group, review.version) == (name, version):
            response = {"group": review.group, "version": review.version, "kind": review.kind}
            entry = {
                "resource": review.plural,
                "responseKind": response,
                "scope": "Cluster",
                "verbs": ["create"],
            }
            resources.append({**entry, "singularResource": review.kind.lower()})
    return {"version": version, "resources": resources, "freshness": "Current"}


def _all_groups(catalog: Catalog) -> dict[str, list[str]]:
    groups = catalog.groups()
    for review in REVIEWS:
        versions = groups.setdefault(review.group, [])
        if review.version not in versions:
            versions.append(review.version)
    return groups


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _kinds(catalog: Catalog, name: str, version: str) -> list[Served]:
    return sorted((k for k in catalog if (k.group, k.version) == (name, version)), key=lambda k: k.plural)
