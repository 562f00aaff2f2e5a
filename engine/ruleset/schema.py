"""The shape of rule files: JSON schemas checked with positions and messages for people.

The only importer of jsonschema. Promises one message per mistake, naming the wrong key. Never looks
into expressions. Neighbours: `documents` calls it, schemas/*.schema.json say what is right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from engine.base.assets import asset
from engine.base.yamlnodes import MapNode, Node, descend, plain
from engine.ruleset.errors import Report, suggest

Path: TypeAlias = tuple[str | int, ...]

SCHEMAS: Final = {
    "Reconciler": "reconciler.schema.json",
    "Chapter": "chapter.schema.json",
    "Part": "part.schema.json",
    "EngineMetrics": "enginemetrics.schema.json",
}
"""Kinds of files that the engine runs by."""
BOARD_SCHEMAS: Final = {
    "Dashboard": "dashboard.schema.json",
    "CustomMetrics": "custommetrics.schema.json",
    "Alerting": "alerting.schema.json",
}
"""Kinds of files about what is made of the metrics; none of them is a rule."""
_SELECTORS: Final = (
    "talos", "cosi", "kube", "call", "children", "rollout", "get", "list", "apply", "create", "patch", "delete", "type",
)  # fmt: skip
_NAMES: Final = {"object": "a map", "array": "a list", "string": "text", "boolean": "true or false"}


def check_shape(root: Node, kind: str, report: Report) -> frozenset[Path]:
    """Adds every mistake of shape to `report`; gives the paths at which they are."""
    bad: set[Path] = set()
    for error in _validator(kind).iter_errors(plain(root)):
        path: Path = tuple(error.absolute_path)
        if error.validator == "oneOf" and not isinstance(error.instance, dict):
            continue
        bad.add(path)
        _report(error, root, path, report)
    return frozenset(bad)


def forget() -> None:
    """Keep the schemas no longer; whoever checks a shape again has them read again."""
    _validator.cache_clear()
    _schemas.cache_clear()


@cache
def _validator(kind: str) -> Draft202012Validator:
    schemas = _schemas()
    return Draft202012Validator(schemas.contents({**SCHEMAS, **BOARD_SCHEMAS}[kind]), registry=schemas)


@cache
def _schemas() -> Registry[Any]:
    files = (*SCHEMAS.values(), *BOARD_SCHEMAS.values())
    return Registry().with_resources(
        (name, Resource.from_contents(json.loads(asset("schemas", name).read_text("utf-8"))))
        for name in files
    )


def _report(error: ValidationError, root: Node, path: Path, report: Report) -> None:
    node = descend(root, path)
    schema: Any = error.schema
    wanted: Any = error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        key = node.keys.get(str(error.instance), node) if isinstance(node, MapNode) else node
        report.add(key, "bad-name", f"`{error.instance}` cannot be a name here", _allowed(schema))
    elif error.validator == "additionalProperties":
        _report_unknown(node, schema, report)
    elif error.validator == "not":
        _report_misplaced(root, path, report)
    elif error.validator == "required":
        key = next(key for key in wanted if error.message.startswith(repr(key)))
        report.add(node, "missing-key", f"`{key}` is missing here", _describe(schema, key))
    else:
        code, message, hint = _explain(error)
        report.add(node, code, message, hint)


def _report_unknown(node: Node, schema: Mapping[str, Any], report: Report) -> None:
    known = schema.get("properties", {})
    if isinstance(node, MapNode):
        for key in node.keys:
            if key not in known:
                report.add(node.keys[key], "unknown-key", f"unknown key `{key}`", suggest(key, known))


def _report_misplaced(root: Node, path: Path, report: Report) -> None:
    parent, key = descend(root, path[:-1]), str(path[-1])
    if not isinstance(parent, MapNode):
        return
    beside = next((word for word in _SELECTORS if word in parent.keys and word != key), "")
    if beside == "type":
        beside = f"type: {plain(parent.values['type'])}"
    message = f"`{key}` does not belong here" + (f", beside `{beside}`" if beside else "")
    report.add(parent.keys[key], "misplaced-key", message, "take it away, or choose another form")


def _explain(error: ValidationError) -> tuple[str, str, str]:
    schema: Any = error.schema
    value: Any = error.instance
    wanted: Any = error.validator_value
    if error.validator == "oneOf":
        names = [name for choice in wanted for name in choice.get("required", ())]
        there = [name for name in names if name in value]
        found = f"here are {_join(there)}" if there else "none is here"
        return "choose-one", f"exactly one of {_join(names)} is needed; {found}", ""
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return (
            "wrong-type",
            f"must be {' or '.join(_NAMES.get(k, k) for k in kinds)}, not {_shown(value)}",
            _allowed(schema),
        )
    if error.validator in ("enum", "const"):
        choices = [str(choice) for choice in (wanted if error.validator == "enum" else [wanted])]
        return (
            "wrong-value",
            f"must be {' or '.join(f'`{c}`' for c in choices)}, not {_shown(value)}",
            suggest(str(value), choices),
        )
    if error.validator == "pattern":
        return (
            "wrong-value",
            f"{_shown(value)} does not look like a {str(schema.get('title', 'value')).lower()}",
            _allowed(schema),
        )
    if error.validator == "dependentRequired":
        return (
            "missing-key",
            " and ".join(f"`{k}` needs {_join(v)}" for k, v in wanted.items() if k in value),
            "",
        )
    return "wrong-value", error.message, _allowed(schema)


def _allowed(schema: Any) -> str:
    return str(schema.get("description", "")) if isinstance(schema, dict) else ""


def _describe(schema: Any, key: str) -> str:
    found = schema.get("properties", {}).get(key) if isinstance(schema, dict) else None
    return _allowed(found) if isinstance(found, dict) else ""


def _join(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return f"`{json.dumps(value, ensure_ascii=False)[:60]}`".replace('"', "")
