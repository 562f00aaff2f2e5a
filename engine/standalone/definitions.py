"""From definitions to served kinds: the core table and CustomResourceDefinitions.

Also checks a CRD as far as serving it needs (name, one storage version, a schema, CEL that
parses) and fills in the names and status that kube-apiserver would. Neighbours: `kinds`, `objects`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.standalone import failures
from engine.standalone.failures import Cause
from engine.standalone.kinds import Served
from engine.standalone.schema.formats import is_pattern
from engine.standalone.schema.metadata import OBJECT_META
from engine.standalone.schema.rules import has_rules, syntax_problem

CRD_STORAGE = "customresourcedefinitions.apiextensions.k8s.io"

_ENVELOPE: dict[str, Any] = {
    "apiVersion": {"type": "string", "description": "Versioned schema of this representation."},
    "kind": {"type": "string", "description": "The REST resource this object represents."},
}


def core_kinds() -> list[Served]:
    """The kinds of core_kinds.yaml."""
    return kinds_of(Path(__file__).with_name("core_kinds.yaml"))


def kinds_of(file: Path) -> list[Served]:
    """The kinds of a file in the form of core_kinds.yaml."""
    kinds = []
    for entry in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
        aliases = entry.get("aliases") or []
        forms = [
            {"group": entry["group"], "version": version, "renames": {}} for version in entry["versions"]
        ]
        kinds += [_core_kind(entry, form) for form in (*forms, *aliases)]
    return kinds


def _core_kind(entry: Mapping[str, Any], form: Mapping[str, Any]) -> Served:
    schema = whole_schema(entry["schema"])
    names = {stored: own for own, stored in form["renames"].items()}
    schema["properties"] = {names.get(name, name): part for name, part in schema["properties"].items()}
    group, version = entry["group"], entry["versions"][0]
    return Served(
        group=form["group"],
        version=form["version"],
        kind=entry["kind"],
        plural=entry["plural"],
        singular=entry["kind"].lower(),
        list_kind=entry["kind"] + "List",
        storage=failures.qualified(entry["plural"], group),
        stored=f"{group}/{version}" if group else version,
        schema=schema,
        short_names=tuple(entry.get("shortNames", ())),
        categories=tuple(entry.get("categories", ())),
        namespaced=entry.get("namespaced", True),
        status=entry.get("status", False),
        custom=False,
        guarded=entry.get("guarded", False),
        counts=entry["plural"] == "customresourcedefinitions",
        has_rules=has_rules(schema),
        ttl_s=entry.get("ttl_s"),
        columns=tuple(entry["columns"]),
        selectable=tuple(entry.get("selectable", ())),
        renames=form["renames"],
    )


def whole_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A kind's schema with apiVersion, kind and standard metadata in it."""
    whole = dict(schema)
    properties = dict(schema.get("properties") or {})
    own_rules = {key: properties.get("metadata", {}).get(key) for key in ("x-kubernetes-validations",)}
    properties |= _ENVELOPE | {"metadata": OBJECT_META | {k: v for k, v in own_rules.items() if v}}
    whole["properties"] = properties
    return whole


def served_kinds(definition: Mapping[str, Any]) -> list[Served]:
    """The served versions of a complete CustomResourceDefinition."""
    spec = definition["spec"]
    names = spec["names"]
    stored = next(version["name"] for version in spec["versions"] if version["storage"])
    kinds = []
    for version in spec["versions"]:
        if not version["served"]:
            continue
        schema = whole_schema(version["schema"]["openAPIV3Schema"])
        deprecated = f"{spec['group']}/{version['name']} {names['kind']} is deprecated"
        kinds.append(
            Served(
                group=spec["group"],
                version=version["name"],
                kind=names["kind"],
                plural=names["plural"],
                singular=names["singular"],
                list_kind=names["listKind"],
                storage=f"{names['plural']}.{spec['group']}",
                stored=f"{spec['group']}/{stored}",
                schema=schema,
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                namespaced=spec["scope"] == "Namespaced",
                status="status" in (version.get("subresources") or {}),
                has_rules=has_rules(schema),
                columns=tuple(version.get("additionalPrinterColumns") or _AGE),
                selectable=tuple(f["jsonPath"].lstrip(".") for f in version.get("selectableFields") or ()),
                warning=version.get("deprecationWarning", deprecated) if version.get("deprecated") else "",
            )
        )
    return kinds


_AGE = ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)


def complete(definition: dict[str, Any], now: str) -> None:
    """Fill in default names and an Established status, in place."""
    spec = definition["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    conditions = (definition.get("status") or {}).get("conditions") or [
        {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [version["name"] for version in spec["versions"] if version["storage"]]
    known = (definition.get("status") or {}).get("storedVersions") or []
    definition["status"] = {
        "acceptedNames": copy.deepcopy(names),
        "conditions": conditions,
        "storedVersions": sorted({*known, *stored}),
    }


def problems(definition: Mapping[str, Any]) -> list[Cause]:
    """What keeps a schema-valid CRD from being served."""
    spec = definition["spec"]
    name = definition["metadata"].get("name", "")
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    found = []
    if name != wanted:
        text = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        found.append(Cause(failures.INVALID, "metadata.name", text))
    if sum(bool(version["storage"]) for version in spec["versions"]) != 1:
        text = "Invalid value: must have exactly one version marked as storage version"
        found.append(Cause(failures.INVALID, "spec.versions", text))
    for index, version in enumerate(spec["versions"]):
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            found.append(Cause(failures.REQUIRED, path, "Required value: schemas are required"))
        else:
            found += _shape_problems(schema, path) or _rule_problems(schema, path)
            found += _metadata_problems(schema, path)
    return found


def _metadata_problems(schema: Any, path: str) -> list[Cause]:
    """A kind may say more of `metadata` than that it has a name nowhere, not even in a description."""
    said = (schema.get("properties") or {}).get("metadata") if isinstance(schema, dict) else None
    if not isinstance(said, dict):
        return []
    names = said.get("properties") or {}
    if said.keys() <= {"type", "properties", "x-kubernetes-validations"} and names.keys() <= {
        "name",
        "generateName",
    }:
        return []
    text = "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
    return [Cause(failures.FORBIDDEN, f"{path}.properties[metadata]", text)]


def _shape_problems(schema: Any, path: str) -> list[Cause]:
    """Faults that would keep any object of the kind from being looked at."""
    if not isinstance(schema, dict):
        return [Cause(failures.TYPE_INVALID, path, "Invalid value: a schema is an object")]
    found = []
    pattern = schema.get("pattern")
    if pattern is not None and (not isinstance(pattern, str) or not is_pattern(pattern)):
        text = f"Invalid value: {pattern!r}: is no RE2 regular expression"
        found.append(Cause(failures.INVALID, f"{path}.pattern", text))
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return [Cause(failures.TYPE_INVALID, f"{path}.properties", "Invalid value: must be an object")]
    for name, part in properties.items():
        found += _shape_problems(part, f"{path}.properties[{name}]")
    if "items" in schema:
        found += _shape_problems(schema["items"], f"{path}.items")
    rest = schema.get("additionalProperties")
    if rest is not None and not isinstance(rest, bool):
        found += _shape_problems(rest, f"{path}.additionalProperties")
    return found


def _rule_problems(schema: Any, path: str) -> list[Cause]:
    if not isinstance(schema, dict):
        return []
    found = []
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        problem = syntax_problem(rule.get("rule", ""))
        if problem or rule.get("optionalOldSelf"):
            text = f"Invalid value: compilation failed: {problem or 'optionalOldSelf is not supported here'}"
            found.append(Cause(failures.INVALID, f"{path}.x-kubernetes-validations[{index}].rule", text))
    for name, part in (schema.get("properties") or {}).items():
        found += _rule_problems(part, f"{path}.properties[{name}]")
    for name in ("items", "additionalProperties"):
        found += _rule_problems(schema.get(name), f"{path}.{name}")
    return found
